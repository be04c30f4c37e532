"""A stage that copies numbered chunks, once each, whatever happens to its owner."""

from collections.abc import Iterable

import msgspec

from streams.records import AudioChunk, Record
from streams.stage import Done, Effect, Emit, Input, Reply


class CopyStage:
    """Emits each chunk whose number follows the last one that was emitted; what came before is only settled."""

    def __init__(self, session_id: str, snapshot: bytes | None) -> None:
        self._last = msgspec.msgpack.decode(snapshot, type=int) if snapshot else -1

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        chunk = received.record
        assert isinstance(chunk, AudioChunk)
        assert chunk.sequence is not None
        if chunk.sequence > self._last:
            self._last = chunk.sequence
            yield Emit(chunk)
        yield Done(received.position)

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        return []

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        return []

    def wake_at_ms(self) -> int | None:
        return None

    def held_bytes(self) -> int:
        return 0

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self._last)

    def on_emitted(self, record: Record) -> None:
        assert isinstance(record, AudioChunk)
        assert record.sequence is not None
        self._last = max(self._last, record.sequence)
