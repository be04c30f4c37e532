"""The journal: every step of every stage, so that a run can be repeated exactly (design: the driver).

Inputs are named by position, replies kept in full, timers by their time. Steps are gathered per session and written in
batches off the hot path. What cannot be kept is counted and marked in the journal itself: a gap says so.
"""

import asyncio
from typing import Any, Final, Literal

import msgspec

from streams.errors import HeraldError
from streams.kinesis import OrderedWriter
from streams.stage import Position, Reply
from streams.telemetry import Log

FLUSH_EVERY_S: Final = 1.0
MAX_RECORD_BYTES: Final = 900_000
"""Below Kinesis' 1 MiB, with room for the partition key and the envelope."""
MAX_WAITING_BYTES: Final = 32 << 20


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One step. what: an input was given (its shard and sequence number), a reply, a timer; `lost`: so many missing."""

    what: Literal["start", "input", "reply", "timer", "lost"]
    now_ms: int
    position: tuple[str, str] | None = None  # a sequence number is beyond MessagePack's integers: as text
    reply: Reply | None = None
    lost: int = 0


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag="journal", tag_field="kind"):
    """Steps of one session in one stage, in order. worker: who did them; release: which version of the code."""

    session_id: str
    stage: str
    worker: str
    release: str
    steps: list[Step]
    v: int = 1


class Journal:
    """One stage's journal. `off` when writer is None: then replay has inputs, but no replies."""

    def __init__(self, writer: OrderedWriter | None, stage: str, worker: str, release: str, log: Log) -> None:
        self._writer = writer
        self._stage = stage
        self._worker = worker
        self._release = release
        self._log = log
        self._steps: dict[str, list[bytes]] = {}
        self._waiting_bytes = 0
        self._lost: dict[str, int] = {}
        self._encoder = msgspec.msgpack.Encoder()

    def note(
        self,
        session_id: str,
        what: Literal["start", "input", "reply", "timer"],
        now_ms: int,
        position: Position | None = None,
        reply: Reply | None = None,
    ) -> None:
        """Note a step."""
        if self._writer is None:
            return
        row: list[Any] = [
            what,
            now_ms,
            None if position is None else [position.shard_id, str(position.sequence)],
            reply,
        ]
        data = self._encoder.encode(row)
        if self._waiting_bytes + len(data) > MAX_WAITING_BYTES or len(data) > MAX_RECORD_BYTES:
            self._lost[session_id] = self._lost.get(session_id, 0) + 1
            return
        steps = self._steps.setdefault(session_id, [])
        if lost := self._lost.pop(session_id, 0):
            steps.append(self._encoder.encode(["lost", now_ms, None, None, lost]))
        steps.append(data)
        self._waiting_bytes += len(data)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what has been gathered."""
        if self._writer is None or not self._steps:
            return
        steps, self._steps = self._steps, {}
        self._waiting_bytes = 0
        puts = [
            (session_id, count, self._writer.put(session_id, data))
            for session_id, rows in steps.items()
            for count, data in self._entries(session_id, rows)
        ]
        for session_id, count, put in puts:
            try:
                await put
            except HeraldError as error:
                self._lost[session_id] = self._lost.get(session_id, 0) + count
                self._log.error("journal", "steps lost; replay will say so", session_id, code=error.code)

    def _entries(self, session_id: str, rows: list[bytes]) -> list[tuple[int, bytes]]:
        entries: list[tuple[int, bytes]] = []
        group: list[msgspec.Raw] = []
        size = 0
        for row in rows:
            if group and size + len(row) > MAX_RECORD_BYTES:
                entries.append((len(group), self._entry(session_id, group)))
                group, size = [], 0
            group.append(msgspec.Raw(row))
            size += len(row)
        entries.append((len(group), self._entry(session_id, group)))
        return entries

    def _entry(self, session_id: str, rows: list[msgspec.Raw]) -> bytes:
        return self._encoder.encode(
            {
                "kind": "journal",
                "v": 1,
                "sessionId": session_id,
                "stage": self._stage,
                "worker": self._worker,
                "release": self._release,
                "steps": rows,
            }
        )
