"""A speaker's chunks on their way, as a good client keeps them: in order, sent again when they must be. Pure.

A chunk that was refused in passing, or never answered, goes again with its own sequence and time, after a while that
grows with each failure in a row. What was captured after it waits as long, and until it is there one chunk at a time is
sent, the earliest first: chunks that overtake each other by more than the readers' patience (`streams.ordering`) would
be too late.
"""

import heapq
from collections import Counter
from collections.abc import Callable
from typing import Final

AGAIN: Final = frozenset({"SERVICE_UNAVAILABLE", "TIMEOUT", "RATE_LIMIT_EXCEEDED"})
"""Refusals that another try may mend (row W19)."""
UNANSWERED: Final = "UNANSWERED"
"""The code under which a chunk is counted that never had an answer."""
ANSWER_WITHIN_S: Final = 5.0
GIVE_UP_S: Final = 120.0
"""From the capture, while nothing gets through; speech so old is worth nothing to listeners (row S8)."""
MAX_IN_FLIGHT: Final = 20
PACE_S: Final = 0.025
"""40 chunks a second at the most, where 50 are allowed (row W21)."""
BASE_S: Final = 0.1
CAP_S: Final = 2.0


class Outgoing:
    """Chunks by sequence. uniform: a draw from [0, 1).

    sent, acknowledged: chunks; refused: chunks given up, by code; resent: messages beyond a chunk's first; missing:
    sequences that have not been acknowledged, for good or as yet.
    """

    def __init__(self, uniform: Callable[[], float]) -> None:
        self.sent = 0
        self.acknowledged = 0
        self.resent = 0
        self.refused: Counter[str] = Counter()
        self.missing: set[int] = set()
        self._uniform = uniform
        self._waiting: list[int] = []
        self._in_flight: dict[int, float] = {}
        self._captured_s: dict[int, float] = {}
        self._tried: set[int] = set()
        self._again: set[int] = set()  # refused in passing, or never answered, and not settled yet
        self._failures = 0
        self._failed_s = 0.0
        self._failure = UNANSWERED
        self._not_before_s = 0.0

    def add(self, sequence: int, now_s: float) -> None:
        """A chunk was captured."""
        self.sent += 1
        self.missing.add(sequence)
        self._captured_s[sequence] = now_s
        heapq.heappush(self._waiting, sequence)

    def is_settled(self) -> bool:
        """Whether every chunk has its answer, or was given up."""
        return not self._waiting and not self._in_flight

    def take(self, now_s: float) -> int | None:
        """The chunk to send now."""
        if not self._waiting or now_s < self._not_before_s or len(self._in_flight) >= self._room():
            return None
        sequence = heapq.heappop(self._waiting)
        self.resent += sequence in self._tried
        self._tried.add(sequence)
        self._in_flight[sequence] = now_s
        self._not_before_s = now_s + PACE_S
        return sequence

    def wake_at_s(self) -> float | None:
        """When `take` or `give_up_waiting` has something to do, unless an answer or a chunk comes first."""
        at = [sent_s + ANSWER_WITHIN_S for sent_s in self._in_flight.values()]
        if self._waiting and len(self._in_flight) < self._room():
            at.append(self._not_before_s)
        if self._failures:
            at += [self._captured_s[sequence] + GIVE_UP_S for sequence in self._waiting[:1]]
        return min(at, default=None)

    def on_acknowledged(self, sequence: int | None) -> int | None:
        """The gateway has a chunk: this one, or, if it does not say which, the oldest. The chunk that is settled."""
        settled = self._meant(sequence)
        if settled is None:
            return None
        self._failures = 0
        self.acknowledged += 1
        self.missing.discard(settled)
        self._in_flight.pop(settled)
        return self._forget(settled)

    def on_refused(self, sequence: int | None, code: str, now_s: float) -> int | None:
        """The gateway refused a chunk. The chunk that is settled, if it will not be sent again."""
        meant = self._meant(sequence)
        if meant is None:
            return None
        return self._fail(meant, code, now_s, again=code in AGAIN)

    def give_up_waiting(self, now_s: float) -> list[int]:
        """What had no answer in time is sent again. The chunks that are settled, because it was tried long enough."""
        late = [sequence for sequence, sent_s in self._in_flight.items() if now_s - sent_s >= ANSWER_WITHIN_S]
        settled = [self._fail(sequence, UNANSWERED, now_s, again=True) for sequence in sorted(late)]
        given_up = [sequence for sequence in settled if sequence is not None]
        while self._failures and self._waiting and now_s - self._captured_s[self._waiting[0]] >= GIVE_UP_S:
            sequence = heapq.heappop(self._waiting)
            self.refused[self._failure] += 1
            given_up.append(self._forget(sequence))
        return given_up

    def _room(self) -> int:
        return 1 if self._failures or self._again else MAX_IN_FLIGHT

    def _meant(self, sequence: int | None) -> int | None:
        if sequence is None:
            return min(self._in_flight, default=None)
        if sequence in self._in_flight:
            return sequence
        if sequence in self._waiting:  # an answer that came after all, to an earlier try
            self._waiting.remove(sequence)
            heapq.heapify(self._waiting)
            self._in_flight[sequence] = 0.0
            return sequence
        return None

    def _fail(self, sequence: int, code: str, now_s: float, *, again: bool) -> int | None:
        sent_s = self._in_flight.pop(sequence)
        if not again or now_s - self._captured_s[sequence] >= GIVE_UP_S:
            self.refused[code] += 1
            return self._forget(sequence)
        heapq.heappush(self._waiting, sequence)
        self._again.add(sequence)
        self._failure = code
        if sent_s < self._failed_s:  # it was under way with one that failed: one sign, not two
            return None
        self._failed_s = now_s
        self._failures += 1
        wait_s = min(CAP_S, BASE_S * 2 ** min(self._failures - 1, 10)) * (1 + self._uniform()) / 2
        self._not_before_s = max(self._not_before_s, now_s + wait_s)
        return None

    def _forget(self, sequence: int) -> int:
        del self._captured_s[sequence]
        self._tried.discard(sequence)
        self._again.discard(sequence)
        return sequence
