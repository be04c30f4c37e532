"""A speaker's end and the readers' patience belong together: what the door refuses in passing, and acknowledges at a
later try, is in the stream in time for its place. By a small simulation of the door, on a clock of its own."""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable

import pytest

from ops.outgoing import Outgoing
from streams.ordering import Ordering
from streams.policy import backoff_ms
from streams.records import AudioChunk
from streams.stage import Input, Position

CHUNKS = 150
BAD_S = (4.0, 9.0)
"""When writing fails."""
TRIES = 3
"""Of the door, for each chunk (row S5)."""


class Day:
    """One speaker's talk on a bad day. one_by_one: at one door, in turn; else each chunk is at a door of its own."""

    def __init__(self, seed: int, failing: float, *, one_by_one: bool) -> None:
        self.acknowledged: set[int] = set()
        self.written: list[tuple[float, int]] = []
        self._random = random.Random(seed)
        self._failing = failing
        self._one_by_one = one_by_one
        self._outgoing = Outgoing(self._random.random)
        self._queue: deque[int] = deque()
        self._is_busy = False
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = itertools.count()
        for chunk in range(CHUNKS):
            self._at(0.1 * chunk, lambda now_s, chunk=chunk: self._capture(chunk, now_s))

    def pass_by(self) -> None:
        """To its end."""
        while self._events:
            now_s, _, happen = heapq.heappop(self._events)
            happen(now_s)

    def _at(self, when_s: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when_s, next(self._numbers), happen))

    def _soon(self, now_s: float, happen: Callable[[float], None]) -> None:
        self._at(now_s + self._random.uniform(0.005, 0.03), happen)

    def _capture(self, chunk: int, now_s: float) -> None:
        self._outgoing.add(chunk, now_s)
        self._send(now_s)

    def _send(self, now_s: float) -> None:
        self._outgoing.give_up_waiting(now_s)
        sent = False
        while (chunk := self._outgoing.take(now_s)) is not None:
            sent = True
            self._soon(now_s, lambda then_s, chunk=chunk: self._arrive(chunk, then_s))
        wake_s = self._outgoing.wake_at_s()
        if wake_s is not None and (sent or wake_s > now_s):
            self._at(max(wake_s, now_s + 0.001), self._wake)

    def _wake(self, now_s: float) -> None:
        if (wake_s := self._outgoing.wake_at_s()) is not None and wake_s <= now_s:
            self._send(now_s)

    def _arrive(self, chunk: int, now_s: float) -> None:
        if self._one_by_one and self._is_busy:
            self._queue.append(chunk)
        else:
            self._is_busy = True
            self._try(chunk, 1, now_s)

    def _try(self, chunk: int, number: int, now_s: float) -> None:
        took_s = self._random.uniform(0.005, 0.05)
        self._at(now_s + took_s, lambda then_s: self._tried(chunk, number, then_s))

    def _tried(self, chunk: int, number: int, now_s: float) -> None:
        fails = BAD_S[0] <= now_s < BAD_S[1] and self._random.random() < self._failing
        if fails and number < TRIES:
            wait_s = backoff_ms(number, self._random.random) / 1000
            self._at(now_s + wait_s, lambda then_s: self._try(chunk, number + 1, then_s))
            return
        if fails:
            for refused in (chunk, *self._queue):
                self._soon(now_s, lambda then_s, refused=refused: self._refuse(refused, then_s))
            self._queue.clear()
        else:
            self.written.append((now_s, chunk))
            self._soon(now_s, lambda then_s: self._acknowledge(chunk, then_s))
        self._is_busy = False
        if self._queue:
            self._is_busy = True
            self._try(self._queue.popleft(), 1, now_s)

    def _acknowledge(self, chunk: int, now_s: float) -> None:
        self.acknowledged.add(chunk)
        self._outgoing.on_acknowledged(chunk)
        self._send(now_s)

    def _refuse(self, chunk: int, now_s: float) -> None:
        self._outgoing.on_refused(chunk, "SERVICE_UNAVAILABLE", now_s)
        self._send(now_s)


def passed(written: list[tuple[float, int]]) -> list[int | None]:
    """What a reader passes on who reads four times a second."""
    ordering, found = Ordering(), []
    for number, (written_s, chunk) in enumerate(sorted(written)):
        record = AudioChunk(session_id="s", connection="c", admitted_at_ms=0, pcm=b"", sequence=chunk)
        read_ms = 250 * (round(written_s * 1000) // 250 + 1)
        wake_at_ms = ordering.wake_at_ms()
        if wake_at_ms is not None and wake_at_ms <= read_ms:
            found += ordering.release(wake_at_ms).ready
        received = Input(Position("shardId-000000000000", number), record, round(written_s * 1000), read_ms)
        found += ordering.push(received, read_ms).ready
    return [
        one.record.sequence for one in found if isinstance(one.record, AudioChunk) and one.record.sequence is not None
    ]


@pytest.mark.parametrize("one_by_one", [True, False])
@pytest.mark.parametrize("failing", [0.2, 0.5, 0.8, 0.95])
def test_what_is_acknowledged_is_in_time(failing: float, one_by_one: bool) -> None:
    for seed in range(12):
        day = Day(seed, failing, one_by_one=one_by_one)
        day.pass_by()
        assert day.acknowledged == set(range(CHUNKS))
        assert passed(day.written) == list(range(CHUNKS)), f"seed {seed}"
