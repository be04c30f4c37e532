"""What the simulation runs beside the copying stage: one that asks a moody service, and numbers what it emits."""

import asyncio
import random
import zlib
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from streams import state as snapshots
from streams.errors import Refused, Throttled
from streams.records import AudioChunk, Record
from streams.stage import Call, Done, Effect, Emit, Input, Position, Reject, Replies, Reply, Request


def is_refused(session_id: str, sequence: int) -> bool:
    """Which questions the service says no to: always the same."""
    return zlib.crc32(f"{session_id}/{sequence}".encode()) % 7 == 0


class Ask(Request, frozen=True):
    """A question about one chunk."""

    dependency: ClassVar[str] = "oracle"
    time_limit_s: ClassVar[float] = 0.8

    sequence: int


class AskOnce(Ask, frozen=True):
    """The same, without a second try."""

    attempts: ClassVar[int] = 1


HANGS = 9.0
"""A session that gets no answer fails so often."""


class Oracle:
    """Answers, refuses, fails in passing, is slow, or says nothing at all. failing: how often, by session; "": all."""

    name = "oracle"

    def __init__(self, rng: random.Random, failing: dict[str, float]) -> None:
        self._random = rng
        self._failing = failing

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Any:
        assert isinstance(request, Ask)
        draw = self._random.random
        await asyncio.sleep(60 if self._failing.get(session_id) == HANGS else 0.3 * draw() ** 4)
        if draw() < max(self._failing[""], self._failing.get(session_id, 0.0)):
            if draw() < 0.3:
                await asyncio.sleep(60)
            raise Throttled("moody")
        if is_refused(session_id, request.sequence):
            raise Refused("no")
        return request.sequence

    async def close(self) -> None:
        return


class _State(msgspec.Struct):
    """As release 1 writes it."""

    v: int = 1
    last: int = -1
    count: int = 0


class _StateOf2(msgspec.Struct):
    """As release 2 writes it: under another name; `counted` is what release 1 wrote."""

    v: int = 2
    last: int = -1
    numbers: int = 0
    counted: int = msgspec.field(default=0, name="count")


class AskStage:
    """Asks about each chunk, and emits the answers in the order of the chunks, each with its running number.

    What cannot be answered is rejected, but counted: so what a stage must remember is more than what it has emitted.
    The number travels in `captured_at_ms`. release: 1 or 2.
    """

    def __init__(self, session_id: str, snapshot: bytes | None, release: int = 1) -> None:
        self._session_id = session_id
        kind: type[_State | _StateOf2] = _State if release == 1 else _StateOf2
        state = snapshots.decode(snapshot, kind, release) if snapshot else kind()
        self._release = release
        self._last = state.last
        self._count = state.count if isinstance(state, _State) else max(state.numbers, state.counted)
        self._open: dict[int, tuple[Position, AudioChunk]] = {}  # each chunk with its number
        self._answers: dict[int, Reply] = {}
        self._again: list[int] = []
        self._wake_at_ms: int | None = None

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        chunk = received.record
        assert isinstance(chunk, AudioChunk)
        assert chunk.sequence is not None
        if chunk.sequence <= self._last:
            return [Done(received.position)]
        self._open[chunk.sequence] = (
            received.position,
            msgspec.structs.replace(chunk, captured_at_ms=self._count),
        )
        self._last = chunk.sequence  # at once: a snapshot is used when all that it covers is settled
        self._count += 1
        return [self._ask(chunk.sequence)]

    def _ask(self, sequence: int) -> Call:
        crc = zlib.crc32(self._session_id.encode())
        request = AskOnce(sequence) if crc % 3 == 0 else Ask(sequence)
        return Call(str(sequence), request, lane="one" if crc % 2 else "")

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        sequence = int(reply.call_id)
        if sequence not in self._open:
            return
        if reply.failure is not None and reply.failure.retryable:
            self._again.append(sequence)
            self._wake_at_ms = now_ms + 500
            return
        self._answers[sequence] = reply
        while self._open and (first := next(iter(self._open))) in self._answers:
            position, chunk = self._open.pop(first)
            failure = self._answers.pop(first).failure
            if failure is not None:
                yield Reject(position, failure)
                continue
            yield Emit(chunk)
            yield Done(position)

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        again, self._again, self._wake_at_ms = self._again, [], None
        return [self._ask(sequence) for sequence in again]

    def wake_at_ms(self) -> int | None:
        return self._wake_at_ms

    def held_bytes(self) -> int:
        return 0

    def snapshot(self) -> bytes:
        state = _State(1, self._last, self._count) if self._release == 1 else _StateOf2(2, self._last, self._count)
        return snapshots.encode(state)

    def on_emitted(self, record: Record) -> None:
        assert isinstance(record, AudioChunk)
        assert record.sequence is not None
        assert record.captured_at_ms is not None
        if record.captured_at_ms >= self._count:  # a put whose answer was lost is there twice
            self._count = record.captured_at_ms + 1
            self._last = max(self._last, record.sequence)
