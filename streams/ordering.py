"""Puts a session's chunks back into the order of speech (row A4). Pure: the time comes in with each step.

Concurrent Lambdas reorder chunks on their way into the stream. With the speaker's own sequence numbers a chunk is
passed on as soon as it is the next one, and a missing one is waited for. Without them, order is by capture time, else
by the gateway's, and every chunk waits for earlier ones.

The wait is measured in the stream's own time: a chunk that is not there when the stream has gone on by WAIT_MS will not
come. The wait begins anew, for STALL_MS at the most, when the chunk comes that is next: a speaker who sends again what
was refused sends it in order. A reader that is behind, or was held up, must not conclude anything from its own clock;
that counts only after STALL_MS, for when the stream itself has stopped.

What is remembered, to tell a chunk that is new from a repeat and from one that comes too late, is bounded and goes with
the session to its next owner (`Memory`). What waits is bounded by the wait and by the rate that the door allows.
"""

from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from streams.records import AudioChunk
from streams.stage import Input

WAIT_MS: Final = 1_500
"""How long a missing chunk is waited for: as long as it takes to refuse one in passing (three tries, 0.5 s) and the
speaker to send it again, while what had been sent behind it is written; the spread of concurrent Lambda invocations is
some 10 ms."""
UNNUMBERED_WAIT_MS: Final = 100
UNNUMBERED_STALL_MS: Final = 2_000
"""The same for chunks without numbers, which wait for what may not exist: longer than a page is ever in coming."""
STALL_MS: Final = 10_000
"""Without anything new in the stream for so long, nobody is waited for: longer than most outages in which a speaker
tries again and again. Nothing waits longer."""
REMEMBERED: Final = 256
"""Chunks by which a repeat, or a late one, is recognised: 25 s of 100 ms chunks."""
CONNECTIONS_REMEMBERED: Final = 4


class Ordered(NamedTuple):
    """Chunks to pass on, in order; repeats, to be settled silently; and late ones, whose place has been passed."""

    ready: list[Input]
    repeated: list[Input]
    late: list[Input]


class Memory(msgspec.Struct):
    """What a snapshot keeps, besides the chunks that wait.

    expected: by connection, the sequence that is next. skipped: by connection, sequences that were given up on; if they
    come, they are late. passed: identities of chunks without a number; last_unnumbered_ms: up to where those passed.
    moved_ms: by connection, where the stream stood when the chunk that was next came last (Unix). reopened: connections
    whose next chunk follows a gap that is known.
    """

    expected: dict[str, int] = {}
    skipped: dict[str, list[int]] = {}
    passed: list[int] = []
    last_unnumbered_ms: int = -1
    moved_ms: dict[str, int] = {}
    reopened: list[str] = []


class Ordering:
    """The order of one session's chunks."""

    def __init__(self, memory: Memory | None = None) -> None:
        memory = memory or Memory()
        self._last_unnumbered_ms = memory.last_unnumbered_ms
        self._next = dict(memory.expected)
        self._waiting: dict[tuple[str, int], Input] = {}
        self._unnumbered: dict[int, Input] = {}  # by identity
        self._moved_at_ms: int | None = None  # when, by the reader's clock, the stream moved last
        self._passed = dict.fromkeys(memory.passed)
        self._skipped = {(connection, one): None for connection, many in memory.skipped.items() for one in many}
        self._stream_ms = 0  # how far the stream has come
        self._moved_ms = dict(memory.moved_ms)
        self._reopened = set(memory.reopened)

    def memory(self) -> Memory:
        """What a snapshot keeps."""
        skipped: dict[str, list[int]] = {}
        for connection, sequence in self._skipped:
            skipped.setdefault(connection, []).append(sequence)
        reopened = sorted(self._reopened)
        moved_ms = dict(self._moved_ms)
        return Memory(dict(self._next), skipped, list(self._passed), self._last_unnumbered_ms, moved_ms, reopened)

    def waiting(self) -> list[tuple[Input, int]]:
        """The chunks that wait here, each with its `identity` if it has no number, else 0."""
        numbered = [(one, 0) for one in self._waiting.values()]
        return numbered + [(one, known_as) for known_as, one in self._unnumbered.items()]

    def wake_at_ms(self) -> int | None:
        """When the wait is over by the reader's clock."""
        if self._moved_at_ms is None or not (self._waiting or self._unnumbered):
            return None
        is_brief = self._unnumbered or any(connection in self._reopened for connection, _ in self._waiting)
        return self._moved_at_ms + (UNNUMBERED_STALL_MS if is_brief else STALL_MS)

    def postpone(self, now_ms: int) -> None:
        """The stream moves, or the reader is held up and cannot know: its clock says nothing about what is missing."""
        self._moved_at_ms = now_ms

    def reopen(self) -> None:
        """The door was shut for a while: a chunk that is missing before the next was refused, and will not come.

        So the next waits only for those that may overtake each other on their way, as chunks without numbers do.
        """
        self._reopened = set(self._next)

    def push(self, received: Input, now_ms: int) -> Ordered:
        """Take a chunk."""
        self.postpone(now_ms)
        return self._push(received, now_ms)

    def put_back(self, received: Input, known_as: int) -> None:
        """After a restore: let a chunk wait that had been waiting. Unlike `push` it says nothing about the present.

        known_as: its `identity`, which its sound may no longer give.
        """
        self._push(received, 0, known_as)

    def _push(self, received: Input, now_ms: int, known_as: int | None = None) -> Ordered:
        self._stream_ms = max(self._stream_ms, received.written_ms)
        chunk = _chunk(received)
        if chunk.sequence is None:
            return self._push_unnumbered(received, identity(chunk) if known_as is None else known_as, now_ms)
        key = (chunk.connection, chunk.sequence)
        expected = self._next.get(chunk.connection)
        if key in self._waiting:
            return self._release(now_ms, [received], [])
        if expected is not None and chunk.sequence < expected:
            if self._skipped.pop(key, 0) is None:
                return self._release(now_ms, [], [received])
            return self._release(now_ms, [received], [])
        if chunk.sequence == expected:
            self._moved_ms[chunk.connection] = self._stream_ms
        self._waiting[key] = received
        return self.release(now_ms)

    def release(self, now_ms: int, *, everything: bool = False) -> Ordered:
        """What may pass now; `everything` at the end of a session."""
        ready = self._release_unnumbered(now_ms, everything)
        ready += self._release_in_sequence()
        while over := [key for key, one in self._waiting.items() if everything or self._is_over(one, WAIT_MS, now_ms)]:
            self._skip_to_first_waiting(min(over, key=self._age)[0])
            ready += self._release_in_sequence()
        return Ordered(ready, [], [])

    def _age(self, key: tuple[str, int]) -> tuple[int, int]:
        return self._waiting[key].written_ms, key[1]

    def _release(self, now_ms: int, repeated: list[Input], late: list[Input]) -> Ordered:
        return Ordered(self.release(now_ms).ready, repeated, late)

    def _is_over(self, received: Input, wait_ms: int, now_ms: int) -> bool:
        stall_ms = STALL_MS if _chunk(received).sequence is not None else UNNUMBERED_STALL_MS
        if _chunk(received).connection in self._reopened:
            wait_ms, stall_ms = UNNUMBERED_WAIT_MS, UNNUMBERED_STALL_MS
        stalled = self._moved_at_ms is not None and now_ms >= self._moved_at_ms + stall_ms
        since_ms = max(received.written_ms, self._moved_ms.get(_chunk(received).connection, 0))
        waited_ms = self._stream_ms - received.written_ms
        return stalled or self._stream_ms - since_ms >= wait_ms or waited_ms >= STALL_MS

    def _push_unnumbered(self, received: Input, known_as: int, now_ms: int) -> Ordered:
        if known_as in self._passed or known_as in self._unnumbered:
            return self._release(now_ms, [received], [])
        if _spoken_ms(received) < self._last_unnumbered_ms:
            return self._release(now_ms, [], [received])
        self._unnumbered[known_as] = received
        return self.release(now_ms)

    def _release_unnumbered(self, now_ms: int, everything: bool) -> list[Input]:
        waiting = self._unnumbered.values()
        over = [one for one in waiting if everything or self._is_over(one, UNNUMBERED_WAIT_MS, now_ms)]
        if not over:
            return []
        edge_ms = self._last_unnumbered_ms = max(map(_spoken_ms, over))
        ready = {known_as: one for known_as, one in self._unnumbered.items() if _spoken_ms(one) <= edge_ms}
        for known_as in ready:
            del self._unnumbered[known_as]
        self._passed |= dict.fromkeys(ready)
        _keep_newest(self._passed, REMEMBERED)
        return sorted(ready.values(), key=_spoken_ms)

    def _release_in_sequence(self) -> list[Input]:
        ready = []
        for connection, sequence in list(self._waiting):
            if connection not in self._next and sequence == 0:
                self._expect(connection, 0)
        for connection in list(self._next):
            while (one := self._waiting.pop((connection, self._next[connection]), None)) is not None:
                ready.append(one)
                self._next[connection] += 1
                self._reopened.discard(connection)
        return ready

    def _skip_to_first_waiting(self, connection: str) -> None:
        first = min(sequence for other, sequence in self._waiting if other == connection)
        expected = self._next.get(connection)
        if expected is not None:
            for sequence in range(max(expected, first - REMEMBERED), first):
                self._skipped[connection, sequence] = None
        _keep_newest(self._skipped, REMEMBERED)
        self._expect(connection, first)

    def _expect(self, connection: str, sequence: int) -> None:
        self._next.pop(connection, None)
        self._next[connection] = sequence
        _keep_newest(self._next, CONNECTIONS_REMEMBERED)
        self._moved_ms = {known: self._moved_ms.get(known, 0) for known in self._next}


def _keep_newest(rows: dict[Any, Any], count: int) -> None:
    while len(rows) > count:
        del rows[next(iter(rows))]


def _spoken_ms(received: Input) -> int:
    """By what chunks without a number are ordered."""
    chunk = _chunk(received)
    return chunk.captured_at_ms if chunk.captured_at_ms is not None else chunk.admitted_at_ms


def identity(chunk: AudioChunk) -> int:
    """By what a chunk without a number is recognised when it was written twice: 64 bits."""
    said = f"{chunk.connection} {chunk.admitted_at_ms} {chunk.captured_at_ms} ".encode()
    return int.from_bytes(blake2b(said + chunk.pcm, digest_size=8).digest())


def _chunk(received: Input) -> AudioChunk:
    assert isinstance(received.record, AudioChunk)
    return received.record
