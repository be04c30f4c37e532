"""How a span was said: frames through a real stream."""

import asyncio
import time
from typing import Any

import pytest

from stages.translate.dynamics import MAX_FRAMES, DynamicsOfSpans, Frames
from stages.translate.requests import FindDynamics
from streams.records import NEUTRAL, encode
from tests.stages.translate.transcripts import SESSION, frame


def ignore(value: object) -> None:
    raise AssertionError(value)


def test_frames_are_kept_for_their_time_and_number() -> None:
    frames = Frames(ttl_ms=60_000, max_sessions=2)
    for i in range(MAX_FRAMES + 5):
        frames.add(frame(i * 500), 1_000)
    frames.add(frame(0), 2_000)  # a repeat
    assert len(frames.recent(SESSION, 61_000)) == MAX_FRAMES
    assert frames.recent(SESSION, 61_001) == []
    for session in ("a", "b"):
        frames.add(frame(0, session=session), 1_000)
    assert len(frames) == 2
    assert frames.known_to_ms(SESSION) == 0


async def following(kinesis: Any, stream: str) -> DynamicsOfSpans:
    """A service on a new stream, that waits for as long as a test may take."""
    await kinesis.create_stream(StreamName=stream, ShardCount=2)
    await kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 0.05})
    service = DynamicsOfSpans(kinesis, stream, ttl_ms=60_000, wait_ms=60_000)
    service.start()
    return service


async def test_frames_of_a_stream_are_found_by_span(kinesis: Any) -> None:
    service = await following(kinesis, "emotions")
    asked = asyncio.create_task(service.perform(SESSION, FindDynamics(500, 1_000), ignore))
    for i, level_db in enumerate((-10.0, -30.0, -10.0)):
        data = encode(frame(i * 500, level_db=level_db))
        await kinesis.put_record(StreamName="emotions", Data=data, PartitionKey=SESSION)
    found = (await asked).dynamics  # it waits for the end of the span
    assert found.level_db == pytest.approx(-30.0)
    await service.close()


async def test_a_span_is_not_held_up_by_its_last_moments(kinesis: Any) -> None:
    """A frame is not there before it has ended; most of the span says how it was said."""
    service = await following(kinesis, "emotions-in-time")
    asked = asyncio.create_task(service.perform(SESSION, FindDynamics(0, 2_000), ignore))
    for i in range(3):
        assert not asked.done()
        data = encode(frame(i * 500, level_db=-30.0))
        await kinesis.put_record(StreamName="emotions-in-time", Data=data, PartitionKey=SESSION)
    assert (await asked).dynamics.level_db == pytest.approx(-30.0)
    await service.close()


async def test_what_does_not_come_in_time_is_neutral() -> None:
    service = DynamicsOfSpans(None, "emotions", ttl_ms=60_000, wait_ms=20)
    started = time.monotonic()
    assert (await service.perform(SESSION, FindDynamics(0, 500), ignore)).dynamics == NEUTRAL
    assert time.monotonic() - started >= 0.02
    await service.close()
