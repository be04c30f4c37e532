"""A twin of Amazon Kinesis Data Streams: `python -m local.kinesis --port 0 --data DIR`.

What the service promises, on one machine: shards with their true lineage, order within a shard, a record
visible and acknowledged only once it is durable (it survives `kill -9`), the service's limits and errors,
JSON and CBOR over HTTP/1.1 and h2c, signatures checked, enhanced fan-out. Faults can be switched on.

Reading order:

    model.py         streams, shards, lineage: pure
    sequence.py      sequence numbers
    tokens.py        shard iterators and next-page tokens
    limits.py        token buckets
    log.py           what of a shard is visible, its tail in memory
    segments.py      the log that keeps the records
    store.py         the log and its index, in SQLite
    twin.py          all of these together: accept, commit, read, settle
    requests.py      request shapes and their constraints
    lookup.py        names and ARNs
    administration.py, resharding.py, records.py, tagging.py, consumers.py, subscription.py
                     the calls, a group a file
    operations.py    the table of calls
    wire.py          JSON, CBOR, errors
    eventstream.py   framing of SubscribeToShard
    server.py        requests, faults, control plane
    listener.py      the port
    connections.py   cutting one, as a fault
"""
