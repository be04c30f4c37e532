"""The adapter against the twin of Amazon Transcribe Streaming, by the real client, over real TLS and HTTP/2."""

import asyncio
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local import certificates
from local.tones import Script, text_of
from local.transcribe.pool import PoolOptions, SphinxEngine
from local.transcribe.server import Options, serving
from local.transcribe.session import OPERATION, Limits
from local.transcribe.tone_engine import Habits, ToneEngine
from stages.transcribe import recogniser
from stages.transcribe.recogniser import TranscribeStreaming
from stages.transcribe.requests import Abandon, EndAudio, Ended, Heard, Opened, OpenRecogniser, Result, SendAudio
from streams.errors import HeraldError, Refused, StreamBroken, Throttled, TimedOut, Unavailable
from tests.support.wer import recordings, word_error_rate

BLOCK = 3_200
SESSION = "golden-eagle-427"
SCRIPT = Script([[1, 2, 3], [4, 5]])


@dataclass
class Call:
    """One long-lived call, as the driver would perform it."""

    task: asyncio.Task[Any]
    answers: list[Any] = field(default_factory=list)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def results(self) -> list[Result]:
        return [result for answer in self.answers if isinstance(answer, Heard) for result in answer.results]

    @property
    def finals(self) -> list[list[str]]:
        return [[word.text for word in result.words] for result in self.results if not result.is_partial]

    async def ended(self) -> Any:
        async with asyncio.timeout(20):
            return await self.task


@dataclass
class Bench:
    """A twin, and the adapter that speaks to it."""

    adapter: TranscribeStreaming
    http: aiohttp.ClientSession

    async def open(self, stream: str = "s1", session: str = SESSION, language: str = "en-US") -> Call:
        opened = asyncio.Event()
        answers: list[Any] = []

        def note(value: Any) -> None:
            answers.append(value)
            opened.set()

        request = OpenRecogniser(stream=stream, language_code=language)
        task = asyncio.create_task(self.adapter.perform(session, request, note))
        waiting = asyncio.create_task(opened.wait())
        await asyncio.wait({task, waiting}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return Call(task, answers, opened)

    async def feed(self, pcm: bytes, stream: str = "s1", session: str = SESSION) -> None:
        for at in range(0, len(pcm), BLOCK):
            request = SendAudio(stream=stream, pcm=pcm[at : at + BLOCK])
            await self.adapter.perform(session, request, lambda _: None)

    async def end(self, stream: str = "s1", session: str = SESSION) -> None:
        await self.adapter.perform(session, EndAudio(stream=stream), lambda _: None)

    async def faults(self, *faults: dict[str, Any]) -> None:
        async with self.http.put("/_herald/faults", json=list(faults)) as response:
            assert response.status == 200

    async def counts(self) -> dict[str, int]:
        async with self.http.get("/_herald/calls") as response:
            found: dict[str, dict[str, int]] = await response.json()
            return found[OPERATION]

    async def until(self, condition: Callable[[dict[str, int]], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition(await self.counts()):
                await asyncio.sleep(0.01)


Start = Callable[..., Awaitable[Bench]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificates:
    return certificates.ensure(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def start(made: certificates.Certificates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    monkeypatch.setenv("SSL_CERT_FILE", str(Path(made.authority)))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDLOCAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secretlocal")
    async with AsyncExitStack() as stack:

        async def begin(**limits: Any) -> Bench:
            options = Options(made, {"AKIDLOCAL": "secretlocal"}, limits=Limits(**limits))
            where = await stack.enter_async_context(serving(ToneEngine(Habits()), options))
            http = await stack.enter_async_context(aiohttp.ClientSession(where.control_url))
            adapter = TranscribeStreaming("us-east-1", where.url)
            stack.push_async_callback(adapter.close)
            return Bench(adapter, http)

        yield begin


def sound(script: Script = SCRIPT) -> bytes:
    return script.render().tobytes()


async def test_words_come_with_their_times_and_the_end_is_the_one_asked_for(start: Start) -> None:
    bench = await start()
    call = await bench.open()
    assert call.answers == [Opened()]
    await bench.feed(sound())
    await bench.end()
    assert await call.ended() == Ended()
    assert call.finals == [[text_of(1), text_of(2), text_of(3)], [text_of(4), text_of(5)]]
    heard = [word for result in call.results if not result.is_partial for word in result.words]
    for word, said in zip(heard, SCRIPT.words, strict=True):
        assert abs(word.start_ms - said.start_ms) <= 5
        assert abs(word.end_ms - said.end_ms) <= 5
        assert word.stable is True
        assert word.confidence is not None
    partials = [result for result in call.results if result.is_partial]
    assert partials
    assert {word.stable for result in partials for word in result.words} == {True, False}
    assert {word.confidence for result in partials for word in result.words} == {None}


async def test_several_sessions_share_a_client_and_hear_only_themselves(start: Start) -> None:
    bench = await start()
    scripts = {f"session-{i}": Script([[100 * i + 1, 100 * i + 2]]) for i in range(4)}
    calls = {session: await bench.open(session=session) for session in scripts}
    await asyncio.gather(*(bench.feed(sound(script), session=session) for session, script in scripts.items()))
    for session, call in calls.items():
        await bench.end(session=session)
        await call.ended()
        assert call.finals == [[text_of(word.number) for word in scripts[session].words]]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut", "after_frames": 10},
        {"kind": "cut", "after_frames": 10, "code": "RST_STREAM"},
        {"kind": "partial", "after_frames": 10},
    ],
)
async def test_an_end_that_was_not_asked_for_is_a_failure(start: Start, fault: dict[str, Any]) -> None:
    bench = await start()
    await bench.faults(fault)
    call = await bench.open()
    with suppress(StreamBroken):  # it may be noticed while there is audio left, or after
        await bench.feed(sound())
    with pytest.raises((StreamBroken, Unavailable)) as caught:
        await call.ended()
    assert caught.value.retryable
    with pytest.raises(StreamBroken):
        await bench.feed(bytes(BLOCK))


async def test_a_connection_lost_after_the_end_of_audio_is_a_failure(start: Start) -> None:
    """The last final may be missing, though the client ends its results as if all were well."""
    bench = await start()
    await bench.faults({"kind": "cut", "after_frames": 11})
    call = await bench.open()
    await bench.feed(bytes(10 * BLOCK))
    with suppress(StreamBroken):
        await bench.end()
    with pytest.raises((StreamBroken, Unavailable)):
        await call.ended()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "throttle"}, Throttled),
        ({"kind": "error", "code": "InternalFailureException"}, Unavailable),
        ({"kind": "error", "code": "ServiceUnavailableException"}, Unavailable),
        ({"kind": "error", "code": "BadRequestException"}, Refused),
        ({"kind": "throttle", "after_frames": 5}, Throttled),
        ({"kind": "error", "code": "InternalFailureException", "after_frames": 5}, Unavailable),
        ({"kind": "error", "code": "BadRequestException", "after_frames": 5}, StreamBroken),
        ({"kind": "error", "code": "ConflictException", "after_frames": 5}, StreamBroken),
    ],
)
async def test_the_service_s_errors_are_ours(start: Start, fault: dict[str, Any], error: type[HeraldError]) -> None:
    bench = await start()
    await bench.faults(fault)
    call = await bench.open()
    with suppress(StreamBroken):
        await bench.feed(bytes(10 * BLOCK))
    with pytest.raises(HeraldError) as caught:
        await call.ended()
    assert type(caught.value) is error


async def test_the_limit_of_streams_is_throttling(start: Start) -> None:
    bench = await start(concurrent_streams=1)
    await bench.open("s1")
    refused = await bench.open("s2")
    with pytest.raises(Throttled):
        await refused.ended()


async def test_silence_on_the_wire_ends_a_stream_in_a_failure_that_is_retryable(start: Start) -> None:
    bench = await start(idle_s=0.2)
    call = await bench.open()
    await bench.feed(bytes(BLOCK))
    with pytest.raises(StreamBroken, match="no new audio"):
        await call.ended()


async def test_opening_has_a_time_limit_and_the_next_stream_a_new_connection(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recogniser, "OPEN_LIMIT_S", 0.5)
    monkeypatch.setattr(recogniser, "CLOSE_LIMIT_S", 0.1)
    bench = await start()
    await bench.faults({"kind": "half_open", "count": 1})
    call = await bench.open("s1")
    with pytest.raises(TimedOut):
        await call.ended()
    again = await bench.open("s2")
    await bench.feed(sound(), "s2")
    await bench.end("s2")
    assert await again.ended() == Ended()


async def test_a_connection_cut_before_the_headers_does_not_hang(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recogniser, "OPEN_LIMIT_S", 0.5)
    bench = await start()
    await bench.faults({"kind": "cut", "count": 1})
    call = await bench.open()
    with pytest.raises((TimedOut, Unavailable)):
        await call.ended()


async def test_audio_is_taken_only_as_fast_as_the_stream_takes_it(start: Start) -> None:
    """A server that reads no more must not fill this process's memory."""
    bench = await start()
    await bench.faults({"kind": "half_open", "after_frames": 5})
    call = await bench.open()
    feeding = asyncio.create_task(bench.feed(bytes(2_000 * BLOCK)))
    stream = bench.adapter._streams[SESSION, "s1"]
    queue = stream._client_stream.input_stream._input_stream._byte_chunks
    async with asyncio.timeout(10):
        while sum(map(len, queue)) <= recogniser.QUEUE_BYTES:
            await asyncio.sleep(0.01)
    for _ in range(20):
        await asyncio.sleep(recogniser.QUEUE_POLL_S)
        assert sum(map(len, list(queue))) <= recogniser.QUEUE_BYTES + 2 * BLOCK
    assert not feeding.done()
    await bench.adapter.perform(SESSION, Abandon(stream="s1"), lambda _: None)
    with pytest.raises(StreamBroken):
        await feeding
    with pytest.raises(StreamBroken):
        await call.ended()


async def test_streams_with_nothing_to_send_let_the_client_s_thread_rest(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    read = recogniser._Body.read

    def counted(body: Any, size: int) -> bytes:
        asked.append(time.monotonic())
        return read(body, size)

    monkeypatch.setattr(recogniser._Body, "read", counted)
    bench = await start()
    streams = ["s1", "s2", "s3"]
    for stream in streams:
        await bench.open(stream)
    asked.clear()
    await asyncio.sleep(0.5)
    rounds = (asked[-1] - asked[0]) / recogniser.PAUSE_S
    assert 0 < len(asked) <= len(streams) * (rounds + 2)
    for stream in streams:
        await bench.adapter.perform(SESSION, Abandon(stream=stream), lambda _: None)


async def test_an_abandoned_stream_is_closed_on_the_server_too(start: Start) -> None:
    bench = await start()
    call = await bench.open()
    await bench.feed(bytes(3 * BLOCK))
    await bench.until(lambda counts: counts.get("open") == 1)
    await bench.adapter.perform(SESSION, Abandon(stream="s1"), lambda _: None)
    with pytest.raises(StreamBroken):
        await call.ended()
    await bench.until(lambda counts: counts.get("open") == 0)


async def test_a_stream_that_was_abandoned_is_not_opened_at_another_try(start: Start) -> None:
    """The driver's retries know nothing of it; a stream that nobody wants would count against the account's limit."""
    bench = await start()
    await bench.adapter.perform(SESSION, Abandon(stream="s1"), lambda _: None)
    call = await bench.open()
    with pytest.raises(Refused, match="abandoned"):
        await call.ended()


async def test_a_cancelled_call_releases_its_stream(start: Start) -> None:
    bench = await start()
    call = await bench.open()
    await bench.feed(bytes(3 * BLOCK))
    call.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.task
    await bench.until(lambda counts: counts.get("open") == 0)
    with pytest.raises(StreamBroken):
        await bench.feed(bytes(BLOCK))


async def test_a_stream_that_nobody_opened_takes_nothing(start: Start) -> None:
    bench = await start()
    with pytest.raises(StreamBroken):
        await bench.feed(bytes(BLOCK))
    with pytest.raises(StreamBroken):
        await bench.end()
    await bench.adapter.perform(SESSION, Abandon(stream="s1"), lambda _: None)


async def test_a_language_that_the_service_lacks_is_refused(start: Start) -> None:
    bench = await start()
    call = await bench.open(language="xx-XX")
    with pytest.raises(Refused):
        await call.ended()


async def test_real_speech_is_recognised_with_times_and_stability(
    made: certificates.Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PocketSphinx behind the twin. As fast as it takes the audio, which flow control decides."""
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDLOCAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secretlocal")
    recording = next(one for one in recordings() if one.path.name == "austen-0880.wav")
    with wave.open(str(recording.path)) as file:
        pcm = file.readframes(file.getnframes())
    engine = await SphinxEngine.start(PoolOptions(1, 1))
    try:
        async with (
            serving(engine, Options(made, {"AKIDLOCAL": "secretlocal"})) as where,
            aiohttp.ClientSession(where.control_url) as http,
        ):
            bench = Bench(TranscribeStreaming("us-east-1", where.url), http)
            call = await bench.open()
            await bench.feed(pcm + bytes(32_000))
            await bench.end()
            await call.ended()
            await bench.adapter.close()
    finally:
        await engine.close()
    heard = [word.strip(".,").lower() for final in call.finals for word in final]
    assert word_error_rate(recording.words, heard) <= 0.5
    partials = [result for result in call.results if result.is_partial]
    assert any(word.stable for result in partials for word in result.words)
    spans = [(word.start_ms, word.end_ms) for result in call.results if not result.is_partial for word in result.words]
    assert all(0 <= start < end <= len(pcm) / 32 + 1_000 for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
