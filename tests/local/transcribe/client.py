"""The real client, and what a test wants of it: a stream fed with sound, its results and how it ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amazon_transcribe.auth import StaticCredentialResolver
from amazon_transcribe.client import TranscribeStreamingClient
from amazon_transcribe.endpoints import StaticEndpointResolver
from amazon_transcribe.model import Result, StartStreamTranscriptionEventStream

KEY_ID, SECRET = "AKIDLOCAL", "a local secret"
CHUNK_BYTES = 3200  # 100 ms
HEADERS_WITHIN_S = 10.0


@contextmanager
def trusting(authority: Path) -> Iterator[None]:
    """Clients made inside trust this authority: they read the variable when they are made, and only then."""
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(authority)
    try:
        yield
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before


def make_client(url: str, authority: Path, *, key_id: str = KEY_ID, secret: str = SECRET) -> TranscribeStreamingClient:
    """A client of a twin."""
    with trusting(authority):
        return TranscribeStreamingClient(
            region="us-east-1",
            endpoint_resolver=StaticEndpointResolver(url),  # type: ignore[no-untyped-call]  # the client has no types
            credential_resolver=StaticCredentialResolver(key_id, secret),
        )


@dataclass
class Heard:
    """All results of one stream in order, and the error that ended it."""

    results: list[Result] = field(default_factory=list)
    error: Exception | None = None

    @property
    def finals(self) -> list[Result]:
        return [result for result in self.results if not result.is_partial]

    @property
    def partials(self) -> list[Result]:
        return [result for result in self.results if result.is_partial]

    @property
    def words(self) -> list[str]:
        """Of all finals."""
        return [word for result in self.finals for word in text(result).split()]


@dataclass(frozen=True)
class Item:
    """One word of a result, as the wire has it, times in milliseconds."""

    text: str
    start_ms: int
    end_ms: int
    stable: bool | None
    confidence: float | None


def items(result: Any) -> list[Item]:
    """The words of a result of the client's, whose types have everything optional."""
    return [
        Item(item.content, round(item.start_time * 1000), round(item.end_time * 1000), item.stable, item.confidence)
        for item in result.alternatives[0].items
    ]


def text(result: Any) -> str:
    return str(result.alternatives[0].transcript)


async def end_audio(stream: Any) -> None:
    """Say that there is no more audio."""
    await stream.input_stream.end_stream()


async def start(client: TranscribeStreamingClient, **options: Any) -> StartStreamTranscriptionEventStream:
    """A stream; the client waits for ever for headers that do not come, so not without a limit."""
    asked: dict[str, Any] = {
        "language_code": "en-US",
        "media_sample_rate_hz": 16_000,
        "media_encoding": "pcm",
        "enable_partial_results_stabilization": True,
        "partial_results_stability": "high",
    }
    return await asyncio.wait_for(client.start_stream_transcription(**(asked | options)), HEADERS_WITHIN_S)


async def read(stream: StartStreamTranscriptionEventStream, heard: Heard) -> None:
    """Take results until the stream ends, one way or another."""
    try:
        async for event in stream.output_stream:
            heard.results.extend(event.transcript.results)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        heard.error = error


async def send(stream: StartStreamTranscriptionEventStream, pcm: bytes, pace: float | None = None) -> None:
    """Send sound in chunks of 100 ms, at ``pace`` times the speed of speech; all at once without it."""
    for at in range(0, len(pcm), CHUNK_BYTES):
        await stream.input_stream.send_audio_event(audio_chunk=pcm[at : at + CHUNK_BYTES])
        if pace is not None:
            await asyncio.sleep(0.1 / pace)


async def transcribe(
    client: TranscribeStreamingClient, pcm: bytes, *, pace: float | None = None, end: bool = True, **options: Any
) -> Heard:
    """One whole stream: everything sent, everything read. Raises what the start of a stream raises."""
    stream = await start(client, **options)
    heard = Heard()
    reading = asyncio.create_task(read(stream, heard))
    await send(stream, pcm, pace)
    if end:
        await end_audio(stream)
    await asyncio.wait_for(reading, 60)
    return heard
