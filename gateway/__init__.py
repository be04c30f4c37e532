"""Who is connected to what, and who may do what: sessions, connections, control routes, status.

Reading order: `routes` (every route and function, as data), `errors` (row W19), `messages` (what clients send and
get) with `explaining`; then the decisions, which are pure: `admission` (who may act), `state` (what a broadcast does),
`session_ids`, `tokens`, `windows` (rates); then what does them: `tables`, `presence`, `limits`, `posts`, `offers`,
`connecting`, `returning`, `control`; `handler`, the Lambda entry, with `lambdas`, the shell that every function of ours
runs in. The other functions: `welcome` greets, `notices` and `notify` tell all listeners of a session, `status` tells
the speaker who listens, `sweep` drops the silent, `pulse` does what is due, `drain` says goodbye before a deployment.

`ingest` uses `errors`, `explaining`, `lambdas` and `posts`; nothing here knows `ingest`.
"""
