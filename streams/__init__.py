"""How records move: the record types, the stage contract, and the drivers that run any stage.

Reading order: `records` (what crosses a stream), `stage` (the contract), `errors`; then `driver` (effects become
deeds) with `watermark`, `outbox`, `calls`; then `runtime` (the driver's shell) and the runners, `embedded` first.
`ordering`, `media_clock` and `timeline` put a session's audio in order; `kinesis`, `aws`, `stores` and `tail` speak to
the services; `resources` names every stream and table; `settings` reads the environment.
"""
