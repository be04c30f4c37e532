"""What the streams have of all sessions of a run: each stream is read once, for all of them."""

import asyncio
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ops.audit.evidence import Evidence
from ops.chaos.streams import Streams
from ops.stack_file import Stack
from streams.errors import BadRecord, HeraldError
from streams.kinesis import get_iterator, get_page, list_shards
from streams.records import Record, decode
from streams.resources import StreamName, physical_name

READ: Final[tuple[StreamName, ...]] = ("audio", "transcripts", "speech", "receipts")
PAGE_RECORDS: Final[dict[StreamName, int]] = {"audio": 400, "transcripts": 5_000, "speech": 8, "receipts": 5_000}
"""A read of about 1 MB: chunks have 3.2 KB, parts of speech up to 480 KB."""
AGAIN_AFTER_S: Final = 0.3
BYTES_PER_S: Final = 1_800_000
"""A shard gives five reads and 2 MB a second."""


async def read(stack: Stack, session_ids: Collection[str]) -> dict[str, Evidence]:
    """By session. Raises HeraldError."""
    found = {session_id: Evidence(session_id, exact=stack.engine == "tones") for session_id in session_ids}
    async with Streams(stack).client("kinesis") as kinesis:
        await asyncio.gather(*(_read(kinesis, stack.prefix, stream, found) for stream in READ))
    return found


async def _read(kinesis: Any, prefix: str, stream: StreamName, found: dict[str, Evidence]) -> None:
    """All shards at once. Then parents before children: a shard's id is greater than its parents'."""
    name = physical_name(prefix, stream)
    shard_ids = sorted(shard.shard_id for shard in await list_shards(kinesis, name))
    shards = [{session_id: Evidence(session_id) for session_id in found} for _ in shard_ids]
    await asyncio.gather(
        *(
            _read_shard(kinesis, name, shard_id, stream, taken)
            for shard_id, taken in zip(shard_ids, shards, strict=True)
        )
    )
    now_ms = time.time_ns() // 1_000_000
    for session_id, evidence in found.items():
        for taken in shards:
            getattr(evidence, stream).extend(getattr(taken[session_id], stream))
        evidence.read_at_ms = now_ms


async def _read_shard(kinesis: Any, name: str, shard_id: str, stream: StreamName, found: dict[str, Evidence]) -> None:
    iterator: str | None = await get_iterator(kinesis, name, shard_id, ShardIteratorType="TRIM_HORIZON")
    while iterator is not None:
        began_s = time.monotonic()
        try:
            page = await get_page(kinesis, shard_id, iterator, PAGE_RECORDS[stream])
        except HeraldError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(AGAIN_AFTER_S)
            continue
        for stored in page.records:
            if stored.key in found:
                found[stored.key].take(stream, stored.position, stored.arrived_ms, _decoded(stored.data))
        size = sum(len(stored.data) for stored in page.records)
        iterator = page.iterator if page.behind_ms > 0 else None
        await asyncio.sleep(max(0.0, max(AGAIN_AFTER_S, size / BYTES_PER_S) - (time.monotonic() - began_s)))


def _decoded(data: bytes) -> Record | None:
    try:
        return decode(data)
    except BadRecord:
        return None


def keep(found: Mapping[str, Evidence], folder: Path) -> None:
    """Leave what was read in a folder, a JSON file a session, for whoever looks into a finding."""
    folder.mkdir(parents=True, exist_ok=True)
    for session_id, evidence in found.items():
        (folder / f"{session_id}.json").write_bytes(msgspec.json.encode(evidence))
