"""A stage that asks a service about each numbered chunk, one after another, and then emits it once."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import msgspec

from streams.records import AudioChunk, Record
from streams.stage import Call, Done, Effect, Emit, Input, Position, Replies, Reply, Request


class Question(Request, frozen=True):
    """About one chunk."""

    dependency: ClassVar[str] = "oracle"
    time_limit_s: ClassVar[float] = 600.0

    sequence: int


class Patient:
    """Answers at once, but not the sessions that are in `hanging`, nor before `ask` has returned."""

    name = "oracle"

    def __init__(self, ask: Callable[[], None] = lambda: None) -> None:
        self.hanging: set[str] = set()
        self.asked = 0
        self._ask = ask

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Any:
        self.asked += 1
        self._ask()
        while session_id in self.hanging:
            await asyncio.sleep(0.02)
        return None

    async def close(self) -> None:
        return


class AskingStage:
    """author: stands in `connection` of what it emits."""

    def __init__(self, author: str, snapshot: bytes | None) -> None:
        self._author = author
        self._last = msgspec.msgpack.decode(snapshot, type=int) if snapshot else -1
        self._open: dict[str, tuple[Position, AudioChunk]] = {}

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        chunk = received.record
        assert isinstance(chunk, AudioChunk)
        assert chunk.sequence is not None
        if chunk.sequence <= self._last or str(chunk.sequence) in self._open:
            return [Done(received.position)]
        self._open[str(chunk.sequence)] = (received.position, chunk)
        return [Call(str(chunk.sequence), Question(chunk.sequence), lane="one")]

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        position, chunk = self._open.pop(reply.call_id)
        assert reply.failure is None
        self._last = chunk.sequence or 0
        return [Emit(msgspec.structs.replace(chunk, connection=self._author)), Done(position)]

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        return []

    def wake_at_ms(self) -> int | None:
        return None

    def held_bytes(self) -> int:
        return sum(len(chunk.pcm) for _, chunk in self._open.values())

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self._last)

    def on_emitted(self, record: Record) -> None:
        assert isinstance(record, AudioChunk)
        assert record.sequence is not None
        self._last = max(self._last, record.sequence)
