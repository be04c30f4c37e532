"""So many chunks in any second, whichever instances of the function they go through (row W21). Pure.

Every instance keeps a *ledger* in the speaker's row: when it let chunks pass in the last second, and how many more it
may let pass until its lease is over. It writes its own, and gets all others' in the same round trip. DynamoDB puts the
writes of a row in order; of two instances the later sees the earlier's lease and leaves room for it, so together they
never let more pass than the limit, whatever each does between its writes.

An instance that is alone takes a lease of what the limit allows in LEASE_MS; so most chunks need no round trip. One
that is not alone takes what it has at hand, nothing ahead.

Chunks that a network held up come in a bunch. A chunk is therefore counted at the time at which it may have been sent:
after the one before it at the pace of the limit, at most LATE_MS before it came. A speaker that sends at exactly the
limit is then never refused for its network's jitter of up to LATE_MS; a burst of any size gets no more than the limit.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from enum import Enum
from typing import Final

import msgspec

from gateway.tables import DOOR_KEPT_MS

WINDOW_MS: Final = 1000
LEASE_MS: Final = DOOR_KEPT_MS
"""How long an instance may go on without asking; also the bound of what it knows of the session's state."""
LATE_MS: Final = 200
"""Most jitter of a usable connection; a lost packet's first retransmission takes as long (RFC 6298's least is more,
Linux' is 200 ms)."""
WARN_AFTER_MS: Final = 5_000
CLOSE_AFTER_MS: Final = 30_000
_SPARE: Final = 3
"""Leased above what the limit's own pace needs: chunks come unevenly."""
_ROUNDING_MS: Final = 0.01
"""Times are floats near 10**12; their sums may be off by a thousandth."""
CALM_MS: Final = 1_000
"""A violation is over when nothing was refused for so long."""


class Verdict(Enum):
    """PASS: counted, let it pass. REFUSE: over the limit. ASK: the row must be written and read first."""

    PASS = "pass"
    REFUSE = "refuse"
    ASK = "ask"


class Ledger(msgspec.Struct, array_like=True):
    """One instance's part of the row. Times in Unix milliseconds.

    leased: how many more it may let pass until until_ms. passed_ms: when it let chunks pass in the last second, sorted.
    violated_since_ms, violated_ms: the first and the last refusal of a violation that goes on, or 0.
    """

    until_ms: float = 0.0
    leased: int = 0
    passed_ms: list[float] = []
    violated_since_ms: float = 0.0
    violated_ms: float = 0.0

    def used(self, after_ms: float) -> int:
        """Chunks after a time that this instance has let pass or, for all that others know, will."""
        used = len(self.passed_ms) - bisect_right(self.passed_ms, after_ms)
        return used + (self.leased if self.until_ms > after_ms else 0)


class Window:
    """One speaker's last second, as one instance knows it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._spacing_ms = WINDOW_MS / limit
        self._mine = Ledger()
        self._others: list[Ledger] = []
        self._until_ms = 0.0
        self._left = 0
        self._passed_since_declared = 0

    def declare(self, now_ms: float, wanted: int) -> Ledger:
        """What to write to the row: my ledger, with a new lease. wanted: chunks at hand.

        Kept is the last second up to now, or up to the last chunk if that is earlier: chunks that were held up are
        counted when they came.

        The old lease holds until `learn`; what passes meanwhile is covered by it for those who see the old ledger, and
        by the new one for those who see that.
        """
        since_ms = now_ms - WINDOW_MS - LATE_MS
        last_ms = self._mine.passed_ms[-1] if self._mine.passed_ms else now_ms
        kept_after_ms = min(now_ms, last_ms) - WINDOW_MS - LATE_MS
        passed_ms = [at_ms for at_ms in self._mine.passed_ms if at_ms > kept_after_ms]
        leased = wanted
        if not any(other.used(since_ms) for other in self._others):
            leased = max(wanted, _SPARE + self._limit * LEASE_MS // WINDOW_MS)
        self._mine = msgspec.structs.replace(
            self._mine, until_ms=now_ms + LEASE_MS, leased=min(leased, self._limit), passed_ms=passed_ms
        )
        self._passed_since_declared = 0
        return msgspec.structs.replace(self._mine, passed_ms=list(passed_ms))

    def learn(self, others: Iterable[Ledger]) -> None:
        """What the row said after my ledger was written: my lease holds from now on."""
        self._others = list(others)
        self._until_ms = self._mine.until_ms
        self._left = self._mine.leased - self._passed_since_declared

    def admit(self, arrived_ms: float, now_ms: float, *, is_fresh: bool = False) -> Verdict:
        """Whether a chunk may pass. arrived_ms: on the gateway's clock; now_ms: on this instance's.

        is_fresh: the row was asked for after the chunk came. Then the lease covers it even if the answer took longer
        than the lease lasts: it is counted when it came, which was before the lease began.
        """
        if now_ms >= self._until_ms and not is_fresh:
            return Verdict.ASK
        at_ms = self._placed(arrived_ms)
        after_ms = at_ms - WINDOW_MS + _ROUNDING_MS
        mine = len(self._mine.passed_ms) - bisect_right(self._mine.passed_ms, after_ms)
        if mine + sum(other.used(after_ms) for other in self._others) >= self._limit:
            self._note_violation(now_ms)
            return Verdict.REFUSE
        if self._left <= 0:
            return Verdict.ASK
        self._left -= 1
        self._passed_since_declared += 1
        insort(self._mine.passed_ms, at_ms)
        return Verdict.PASS

    def violation_ms(self, now_ms: float) -> float:
        """For how long the speaker has been over the limit, here or through another instance; 0 if it is not."""
        since = [
            ledger.violated_since_ms
            for ledger in (self._mine, *self._others)
            if ledger.violated_ms and now_ms - ledger.violated_ms <= CALM_MS + LEASE_MS
        ]
        return now_ms - min(since) if since else 0.0

    def _placed(self, arrived_ms: float) -> float:
        """When the chunk may have been sent."""
        last_ms = max(
            (ledger.passed_ms[-1] for ledger in (self._mine, *self._others) if ledger.passed_ms), default=float("-inf")
        )
        return min(arrived_ms, max(arrived_ms - LATE_MS, last_ms + self._spacing_ms))

    def _note_violation(self, now_ms: float) -> None:
        if now_ms - self._mine.violated_ms > CALM_MS:
            self._mine.violated_since_ms = now_ms
        self._mine.violated_ms = now_ms
