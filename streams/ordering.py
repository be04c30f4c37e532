"""Puts a session's chunks back into the order of speech (row A4). Pure: the time comes in with each step.

Concurrent Lambdas reorder chunks on their way into the stream. With the speaker's own sequence numbers a chunk is
passed on as soon as it is the next one, and a missing one is waited for `WAIT_MS` at the most. Without them, order is
by capture time, else by the gateway's, and every chunk waits `UNNUMBERED_WAIT_MS` for earlier ones.
"""

from typing import Final, NamedTuple

from streams.records import AudioChunk
from streams.stage import Input

WAIT_MS: Final = 400
"""How long a missing chunk is waited for: well over the spread of concurrent Lambda invocations (some 10 ms warm)."""
UNNUMBERED_WAIT_MS: Final = 100
REMEMBERED: Final = 256
"""Chunks by which a repeat is recognised, per connection: 25 s of 100 ms chunks."""
CONNECTIONS_REMEMBERED: Final = 4


class Ordered(NamedTuple):
    """Chunks to pass on, in order; repeats, to be settled silently; and late ones, whose place has been passed."""

    ready: list[Input]
    repeated: list[Input]
    late: list[Input]


class Ordering:
    """The order of one session's chunks."""

    def __init__(self, state: dict[str, int] | None = None) -> None:
        self._next: dict[str, int] = dict(state or {})  # by connection: the sequence expected next
        self._waiting: dict[tuple[str, int], tuple[int, Input]] = {}
        self._unnumbered: list[tuple[int, int, Input]] = []
        self._last_unnumbered_ms = -1
        self._skipped: dict[tuple[str, int], None] = {}  # sequences given up on: if they come, they are late

    def state(self) -> dict[str, int]:
        """What a snapshot keeps: the sequence expected next, by connection."""
        return dict(self._next)

    def held_bytes(self) -> int:
        """Audio that waits here."""
        waiting = sum(len(_chunk(received).pcm) for _, received in self._waiting.values())
        return waiting + sum(len(_chunk(received).pcm) for _, _, received in self._unnumbered)

    def wake_at_ms(self) -> int | None:
        """When somebody's wait is over."""
        times = [due for due, _ in self._waiting.values()] + [due for due, _, _ in self._unnumbered]
        return min(times, default=None)

    def push(self, received: Input, now_ms: int) -> Ordered:
        """Take a chunk."""
        chunk = _chunk(received)
        if chunk.sequence is None:
            at_ms = chunk.captured_at_ms if chunk.captured_at_ms is not None else chunk.admitted_at_ms
            if at_ms < self._last_unnumbered_ms:
                return Ordered([], [], [received])
            self._unnumbered.append((now_ms + UNNUMBERED_WAIT_MS, at_ms, received))
            return self.release(now_ms)
        key = (chunk.connection, chunk.sequence)
        expected = self._next.get(chunk.connection)
        if key in self._waiting:
            return Ordered([], [received], [])
        if expected is not None and chunk.sequence < expected:
            if self._skipped.pop(key, 0) is None:
                return Ordered([], [], [received])
            return Ordered([], [received], [])
        self._waiting[key] = (now_ms + WAIT_MS, received)
        return self.release(now_ms)

    def release(self, now_ms: int, *, everything: bool = False) -> Ordered:
        """What may pass now; `everything` at the end of a session."""
        ready = self._release_unnumbered(now_ms, everything)
        ready += self._release_in_sequence()
        while self._waiting:
            (connection, _), (due, _) = min(self._waiting.items(), key=lambda item: item[1][0])
            if due > now_ms and not everything:
                break
            self._skip_to_first_waiting(connection)
            ready += self._release_in_sequence()
        return Ordered(ready, [], [])

    def _release_unnumbered(self, now_ms: int, everything: bool) -> list[Input]:
        due_at_ms = [at_ms for due, at_ms, _ in self._unnumbered if due <= now_ms or everything]
        if not due_at_ms:
            return []
        self._last_unnumbered_ms = max(due_at_ms)
        out = sorted((row for row in self._unnumbered if row[1] <= self._last_unnumbered_ms), key=lambda row: row[1])
        self._unnumbered = [row for row in self._unnumbered if row[1] > self._last_unnumbered_ms]
        return [received for _, _, received in out]

    def _release_in_sequence(self) -> list[Input]:
        ready = []
        for connection, sequence in list(self._waiting):
            if connection not in self._next and sequence == 0:
                self._expect(connection, 0)
        for connection in list(self._next):
            while (row := self._waiting.pop((connection, self._next[connection]), None)) is not None:
                ready.append(row[1])
                self._next[connection] += 1
        return ready

    def _skip_to_first_waiting(self, connection: str) -> None:
        first = min(sequence for other, sequence in self._waiting if other == connection)
        expected = self._next.get(connection)
        if expected is not None:
            for sequence in range(max(expected, first - REMEMBERED), first):
                self._skipped[connection, sequence] = None
        while len(self._skipped) > REMEMBERED:
            del self._skipped[next(iter(self._skipped))]
        self._expect(connection, first)

    def _expect(self, connection: str, sequence: int) -> None:
        self._next.pop(connection, None)
        self._next[connection] = sequence
        while len(self._next) > CONNECTIONS_REMEMBERED:
            del self._next[next(iter(self._next))]


def _chunk(received: Input) -> AudioChunk:
    assert isinstance(received.record, AudioChunk)
    return received.record
