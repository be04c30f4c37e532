"""The adapter to Amazon Transcribe Streaming, and the only file that knows its client, `amazon-transcribe`.

What the client does not do, and is done here:

- It waits for ever for headers that never come: opening has a time limit, and after one that passed, new streams get
  a new connection.
- It ends the results normally when the connection drops: an end that was not asked for, or that the connection did not
  confirm, is `StreamBroken`.
- It queues what is written to a dead stream: writes there are refused, and a write returns when all but QUEUE_BYTES of
  the queue is on its way.
- Its futures must not be cancelled, since its own thread still sets them: what waits on one is left behind to end
  by itself, and is cancelled only when its connection is closed.
- Its thread asks an open request for more without a pause, which costs a core from the first stream to the last: a body
  with nothing to read lets it wait a moment.
- A stream let go of stays open until the server ends it: its request body is ended, and the server follows.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from io import BufferedIOBase
from typing import Any, Final

from amazon_transcribe import exceptions as sdk
from amazon_transcribe.client import TranscribeStreamingClient
from amazon_transcribe.endpoints import BaseEndpointResolver
from amazon_transcribe.httpsession import AwsCrtHttpSessionManager
from awscrt.exceptions import AwsCrtError

from stages.transcribe.requests import (
    DEPENDENCY,
    Abandon,
    EndAudio,
    Ended,
    Heard,
    Opened,
    OpenRecogniser,
    RecognisedWord,
    Result,
    SendAudio,
    Taken,
)
from streams.errors import HeraldError, Refused, StreamBroken, Throttled, TimedOut, Unavailable
from streams.records import SAMPLE_RATE_HZ
from streams.stage import Replies, Request

OPEN_LIMIT_S: Final = 4.5
"""Under the driver's limit for the first reply, so that it is noticed here."""
QUEUE_BYTES: Final = 6_400
"""200 ms of audio may wait for the client's thread."""
QUEUE_POLL_S: Final = 0.005
"""The client's queue tells nobody when it has been read."""
PAUSE_S: Final = 0.005
"""How long the client's thread rests when its streams have nothing to send; so late may sound and words be by it."""
CLOSE_LIMIT_S: Final = 2.0
ABANDONED_REMEMBERED: Final = 1_000
"""Streams whose opening may still be under way: twice row N9's ceiling of sessions."""


class TranscribeStreaming:
    """A `Service`: any number of streams over one connection."""

    name = DEPENDENCY

    def __init__(self, region: str, endpoint_url: str = "") -> None:
        self._region = region
        self._endpoint_url = endpoint_url
        self._line = self._new_line()
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._abandoned: OrderedDict[tuple[str, str], None] = OrderedDict()

    def _new_line(self) -> "_Line":
        resolver = _Endpoint(self._endpoint_url) if self._endpoint_url else None
        return _Line(TranscribeStreamingClient(region=self._region, endpoint_resolver=resolver))

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Any:
        """Do what a request of `requests` asks."""
        match request:
            case OpenRecogniser():
                return await self._open((session_id, request.stream), request.language_code, replies)
            case SendAudio():
                await self._stream(session_id, request.stream).send(request.pcm)
            case EndAudio():
                await self._stream(session_id, request.stream).end()
            case Abandon():
                self._abandon((session_id, request.stream))
            case _:
                raise Refused(f"{type(request).__name__} is no request for a recogniser")
        return Taken()

    async def close(self) -> None:
        """Let go of all streams and connections."""
        for stream in list(self._streams.values()):
            stream.abandon()
        await self._line.close()

    def _abandon(self, key: tuple[str, str]) -> None:
        """Let go of a stream; one that is still to be opened, or opened at another try, will not be."""
        self._abandoned[key] = None
        if len(self._abandoned) > ABANDONED_REMEMBERED:
            self._abandoned.popitem(last=False)
        stream = self._streams.get(key)
        if stream is not None:
            stream.abandon()

    def _stream(self, session_id: str, name: str) -> "_Stream":
        stream = self._streams.get((session_id, name))
        if stream is None:
            raise StreamBroken("the stream is gone")
        return stream

    async def _open(self, key: tuple[str, str], language_code: str, replies: Replies) -> Ended:
        if key in self._abandoned:
            raise Refused("the stream was abandoned before it was open", code="Abandoned")
        stream = self._streams[key] = _Stream(self._line)
        try:
            try:
                await stream.start(language_code)
            except TimedOut:
                if self._line is stream.line:
                    self._line = self._new_line()
                raise
            replies(Opened())
            await stream.listen(replies)
            return Ended()
        finally:
            if self._streams.get(key) is stream:
                del self._streams[key]
            stream.abandon()
            stream.line.leave(stream, retired=stream.line is not self._line)


class _Endpoint(BaseEndpointResolver):
    """One address, whatever the region."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def resolve(self, region: str) -> str:
        return self._url


class _Rest:
    """Rests the client's thread once for each time that it has asked all open streams in vain."""

    def __init__(self, open_streams: Callable[[], int]) -> None:
        self._open_streams = open_streams
        self._in_vain = 0

    def note_empty(self) -> None:
        """A stream had nothing."""
        self._in_vain += 1
        if self._in_vain >= self._open_streams():
            self._in_vain = 0
            time.sleep(PAUSE_S)


class _Body:
    """A request's body as the client's thread reads it."""

    def __init__(self, body: BufferedIOBase, rest: _Rest) -> None:
        self._body = body
        self._rest = rest

    def read(self, size: int) -> bytes:
        """What there is, empty at the end. Raises BlockingIOError when there is nothing yet."""
        try:
            return self._body.read(size)
        except BlockingIOError:
            self._rest.note_empty()
            raise


class _Connections(AwsCrtHttpSessionManager):
    """The client's, with bodies that let its thread rest."""

    def __init__(self, event_loop: Any, rest: _Rest) -> None:
        super().__init__(event_loop)  # type: ignore[no-untyped-call]
        self._rest = rest

    async def make_request(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """As the client asks for it."""
        resting: Any = _Body(body, self._rest)
        return await super().make_request(url, method, headers, resting)


class _Line:
    """A client with its connection, the streams on it, and what was left behind."""

    def __init__(self, client: TranscribeStreamingClient) -> None:
        self.client = client
        self._streams: set[_Stream] = set()
        client._session_manager = _Connections(client._eventloop, _Rest(lambda: len(self._streams)))
        self._left_behind: set[asyncio.Task[Any]] = set()

    def join(self, stream: "_Stream") -> None:
        self._streams.add(stream)

    def leave(self, stream: "_Stream", *, retired: bool) -> None:
        """Close the connection when the last stream leaves one that gets no new ones."""
        self._streams.discard(stream)
        if retired and not self._streams:
            self._disconnect()

    def leave_behind(self, task: asyncio.Task[Any]) -> None:
        """Let a task end by itself; nobody wants its result."""
        self._left_behind.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._left_behind.discard(task)
        if not task.cancelled():
            task.exception()

    def _disconnect(self) -> None:
        for connection in self.client._session_manager._connections.values():  # the client offers no way to close
            connection.close()
        asyncio.get_running_loop().call_later(CLOSE_LIMIT_S, self._cancel_left_behind)

    def _cancel_left_behind(self) -> None:
        for task in list(self._left_behind):
            task.cancel()

    async def close(self) -> None:
        self._disconnect()
        if self._left_behind:
            await asyncio.wait(self._left_behind, timeout=CLOSE_LIMIT_S)
        self._cancel_left_behind()
        await asyncio.gather(*self._left_behind, return_exceptions=True)


class _Stream:
    """One recogniser stream."""

    def __init__(self, line: _Line) -> None:
        self.line = line
        self._abandoned = asyncio.get_running_loop().create_future()
        self._client_stream: Any = None
        self._ending = False
        line.join(self)

    async def start(self, language_code: str) -> None:
        """Open it. Raises TimedOut, Throttled, Unavailable, Refused."""
        starting = asyncio.create_task(
            self.line.client.start_stream_transcription(
                language_code=language_code,
                media_sample_rate_hz=SAMPLE_RATE_HZ,
                media_encoding="pcm",
                enable_partial_results_stabilization=True,
                partial_results_stability="high",
            )
        )
        starting.add_done_callback(self._on_started)
        await self._wait(starting, OPEN_LIMIT_S)
        try:
            starting.result()
        except Exception as error:
            raise _as_error(error, "opening") from error

    def _on_started(self, starting: asyncio.Task[Any]) -> None:
        if starting.cancelled() or starting.exception() is not None:
            return
        self._client_stream = starting.result()
        if self._abandoned.done():  # it came too late
            self._end_body()

    async def listen(self, replies: Replies) -> None:
        """Give `replies` what is heard, until the end that was asked for. Raises StreamBroken and what `start` does."""
        listening = asyncio.create_task(self._listen(replies))
        await self._wait(listening, None)
        try:
            listening.result()
        except HeraldError:
            raise
        except Exception as error:
            failure = _as_error(error, "listening")
            if not failure.retryable:  # it was opened, so it is not the request that is wrong
                raise StreamBroken(str(failure), code=failure.code) from error
            raise failure from error

    async def _listen(self, replies: Replies) -> None:
        results = self._client_stream.output_stream
        async for event in results:
            if event is not None and not self._abandoned.done():
                heard = [_as_result(result) for result in event.transcript.results if result.alternatives]
                if heard:
                    replies(Heard(heard))
        await results._raw_stream.done  # raises when the connection was lost: the iterator does not say
        if not self._ending:
            raise StreamBroken("the stream ended unasked")

    async def _wait(self, task: asyncio.Task[Any], limit_s: float | None) -> None:
        """Until the task is done. Raises TimedOut at the limit, StreamBroken when abandoned."""
        try:
            await asyncio.wait({task, self._abandoned}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                self.line.leave_behind(task)
        if task.done():
            return
        if self._abandoned.done():
            raise StreamBroken("the stream was abandoned")
        raise TimedOut(f"no answer to the opening of a stream within {limit_s} s")

    async def send(self, pcm: bytes) -> None:
        """Queue audio, and wait until there is room for more."""
        body = self._body()
        await self._write(self._client_stream.input_stream.send_audio_event(pcm))
        while sum(map(len, list(body._byte_chunks))) > QUEUE_BYTES:
            await asyncio.sleep(QUEUE_POLL_S)
            self._body()

    async def end(self) -> None:
        """Say that no more audio will come."""
        self._body()
        self._ending = True
        await self._write(self._client_stream.input_stream.end_stream())

    async def _write(self, writing: Awaitable[None]) -> None:
        """Signing may wait for credentials, and meanwhile the stream may end."""
        try:
            await writing
        except Exception as error:
            raise _as_error(error, "sending") from error

    def abandon(self) -> None:
        """Let go of it, as far as the client allows."""
        if not self._abandoned.done():
            self._abandoned.set_result(None)
            self._end_body()

    def _body(self) -> Any:
        if self._client_stream is None or self._abandoned.done() or self._ending:
            raise StreamBroken("the stream takes no audio")
        return self._client_stream.input_stream._input_stream

    def _end_body(self) -> None:
        if self._client_stream is not None:
            self._client_stream.input_stream._input_stream.close()


def _as_error(error: Exception, doing: str) -> HeraldError:
    """The client's errors in our words. The service's messages name limits, never what was said."""
    code = type(error).__name__
    message = f"{doing}: {code}: {getattr(error, 'message', '')}"
    match error:
        case HeraldError():
            return error
        case sdk.LimitExceededException():
            return Throttled(message, code=code)
        case sdk.InternalFailureException() | sdk.ServiceUnavailableException():
            return Unavailable(message, code=code)
        case sdk.UnknownServiceException():
            if error.status_code == 429:
                return Throttled(message, code=str(error.error_code))
            kind = Unavailable if error.status_code >= 500 else Refused
            return kind(message, code=str(error.error_code))
        case sdk.BadRequestException() | sdk.SerializationException() | sdk.ValidationException():
            return Refused(message, code=code)
        case sdk.ConflictException():
            return StreamBroken(message, code=code)
        case sdk.SDKError() | AwsCrtError():
            return Unavailable(message, code=code)
        case _:
            return StreamBroken(f"{doing}: {code}")


def _as_result(result: Any) -> Result:
    items = result.alternatives[0].items
    return Result(
        result_id=result.result_id,
        start_ms=_as_ms(result.start_time),
        end_ms=_as_ms(result.end_time),
        is_partial=result.is_partial,
        words=list(_as_words(items, result.is_partial)),
    )


def _as_words(items: Any, is_partial: bool) -> Iterator[RecognisedWord]:
    """Words, each with its punctuation. A final's words are stable; their confidence is settled only there."""
    word: RecognisedWord | None = None
    for item in items:
        stable = item.stable if is_partial else True
        if item.item_type == "punctuation":
            if word is not None:
                both = None if word.stable is None or stable is None else word.stable and stable
                word = RecognisedWord(word.text + item.content, word.start_ms, word.end_ms, word.confidence, both)
            continue
        if word is not None:
            yield word
        confidence = None if is_partial else item.confidence
        word = RecognisedWord(item.content, _as_ms(item.start_time), _as_ms(item.end_time), confidence, stable)
    if word is not None:
        yield word


def _as_ms(seconds: float | None) -> int:
    return round((seconds or 0.0) * 1_000)
