"""A twin of API Gateway's WebSocket APIs, with the Lambda functions behind it: one process, one port.

It calls the functions of `gateway/routes.py` with the service's own events, and keeps its limits: 32 KiB a frame,
128 KiB a message, 29 s for an answer, 10 min idle, 2 h in all. On the same port it serves the management API
(`/@connections/{id}`), Lambda's Invoke for the functions' own use, and the issuer's keys.

Reading order:

- `events`: what a function is told of a connection or message. Pure.
- `websocket`: one connection on the wire: frames, limits, a bounded buffer for what goes out.
- `functions`: invocations: waiting for the answer or not, with time limits.
- `connections`: who is connected; routes messages to functions, and answers and posts to clients.
- `entrance`: tells WebSockets from plain HTTP on the one port.
- `posting`: plain posts to clients, of which there are hundreds at once.
- `http`: everything else that is plain HTTP.
"""
