"""Who is connected to what, and who may do what: sessions, connections, control routes, status.

Reading order: `routes` (every route and function, as data), `errors` (row W19), `messages` (what clients send and
get); then the decisions, which are pure: `admission` (who may act), `session_ids`, `tokens`, `windows` (rates); then
what does them: `tables`, `limits`, `posts`, `offers`, `connecting`, `control`; `handler`, the Lambda entry, with
`lambdas`, the shell that every function of ours runs in; and `sweep`, which drops the silent.

`ingest` uses `errors`, `lambdas` and `posts`; nothing here knows `ingest`.
"""
