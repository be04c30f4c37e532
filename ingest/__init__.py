"""How a speaker's audio gets in: the sendAudio function, and nothing else.

Reading order: `admission` (whether a chunk may pass, and why not), `rate` (so many chunks a second, true across
concurrent instances), `format` (whether it is the sound that we take); all three are pure. `doors` keeps what the
Connections table says of a speaker, for a moment; `handler` is the Lambda entry.

From `gateway` it uses `errors`, `events`, `lambdas`, `posts` and the sizes of `routes`; the gateway does not know it.
"""
