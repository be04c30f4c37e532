"""What a new owner of a shard must know: where to read, what is there, and what had been written already."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from streams.errors import BadRecord, Failure, NotFound, Throttled
from streams.kinesis import Page, Shard, StoredRecord, get_iterator, get_page, list_shards
from streams.records import Record, decode
from streams.stage import Position

LOOK_BACK_MS: Final = 60_000
"""How long before the last settled input an emit may lie that its session's snapshot does not hold yet: a snapshot
follows within seconds of an emit, or as soon as its inputs are done (35 s at the most)."""
READ_AGAIN_S: Final = 0.25


class Emitted(NamedTuple):
    """Something that this stage had written before this owner came."""

    place: Position
    record: Record


def rest_of(starts: dict[str, int], settled: Position | None) -> dict[str, int]:
    """What is left of a closed shard and its ancestors, by shard: the sequence number after which to read.

    starts: where each was begun, in the order of reading. settled: the watermark, None if it never moved.
    """
    if settled is None or settled.shard_id not in starts:
        return starts
    order = list(starts)
    left = order[order.index(settled.shard_id) :]
    return {shard_id: starts[shard_id] for shard_id in left} | {settled.shard_id: settled.sequence}


def merge_rests(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """What the parents of a merged shard left, in the order of reading: ancestors first (their ids are smaller).

    An ancestor that both still had to read is read from where the one that is less far stopped.
    """
    shard_ids = sorted(one.keys() | other.keys())
    return {shard_id: min(rest[shard_id] for rest in (one, other) if shard_id in rest) for shard_id in shard_ids}


async def first_arrival_ms(kinesis: Any, stream: str, starts: dict[str, int]) -> int | None:
    """When the last record that is settled arrived, else the first to be read; None when there is neither.

    Whatever was emitted that a snapshot may not hold was emitted after that, however long ago it is. The earliest over
    all shards: the rests of two merged parents are as old as they are, in no order. Raises HeraldError.
    """
    found: list[int] = []
    for shard_id, after in starts.items():
        start: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if after:
            start = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": str(after)}
        try:
            iterator: str | None = await get_iterator(kinesis, stream, shard_id, **start)
        except NotFound:
            continue  # trimmed away
        while iterator is not None:
            page = await _page(kinesis, shard_id, iterator, limit=1)
            if page.records:
                found.append(page.records[0].arrived_ms)
                break
            iterator = page.iterator if page.behind_ms > 0 else None
    return min(found, default=None)


async def read_emitted(kinesis: Any, stream: str, shard: Shard, since_ms: int) -> dict[str, list[Emitted]]:
    """What is on the output stream for the keys of `shard`, by session, in order. Raises HeraldError.

    since_ms: from `first_arrival_ms`; now, when nothing has ever been read.
    """
    found: dict[str, list[Emitted]] = defaultdict(list)
    moment = datetime.fromtimestamp(max(0, since_ms - LOOK_BACK_MS) / 1000, UTC)
    for output in await list_shards(kinesis, stream):
        if not output.overlaps(shard):
            continue
        try:
            iterator: str | None = await get_iterator(
                kinesis, stream, output.shard_id, ShardIteratorType="AT_TIMESTAMP", Timestamp=moment
            )
        except NotFound:
            continue
        while iterator is not None:
            page = await _page(kinesis, output.shard_id, iterator)
            for stored in page.records:
                if shard.holds(stored.key):
                    try:
                        found[stored.key].append(Emitted(stored.position, decode(stored.data)))
                    except BadRecord:
                        continue  # not written by us: its readers bury it
            iterator = page.iterator if page.behind_ms > 0 else None
    return found


async def _page(kinesis: Any, shard_id: str, iterator: str, limit: int = 10_000) -> Page:
    while True:
        try:
            return await get_page(kinesis, shard_id, iterator, limit)
        except Throttled:
            await asyncio.sleep(READ_AGAIN_S)


def read_record(stored: StoredRecord) -> Record | Failure:
    """What a stream's record says, or why nobody can be given it."""
    try:
        record = decode(stored.data)
    except BadRecord as error:
        return error.as_failure()
    if record.session_id != stored.key:
        return Failure("WrongKey", "the partition key is not the record's session id", retryable=False)
    return record
