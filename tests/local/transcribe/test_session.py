"""What may happen to a stream that has begun, as the real client sees it."""

from __future__ import annotations

import asyncio
import time

import pytest
from amazon_transcribe import exceptions

from local.tones import Script
from tests.local.transcribe.client import Heard, end_audio, items, read, send, start, transcribe
from tests.local.transcribe.conftest import Start

SCRIPT = Script([[1, 2, 3], [4, 5, 6]], pauses_ms=(800,))
SPEECH = SCRIPT.render().tobytes()
ALL_WORDS = [f"w{number:06d}" for number in range(1, 7)]


async def test_times_restart_at_zero_in_every_stream(start_twin: Start) -> None:
    client = (await start_twin()).client()
    streams = await asyncio.gather(*(transcribe(client, SPEECH) for _ in range(3)))
    for heard in streams:
        found = [item for result in heard.finals for item in items(result)]
        assert [item.text for item in found] == ALL_WORDS
        assert [(item.start_ms, item.end_ms) for item in found] == [
            (word.start_ms, word.end_ms) for word in SCRIPT.words
        ]
    assert len({heard.finals[0].result_id for heard in streams}) == 3


async def test_a_stream_without_audio_is_ended(start_twin: Start) -> None:
    twin = await start_twin(idle_s=0.4)
    heard = await transcribe(twin.client(), SPEECH[:6400], end=False)
    assert isinstance(heard.error, exceptions.BadRequestException)
    assert "no new audio was received for 0.4 seconds" in heard.error.message


async def test_silence_keeps_a_stream_alive(start_twin: Start) -> None:
    twin = await start_twin(idle_s=0.5)
    heard = await transcribe(twin.client(), bytes(3200 * 10), pace=1)
    assert (heard.results, heard.error) == ([], None)


async def test_a_stream_that_is_too_long_is_ended(start_twin: Start) -> None:
    twin = await start_twin(max_stream_s=2.0)
    heard = await transcribe(twin.client(), SPEECH)
    assert isinstance(heard.error, exceptions.LimitExceededException)
    assert "maximum duration of 2 seconds" in heard.error.message


async def test_a_chunk_that_is_not_signed_right_is_refused(start_twin: Start) -> None:
    stream = await start((await start_twin()).client())
    heard = Heard()
    await send(stream, SPEECH[:3200])
    stream.input_stream._prior_signature = bytes(32)
    await send(stream, SPEECH[3200:6400])
    await read(stream, heard)
    assert isinstance(heard.error, exceptions.BadRequestException)
    assert "signature" in heard.error.message


async def test_a_chunk_that_is_too_big_is_refused(start_twin: Start) -> None:
    stream = await start((await start_twin()).client())
    heard = Heard()
    await stream.input_stream.send_audio_event(audio_chunk=bytes(32 * 1024 + 2))
    await read(stream, heard)
    assert isinstance(heard.error, exceptions.BadRequestException)
    assert "too big" in heard.error.message


async def test_an_empty_audio_event_ends_the_stream_and_flushes(start_twin: Start) -> None:
    stream = await start((await start_twin()).client())
    heard = Heard()
    await send(stream, SCRIPT.render()[: SCRIPT.words[2].end_ms * 16].tobytes())
    await stream.input_stream.send_audio_event(audio_chunk=b"")
    await read(stream, heard)
    assert (heard.words, heard.error) == (ALL_WORDS[:3], None)


async def test_many_streams_on_one_connection(start_twin: Start) -> None:
    client = (await start_twin()).client()
    for heard in await asyncio.gather(*(transcribe(client, SPEECH) for _ in range(20))):
        assert heard.words == ALL_WORDS


async def test_a_client_that_leaves_frees_its_place(start_twin: Start) -> None:
    twin = await start_twin(concurrent_streams=1)
    client = twin.client()
    await start(client)
    for connection in client._session_manager._connections.values():
        connection.close()
    await twin.until(lambda counts: counts["open"] == 0 and counts["abandoned"] == 1)
    assert (await transcribe(twin.client(), SPEECH)).words == ALL_WORDS


@pytest.mark.parametrize("code", ["ServiceUnavailableException", "InternalFailureException", "ConflictException"])
async def test_fault_error_after_frames(start_twin: Start, code: str) -> None:
    twin = await start_twin()
    await twin.faults({"kind": "error", "code": code, "after_frames": 20})
    heard = await transcribe(twin.client(), SPEECH)
    assert isinstance(heard.error, getattr(exceptions, code))
    assert (await twin.counts())[code] == 1


async def test_fault_throttle_after_frames(start_twin: Start) -> None:
    twin = await start_twin()
    await twin.faults({"kind": "throttle", "after_frames": 5})
    assert isinstance((await transcribe(twin.client(), SPEECH)).error, exceptions.LimitExceededException)


@pytest.mark.parametrize("kind", ["cut", "partial"])
async def test_fault_an_end_that_looks_like_success(start_twin: Start, kind: str) -> None:
    """The client's output just ends, with no error: who did not end a stream must take its end for a failure."""
    twin = await start_twin()
    await twin.faults({"kind": kind, "after_frames": 25})
    heard = await transcribe(twin.client(), SPEECH, pace=20)
    assert heard.error is None
    # What was under way when a connection is cut may be lost as well.
    assert heard.words in ([ALL_WORDS[:3]] if kind == "partial" else [ALL_WORDS[:3], []])


async def test_fault_one_stream_reset_leaves_the_others(start_twin: Start) -> None:
    twin = await start_twin()
    await twin.faults({"kind": "cut", "code": "RST_STREAM", "after_frames": 5, "count": 1})
    client = twin.client()
    broken, whole = await asyncio.gather(transcribe(client, SPEECH), transcribe(client, SPEECH))
    assert sorted([broken.words, whole.words]) == [[], ALL_WORDS]


async def test_fault_half_open_takes_audio_and_never_answers(start_twin: Start) -> None:
    twin = await start_twin()
    await twin.faults({"kind": "half_open", "after_frames": 1})
    client = twin.client()
    stream, heard = await start(client), Heard()
    reading = asyncio.create_task(read(stream, heard))
    await send(stream, SPEECH)
    await end_audio(stream)
    done, _ = await asyncio.wait([reading], timeout=0.3)
    assert not done
    for connection in client._session_manager._connections.values():
        connection.close()
    await asyncio.wait_for(reading, 10)
    assert heard.results == []


async def test_fault_slow_is_late_and_loses_nothing(start_twin: Start) -> None:
    twin = await start_twin()
    await twin.faults({"kind": "slow", "delay_ms": 400})
    started = time.monotonic()
    heard = await transcribe(twin.client(), SPEECH)
    assert heard.words == ALL_WORDS
    assert time.monotonic() - started >= 0.4
