"""Reading a session from real streams: its own shards, across a reshard, no further than its end, nobody else's."""

import time
from typing import Any

import msgspec
import pytest

from gateway.messages import BroadcastState
from gateway.tables import Session, Tables
from ops.audit import reader
from ops.audit.reader import read
from ops.audit.rules import audit
from ops.environment import Environment
from ops.errors import CommandError
from stages.translate.requests import Languages
from streams.dead_letters import DeadLetters
from streams.errors import Failure
from streams.journal import Journal
from streams.kinesis import OrderedWriter, StoredRecord, hash_of, list_shards
from streams.records import Record, encode
from streams.resources import StreamName
from streams.stage import Position, Reply
from streams.telemetry import Log
from tests.ops.audit import talk

OTHER = "silver-otter-123"


async def put(
    kinesis: Any, herald: Environment, stream: StreamName, rows: list[Record], key: str = talk.SESSION
) -> None:
    writer = OrderedWriter(kinesis, herald.physical(stream))
    for record in rows:
        await writer.put(key, encode(record))
    await writer.close()


async def add_session(dynamo: Any, herald: Environment, created_ms: int) -> None:
    state = BroadcastState(is_active=True, is_paused=False, is_muted=False, volume=1.0, last_state_change=created_ms)
    session = Session(talk.SESSION, "connection", "owner", "en-US", "standard", state, created_ms)
    assert await Tables(dynamo, herald.prefix).add_session(session)


async def tell_who_listened(kinesis: Any, herald: Environment, codes: list[str]) -> None:
    writer = OrderedWriter(kinesis, herald.physical("journal"))
    journal = Journal(writer, "translate", "worker", "0", Log("test"))
    now_ms = int(time.time() * 1000)
    journal.note(talk.SESSION, "input", now_ms, Position("shardId-000000000000", 2**70))
    for at_ms in (now_ms - 60_000, now_ms + 60_000):
        journal.note(talk.SESSION, "reply", at_ms, reply=Reply("listeners-1", Languages(codes), None, at_ms, at_ms))
    journal.note(talk.SESSION, "reply", now_ms, reply=Reply("polly-2", {"pcm": bytes(1000)}, None, now_ms, now_ms))
    await journal.flush()
    await writer.close()


async def split(kinesis: Any, stream: str) -> None:
    """In the midst of the shard that has the session, so that a child has it."""
    shard = next(s for s in await list_shards(kinesis, stream) if s.is_open and s.holds(talk.SESSION))
    at = hash_of(talk.SESSION)
    await kinesis.split_shard(StreamName=stream, ShardToSplit=shard.shard_id, NewStartingHashKey=str(at))
    await kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 0.05})


async def test_a_session_is_read_across_a_split_and_found_whole(herald: Environment) -> None:
    streams = talk.records()
    async with herald.client("kinesis") as kinesis, herald.client("dynamodb") as dynamo:
        await add_session(dynamo, herald, int(time.time() * 1000))
        for name, rows in streams.items():
            half = len(rows) // 2
            await put(kinesis, herald, name, rows[:half])
            if name in ("audio", "speech"):
                await split(kinesis, herald.physical(name))
            other = [msgspec.structs.replace(rows[0], session_id=OTHER)]
            await put(kinesis, herald, name, other, OTHER)
            await put(kinesis, herald, name, rows[half:])
        await tell_who_listened(kinesis, herald, ["ca", "es"])
    pages: list[str] = []
    found = await read(herald, talk.SESSION, lambda stream, size: pages.append(stream))
    light = [msgspec.structs.replace(r, pcm=b"") if hasattr(r, "pcm") else r for r in streams["audio"]]
    assert [seen.record for seen in found.audio] == light
    assert len({seen.position.shard_id for seen in found.audio}) == 2
    assert found.given_ms.keys() == {Position("shardId-000000000000", 2**70)}
    assert found.listening is not None
    assert [sorted(told.languages) for told in found.listening] == [["ca", "es"], ["ca", "es"]]
    assert set(pages) == {"audio", "transcripts", "speech", "receipts", "journal"}
    result = audit(found)
    assert (result.findings, result.notes, result.state) == ([], [], "over")
    assert (result.languages["es"].spoken, result.languages["es"].wanted) == (4, 4)


async def test_dead_letters_of_the_session_are_named(herald: Environment) -> None:
    async with herald.client("kinesis") as kinesis, herald.client("dynamodb") as dynamo:
        await put(kinesis, herald, "audio", [talk.event("created")])
        letters = DeadLetters(dynamo, herald.physical("DeadLetters"), "transcribe", "audio")
        for number, key in enumerate((talk.SESSION, OTHER)):
            record = StoredRecord(Position("shardId-000000000001", number), key, b"rubbish", 0)
            its_id = await letters.bury(record, Failure("BadRecord", "7 bytes are no record", False))
    found = await read(herald, talk.SESSION)
    result = audit(found)
    assert result.state == "going_on"
    (letter,) = result.dead_letters
    assert (letter.stage, letter.code, letter.attempts) == ("transcribe", "BadRecord", 1)
    assert letter.id != its_id
    assert [finding.code for finding in result.findings] == ["dead_letter"]


async def test_a_session_that_is_nowhere(herald: Environment) -> None:
    with pytest.raises(CommandError, match=r"session golden-eagle-427 is nowhere in AWS us-east-1, prefix o\d+: "):
        await read(herald, talk.SESSION)


async def test_an_environment_without_herald(herald: Environment) -> None:
    with pytest.raises(CommandError, match="has no Herald, or not under this prefix"):
        await read(herald._replace(prefix="nobody"), talk.SESSION)


async def test_what_comes_long_after_the_end_is_not_read(herald: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = talk.records()
    monkeypatch.setattr(reader, "AFTER_END_MS", -1)
    monkeypatch.setattr(reader, "FIRST_RECORDS", 40)
    async with herald.client("kinesis") as kinesis:
        await put(kinesis, herald, "receipts", streams["receipts"])
        await put(kinesis, herald, "audio", [*streams["audio"], *streams["audio"]])
    found = await read(herald, talk.SESSION)
    assert len(found.audio) == 40


async def test_a_session_whose_beginning_is_gone_is_said_to_be_so(herald: Environment) -> None:
    streams = talk.records()
    async with herald.client("kinesis") as kinesis:
        for name, rows in streams.items():
            await put(kinesis, herald, name, rows[1:])
    found = await read(herald, talk.SESSION)
    assert found.trimmed == ["audio", "transcripts", "speech"]
    assert [note.code for note in audit(found).notes].count("trimmed") == 3


def test_the_pace_follows_the_size_of_records_and_the_shard_s_complaints() -> None:
    pace = reader._Pace()
    pace.took(200, 20_000)
    assert pace.records == 800
    pace.took(800, 80_000_000)
    assert pace.records == 10
    before = pace._bytes_per_s
    pace.failed(throttled=False)
    assert pace._bytes_per_s == before
    for _ in range(10):
        pace.failed(throttled=True)
    assert pace._bytes_per_s == reader.LEAST_BYTES_PER_S
