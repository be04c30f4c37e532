"""What a client may rely on, of the twin and of the service alike, with real speech.

By default the endpoint is the twin as a program, with PocketSphinx. With ``HERALD_CONTRACT_TRANSCRIBE_REGION`` set to
a region's name, the same tests run against Amazon Transcribe there, with the credentials of the environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from amazon_transcribe import exceptions
from amazon_transcribe.auth import StaticCredentialResolver
from amazon_transcribe.client import TranscribeStreamingClient

from local.certificates import Certificates
from local.transcribe.recognise import read_wav
from tests.local.transcribe.client import KEY_ID, SECRET, Heard, end_audio, items, make_client, start, text, transcribe
from tests.support.wer import RECORDINGS

REGION = os.environ.get("HERALD_CONTRACT_TRANSCRIBE_REGION")
SPEECH = read_wav(RECORDINGS / "go-somewhere.wav")
PAUSE = bytes(32 * 1200)


@dataclass
class Endpoint:
    """Where the contract is tested, and how long it waits for audio."""

    client: Callable[[], TranscribeStreamingClient]
    client_with_wrong_secret: Callable[[], TranscribeStreamingClient]
    idle_s: float


@pytest.fixture(scope="module")
def endpoint(made: Certificates) -> Iterator[Endpoint]:
    if REGION is not None:
        stranger = StaticCredentialResolver(os.environ["AWS_ACCESS_KEY_ID"], "not the secret")
        yield Endpoint(
            lambda: TranscribeStreamingClient(region=REGION),
            lambda: TranscribeStreamingClient(region=REGION, credential_resolver=stranger),
            idle_s=15.0,
        )
        return
    command = [sys.executable, "-m", "local.transcribe", "--certificates", str(made.authority.parent), "--workers", "1"]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    program = subprocess.Popen(
        [*command, "--idle-s", "2", "--die-with-parent"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout is not None
        ready, url, control = program.stdout.readline().split()
        assert ready == "ready"
        assert control.startswith("control=http://127.0.0.1:")
        yield Endpoint(
            lambda: make_client(url, made.authority),
            lambda: make_client(url, made.authority, secret="not the secret"),
            idle_s=2.0,
        )
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=2) == 0
    finally:
        program.kill()
        program.communicate()


async def test_speech_becomes_partials_and_a_final(endpoint: Endpoint) -> None:
    heard = await transcribe(endpoint.client(), SPEECH + PAUSE, pace=1)
    assert heard.error is None
    assert len(heard.finals) == 1
    final = heard.finals[0]
    assert text(final).lower().strip(".").split()[-3:] == ["and", "do", "something"]
    assert len(heard.partials) >= 3
    assert {result.result_id for result in heard.results} == {final.result_id}, "partials are of the same utterance"
    assert heard.results[-1] is final, "nothing comes after the final of an utterance"


async def test_times_are_of_this_stream_and_in_order(endpoint: Endpoint) -> None:
    client = endpoint.client()
    for heard in await asyncio.gather(*(transcribe(client, SPEECH + PAUSE, pace=1) for _ in range(2))):
        found = [item for result in heard.finals for item in items(result) if item.text.isalpha()]
        assert len(found) >= 4
        assert 0 <= found[0].start_ms < 1500
        assert found[-1].end_ms <= len(SPEECH) / 32 + 200
        for item, following in pairwise(found):
            assert item.start_ms < item.end_ms <= following.start_ms + 20
        for item in found:
            assert item.confidence is not None
            assert 0.0 <= item.confidence <= 1.0
        for result in heard.results:
            assert result.start_time is not None
            assert result.end_time is not None
            assert result.start_time < result.end_time <= (len(SPEECH) + len(PAUSE)) / 32000


async def test_a_word_flagged_stable_does_not_change(endpoint: Endpoint) -> None:
    heard = await transcribe(endpoint.client(), SPEECH + PAUSE, pace=1)
    settled: list[str] = []
    for result in heard.results:
        words = items(result)
        texts = [item.text.lower() for item in words]
        assert texts[: len(settled)] == settled
        stable = [item.text.lower() for item in words if item.stable or not result.is_partial]
        assert stable == texts[: len(stable)], "what is stable comes first"
        settled = stable
    assert any(item.stable for result in heard.partials for item in items(result))


async def test_without_stabilisation_no_item_is_flagged(endpoint: Endpoint) -> None:
    asked: dict[str, Any] = {"enable_partial_results_stabilization": None, "partial_results_stability": None}
    heard = await transcribe(endpoint.client(), SPEECH + PAUSE, pace=1, **asked)
    assert heard.finals
    assert all(not item.stable for result in heard.partials for item in items(result))


async def test_the_answer_says_the_settings_again(endpoint: Endpoint) -> None:
    session_id = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
    stream = await start(endpoint.client(), session_id=session_id)
    answer: Any = stream.response
    await end_audio(stream)
    assert answer.session_id == session_id
    assert (answer.language_code, answer.media_sample_rate_hz, answer.media_encoding) == ("en-US", 16_000, "pcm")
    assert (answer.enable_partial_results_stabilization, answer.partial_results_stability) == (True, "high")
    assert answer.request_id


async def test_silence_has_no_results(endpoint: Endpoint) -> None:
    heard = await transcribe(endpoint.client(), bytes(32 * 2000), pace=2)
    assert (heard.words, heard.error) == ([], None)


async def test_a_stream_without_audio_is_ended(endpoint: Endpoint) -> None:
    heard = await transcribe(endpoint.client(), bytes(3200), end=False)
    assert isinstance(heard.error, exceptions.BadRequestException)
    assert "no new audio" in heard.error.message


@pytest.mark.parametrize(
    "wrong",
    [
        {"language_code": "xx-XX"},
        {"media_sample_rate_hz": 4_000},
        {"media_encoding": "mp3"},
        {"partial_results_stability": "utmost"},
        {"session_id": "mine"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_what_cannot_be_served_is_a_bad_request(endpoint: Endpoint, wrong: dict[str, Any]) -> None:
    with pytest.raises(exceptions.BadRequestException):
        await start(endpoint.client(), **wrong)


async def test_a_wrong_secret_is_refused(endpoint: Endpoint) -> None:
    with pytest.raises(exceptions.UnknownServiceException) as caught:
        await start(endpoint.client_with_wrong_secret())
    assert str(caught.value.error_code) == "InvalidSignatureException"


async def test_a_failed_stream_leaves_another_of_the_same_client_alone(endpoint: Endpoint) -> None:
    client = endpoint.client()

    async def fails() -> Heard:
        return await transcribe(client, bytes(3200), end=False)

    broken, whole = await asyncio.gather(fails(), transcribe(client, SPEECH + PAUSE, pace=1))
    assert broken.error is not None
    assert (len(whole.finals), whole.error) == (1, None)
