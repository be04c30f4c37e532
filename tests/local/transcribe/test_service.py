"""Who may have a stream: refusals before it begins, as the real client sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from amazon_transcribe import exceptions

from local.tones import Script
from local.transcribe.tone_engine import Habits, ToneEngine
from tests.local.transcribe.client import end_audio, start, transcribe
from tests.local.transcribe.conftest import Start

SPEECH = Script([[1, 2, 3]]).render().tobytes()


async def test_a_stream_is_served_and_counted(start_twin: Start) -> None:
    twin = await start_twin()
    heard = await transcribe(twin.client(), SPEECH)
    assert (heard.words, heard.error) == (["w000001", "w000002", "w000003"], None)
    counts = await twin.until(lambda counts: counts["open"] == 0)
    assert counts["calls"] == 1
    assert counts["errors"] == 0
    assert counts["audio_bytes"] == len(SPEECH)
    assert counts["final_results"] == 1


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({"secret": "another"}, "InvalidSignatureException"),
        ({"key_id": "AKIDOTHER"}, "UnrecognizedClientException"),
    ],
)
async def test_who_is_not_known_is_refused(start_twin: Start, credentials: dict[str, str], code: str) -> None:
    twin = await start_twin()
    with pytest.raises(exceptions.UnknownServiceException) as caught:
        await start(twin.client(**credentials))
    assert caught.value.status_code == 403
    assert str(caught.value.error_code) == code
    assert (await twin.counts())[code] == 1


async def test_one_stream_more_than_the_limit_is_refused_until_one_ends(start_twin: Start) -> None:
    twin = await start_twin(concurrent_streams=2)
    client = twin.client()
    first, _ = [await start(client) for _ in range(2)]
    with pytest.raises(exceptions.LimitExceededException, match=r"concurrent streams \(2\)"):
        await start(client)
    await end_audio(first)
    await twin.until(lambda counts: counts["open"] == 1)
    assert (await transcribe(client, SPEECH)).words


async def test_a_full_engine_says_so(start_twin: Start) -> None:
    twin = await start_twin(ToneEngine(Habits(), max_streams=1))
    client = twin.client()
    await start(client)
    with pytest.raises(exceptions.LimitExceededException, match="engine is full: 1 streams"):
        await start(client)


@pytest.mark.parametrize(
    "code",
    [
        "BadRequestException",
        "ConflictException",
        "InternalFailureException",
        "LimitExceededException",
        "ServiceUnavailableException",
        "SerializationException",
    ],
)
async def test_fault_every_modelled_error(start_twin: Start, code: str) -> None:
    twin = await start_twin()
    await twin.faults({"kind": "error", "code": code, "count": 1})
    with pytest.raises(getattr(exceptions, code)):
        await start(twin.client())
    assert (await transcribe(twin.client(), SPEECH)).words


async def test_fault_throttle(start_twin: Start) -> None:
    twin = await start_twin()
    await twin.faults({"kind": "throttle", "operation": "StartStreamTranscription"})
    with pytest.raises(exceptions.LimitExceededException):
        await start(twin.client())


@pytest.mark.parametrize("fault", [{"kind": "half_open"}, {"kind": "cut"}, {"kind": "cut", "code": "RST_STREAM"}])
async def test_fault_no_headers(start_twin: Start, fault: dict[str, Any]) -> None:
    twin = await start_twin()
    await twin.faults({**fault, "count": 1})
    client = twin.client()
    starting = asyncio.create_task(start(client))
    await twin.until(lambda counts: counts["calls"] == 1)
    done, _ = await asyncio.wait([starting], timeout=0.3)
    assert not done, "the client hangs when headers do not come; this is why a caller needs a time limit"
    starting.cancel()
    await asyncio.wait([starting])
    assert (await transcribe(twin.client(), SPEECH)).words
