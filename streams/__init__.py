"""How records move: the record types, the stage contract, and the drivers that run any stage.

Reading order: `records` (what crosses a stream), `stage` (the contract), `errors`; then `driver` (effects become
deeds) with `watermark`, `outbox`, `parking` and `isolation`; `calls` with `policy`; then `runtime` (its shell) with
`catch_up` and `fence`, `recovery` and the runners, which `program` starts: `embedded`; and under the Kinesis Client
Library `kcl_daemon` (beside its daemon), `kcl` (its protocol), `kcl_shard` and `claims`. `ordering`, `media_clock` and
`timeline` put a session's audio in order; `state`, `speaker_state`, `words`, `dynamics` and `languages` are what stages
share; `kinesis`, `aws` (with `json_api`, `rest_api`, `management`, `invocations`, `signing` and `http1`), `leases`,
`snapshots`, `dead_letters`, `journal` and `tail` speak to the services; `resources` names every stream and table;
`settings` reads the environment; `telemetry` writes logs and metrics.
"""
