"""`herald chaos`: a run full of faults, and what became of every word.

    plan       who speaks and who listens, which faults come when: a pure function of the seed
    scenarios  the named runs, as plans
    talks      the sessions: speakers that send again what was not acknowledged, listeners that reconnect
    deeds      does the faults: signals, the control planes of twins and proxies, reshards, restarts
    spare      a second worker of a stage, for zombies
    streams    reshards, dead letters
    watch      what is seen from outside meanwhile: memory, breakers, parts that end unasked
    records    what the streams have of all sessions, for the audit (`ops.audit`)
    account    what was lost, twice or out of order, pauses, recovery: pure
    conclusion from what was seen to the report: pure
    report     the object of `--json`, findings, and the text for people
    run        all of it, on a stack of its own
    command    `herald chaos`

Start with `plan`, then `run`. Words are numbered tones (`local.tones`), so each is heard exactly or not at all.
"""
