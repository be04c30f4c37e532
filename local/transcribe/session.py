"""One accepted stream: audio in, results out, each at its own pace, until the audio ends or something breaks."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from local.control import Calls
from local.faults import Fault
from local.transcribe import request as requests
from local.transcribe.audio import AudioReader, Batch
from local.transcribe.engine import EngineFailed, Recogniser
from local.transcribe.errors import ServiceError, bad_request, internal_failure, limit_exceeded
from local.transcribe.http2 import Stream, StreamClosed
from local.transcribe.outbox import Outbox
from local.transcribe.request import StreamRequest
from local.transcribe.results import Result, exception_event, transcript_event

OPERATION = "StartStreamTranscription"
_BYTES_PER_S = requests.SAMPLE_RATE_HZ * 2


@dataclass(frozen=True, slots=True)
class Limits:
    """The service's limits ("Guidelines and quotas" and "Data input" in its developer guide), settable for tests."""

    concurrent_streams: int = 25
    idle_s: float = 15.0
    max_stream_s: float = 4 * 3600.0


class _EndEarly(Exception):
    """A fault wants the answer to end here, without an error and without what was still to be said."""


class Session:
    """Serves one stream. ``fault`` is what shall go wrong with it once so many frames have come."""

    def __init__(
        self,
        stream: Stream,
        request: StreamRequest,
        recogniser: Recogniser,
        audio: AudioReader,
        limits: Limits,
        fault: Fault | None,
        calls: Calls,
    ) -> None:
        self._stream = stream
        self._request = request
        self._recogniser = recogniser
        self._audio = audio
        self._limits = limits
        self._fault = fault
        self._calls = calls
        self._outbox = Outbox(stream)
        self._heard_bytes = 0
        self._started_s = time.monotonic()

    async def run(self) -> None:
        """Serve it to its end. Raises `ServiceError` when it ended by one, which the client has been told."""
        # At once: the client sends no audio before it has the headers.
        self._stream.respond(200, requests.answer_headers(self._request, str(uuid.uuid4())))
        failure: ServiceError | None = None
        async with self._outbox:
            try:
                await self._listen()
                await self._say(await self._recogniser.finish())
            except _EndEarly:
                pass
            except EngineFailed as error:
                failure = internal_failure(str(error))
            except ServiceError as error:
                failure = error
            if failure is not None:
                await self._outbox.put(exception_event(failure.code, failure.message))
            await self._outbox.finish()
        self._stream.end()
        if failure is not None:
            raise failure

    async def _listen(self) -> None:
        """Hear until the audio ends."""
        waiting_since_s = time.monotonic()
        while True:
            batch = await self._receive(waiting_since_s + self._limits.idle_s - time.monotonic())
            await self._apply_fault()
            if batch.pcm:
                await self._hear(batch.pcm)
            if batch.ended:
                return
            if batch.frames:
                waiting_since_s = time.monotonic()

    async def _receive(self, within_s: float) -> Batch:
        try:
            async with asyncio.timeout(within_s):
                data = await self._stream.receive()
        except TimeoutError:
            raise bad_request(
                f"Your request timed out because no new audio was received for {self._limits.idle_s:g} seconds."
            ) from None
        batch = self._audio.feed(data, time.time())
        self._calls.count(OPERATION, "chunks", batch.frames)
        self._calls.count(OPERATION, "audio_bytes", len(batch.pcm))
        return batch

    async def _hear(self, pcm: bytes) -> None:
        self._heard_bytes += len(pcm)
        longest_s = max(self._heard_bytes / _BYTES_PER_S, time.monotonic() - self._started_s)
        if longest_s > self._limits.max_stream_s:
            raise limit_exceeded(f"Your stream exceeded the maximum duration of {self._limits.max_stream_s:g} seconds.")
        await self._say(await self._recogniser.feed(pcm))

    async def _say(self, results: Iterable[Result]) -> None:
        for result in results:
            self._calls.count(OPERATION, "partial_results" if result.is_partial else "final_results")
            await self._outbox.put(transcript_event([result], stabilised=self._request.stability is not None))

    async def _apply_fault(self) -> None:
        fault = self._fault
        if fault is None or self._audio.frames < fault.after_frames:
            return
        match fault.kind:
            case "slow":
                self._outbox.delay_s = fault.delay_ms / 1000
            case "cut":
                cut(self._stream, fault)
            case "half_open":
                await self._stream.closed_by_client()
            case "partial":
                raise _EndEarly
            case "throttle" | "error":
                raise fault_error(fault)


def cut(stream: Stream, fault: Fault) -> None:
    """Drop the connection, with all streams on it; or with ``code`` ``RST_STREAM`` this stream alone."""
    if fault.code == "RST_STREAM":
        stream.reset()
    else:
        stream.cut()
    raise StreamClosed


def fault_error(fault: Fault) -> ServiceError:
    """The error that a fault asks for; a throttled caller is told so as the service does."""
    if fault.kind == "throttle":
        return limit_exceeded("Your client has exceeded one of the service's limits (a fault that was asked for).")
    return ServiceError(fault.code or "InternalFailureException", "A fault that was asked for.")
