"""The function `ingest`: one chunk of a speaker's audio, checked and put into the audio stream (rows A1 to A4, A7).

It does nothing else, and answers only after Kinesis has the record. Invocations that run at once in one process share
PutRecords; a lone one puts at once.
"""

import os
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from gateway import events
from gateway.errors import ErrorCode, WireError, as_wire_error, response
from gateway.events import Incoming
from gateway.lambdas import Event, Function, Handle, now_ms
from gateway.posts import Posts
from ingest import admission
from ingest.admission import Door, SendAudio
from ingest.doors import Doors, Entry
from ingest.rate import CLOSE_AFTER_MS, WARN_AFTER_MS
from streams import times
from streams.aws import Clients
from streams.errors import HeraldError
from streams.kinesis import OrderedWriter
from streams.records import AudioChunk, encode
from streams.resources import CONNECTIONS, DEFAULT_PREFIX, physical_name
from streams.settings import load
from streams.telemetry import Log, Metrics

WRITE_ATTEMPTS: Final = 3
"""Row S5."""
IN_FLIGHT: Final = 1
"""PutRecords at once: the next is filled while one is on its way. A call costs the client as much as 30 records."""
PACE_S: Final = 0.01
"""From one PutRecords of several chunks to the next, so that many speakers share them; a lone one never waits."""
_NO_ANSWER: Final[dict[str, Any]] = {"statusCode": 200}


class Settings(msgspec.Struct, frozen=True):
    """What this function reads from the environment (row X5)."""

    herald_prefix: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]+$")] = DEFAULT_PREFIX
    max_audio_chunks_per_second: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 50


class AudioReceived(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="audioReceived"):
    """Kinesis has the chunk (row W2). timestamp: Unix seconds."""

    session_id: str
    timestamp: int
    sequence: int | msgspec.UnsetType | None = msgspec.UNSET


class Ingest(NamedTuple):
    """What a chunk needs on its way in."""

    doors: Doors
    writer: OrderedWriter
    posts: Callable[[], Any]
    now_ms: Callable[[], int]
    log: Log
    metrics: Metrics

    async def handle(self, event: Event, _: Any) -> dict[str, Any]:
        """The response to a `sendAudio` message. Raises WireError for what is not the speaker's fault."""
        started_s = time.perf_counter()
        incoming = events.read(event)
        self.metrics.add("AudioChunksReceived")
        try:
            return await self._take(incoming)
        except WireError as error:
            self._count(error)
            return response(_naming(error, incoming))
        except HeraldError as error:
            self.log.error("handle", str(error), code=error.code)
            raise _naming(as_wire_error(error), incoming) from error
        finally:
            self.metrics.add("AudioProcessingLatency", (time.perf_counter() - started_s) * 1000, "Milliseconds")

    async def _take(self, incoming: Incoming) -> dict[str, Any]:
        async with self.doors.visit(incoming.connection_id) as visit:
            entry = visit.entry
            await self.doors.look_again(incoming.connection_id, visit)
            door = admission.check_door(entry.door)
            message = admission.parse(incoming.body)
            admission.check_session(door, message)
            admission.check_size(message)
            if not await self.doors.admit(incoming.connection_id, visit, incoming.arrived_ms):
                raise await self._over_the_limit(incoming.connection_id, entry)
            pcm = admission.decode_audio(message)
            fault = entry.format.check(pcm)
            if fault is not None:
                raise WireError(ErrorCode.INVALID_AUDIO_FORMAT, "Audio must be PCM16LE, mono, 16 kHz.", reason=fault)
            self.doors.refresh_ahead(incoming.connection_id, entry)
            chunk = _chunk(door, incoming, message, pcm)
            written = self.writer.put(door.session_id, encode(chunk), together=chunk.sequence is not None)
        try:
            await written
        except HeraldError:
            entry.failures += 1  # what came meanwhile is refused with it
            raise
        if not door.acknowledge:
            return _NO_ANSWER
        received = AudioReceived(
            door.session_id, self.now_ms() // 1000, msgspec.UNSET if message.sequence is None else message.sequence
        )
        return {"statusCode": 200, "body": msgspec.json.encode(received).decode()}

    async def _over_the_limit(self, connection_id: str, entry: Entry) -> WireError:
        """The refusal; after 5 s of violation it warns, after 30 s the connection is closed (row W21)."""
        now_ms = self.now_ms()
        violation_ms = entry.window.violation_ms(now_ms)
        self.metrics.add("RateLimitViolations", type="audio")
        if violation_ms >= CLOSE_AFTER_MS:
            self.metrics.add("ConnectionsClosedForRateLimit")
            self.doors.forget(connection_id)
            await (await self.posts()).disconnect(connection_id)
        details: dict[str, Any] = {}
        if violation_ms >= WARN_AFTER_MS:
            details = {"violationMs": round(violation_ms), "closedAfterMs": CLOSE_AFTER_MS}
        return WireError(ErrorCode.RATE_LIMIT_EXCEEDED, "Chunks come faster than allowed.", **details)

    def _count(self, error: WireError) -> None:
        if error.code is ErrorCode.INVALID_AUDIO_FORMAT:
            self.metrics.add("AudioValidationErrors")
        self.metrics.add("AudioChunksDropped")


def _naming(error: WireError, incoming: Incoming) -> WireError:
    """The refusal with the chunk's sequence, if it has one: a speaker that has several on the way must know which."""
    try:
        sequence = admission.parse(incoming.body).sequence
    except WireError:
        return error
    return error if sequence is None else WireError(error.code, error.message, **error.details, sequence=sequence)


def _chunk(door: Door, incoming: Incoming, message: SendAudio, pcm: bytes) -> AudioChunk:
    captured_ms = None if message.timestamp is None else int(message.timestamp)
    passed = {times.ADMITTED: incoming.arrived_ms}
    if captured_ms is not None:
        passed[times.CAPTURED] = captured_ms
    return AudioChunk(
        session_id=door.session_id,
        connection=door.audio_count or events.connection_hash(incoming.connection_id),
        admitted_at_ms=incoming.arrived_ms,
        pcm=pcm,
        sequence=message.sequence,
        captured_at_ms=captured_ms,
        times_ms=passed,
    )


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    settings = load(Settings, os.environ)
    clients = await stack.enter_async_context(Clients())
    prefix = settings.herald_prefix
    writer = OrderedWriter(
        await clients.get("kinesis"),
        physical_name(prefix, "audio"),
        attempts=WRITE_ATTEMPTS,
        in_flight=IN_FLIGHT,
        pace_s=PACE_S,
    )
    stack.push_async_callback(writer.close)
    table = physical_name(prefix, CONNECTIONS.name)
    limit = settings.max_audio_chunks_per_second
    dynamodb = await clients.get("dynamodb")
    doors = Doors(dynamodb, table, limit, secrets.token_hex(4), now_ms, lambda: metrics.add("DynamoDBErrors"))

    async def posts() -> Posts:
        return Posts(await clients.get("apigatewaymanagementapi"))

    return Ingest(doors, writer, posts, now_ms, log, metrics).handle


FUNCTION: Final = Function("ingest", open_function)


async def handle(event: Event, context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: Event, context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
