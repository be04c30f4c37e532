"""Following a stream: from its beginning or from a moment, across reshards, past rubbish."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from streams.errors import NotFound
from streams.kinesis import OrderedWriter
from streams.records import SessionEvent, encode
from streams.tail import Tailed, tail
from tests.streams.conftest import make_stream


def event(session_id: str, timestamp: int) -> bytes:
    return encode(SessionEvent(session_id=session_id, event="paused", timestamp=timestamp))


async def take(kinesis: Any, stream: str, number: int, since_ms: int | None = None) -> list[Tailed]:
    found: list[Tailed] = []
    async with asyncio.timeout(20), aclosing(tail(kinesis, stream, since_ms=since_ms, poll_s=0.21)) as rows:
        async for row in rows:
            found.append(row)
            if len(found) == number:
                break
    return found


async def test_everything_from_the_beginning_and_from_a_moment(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream)
    for timestamp in range(10):
        await writer.put("s", event("s", timestamp))
    rows = await take(kinesis, stream, 10)
    assert [row.record.timestamp for row in rows if isinstance(row.record, SessionEvent)] == list(range(10))
    since = rows[5].written_ms
    later = await take(kinesis, stream, len([row for row in rows if row.written_ms >= since]), since)
    assert later[-1].data == rows[-1].data
    assert all(row.written_ms >= since for row in later)
    await writer.close()


async def test_a_session_s_order_holds_across_a_split(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream)
    for timestamp in range(5):
        await asyncio.gather(*[writer.put(session, event(session, timestamp)) for session in "abcd"])
    await kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    await kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 0.05})
    for timestamp in range(5, 10):
        await asyncio.gather(*[writer.put(session, event(session, timestamp)) for session in "abcd"])
    rows = await take(kinesis, stream, 40)
    for session in "abcd":
        stamps = [row.record.timestamp for row in rows if isinstance(row.record, SessionEvent) and row.key == session]
        assert stamps == list(range(10))
    await writer.close()


async def test_rubbish_is_shown_as_such(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream)
    await writer.put("s", b"rubbish")
    (row,) = await take(kinesis, stream, 1)
    assert row.record is None
    assert row.error is not None
    assert row.data == b"rubbish"
    await writer.close()


async def test_it_says_when_it_has_caught_up(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix, 2)
    caught_up = asyncio.Event()

    async def follow() -> None:
        async for _ in tail(kinesis, stream, on_caught_up=caught_up.set):
            raise AssertionError("the stream is empty")

    follower = asyncio.create_task(follow())
    async with asyncio.timeout(10):
        await caught_up.wait()
    follower.cancel()
    with pytest.raises(asyncio.CancelledError):
        await follower


async def test_a_missing_stream_is_an_error(kinesis: Any) -> None:
    with pytest.raises(NotFound):
        await take(kinesis, "nothing-of-that-name", 1)
