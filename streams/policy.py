"""When to try again, and when not to ask at all (row S5). Pure: time and randomness come in."""

from collections.abc import Callable
from typing import Final

BASE_MS: Final = 100
FACTOR: Final = 2
CAP_MS: Final = 2_000
ROUNDS: Final = 3
"""Rounds of attempts for one call, as long as its service answers others; then the failure is its stage's."""

FAILURES_TO_OPEN: Final = 5
OPEN_MS: Final = 60_000


def backoff_ms(failures: int, uniform: Callable[[], float]) -> float:
    """Milliseconds to wait after so many failures in a row (from 1): full jitter.

    uniform: a draw from [0, 1). The wait is uniform in [0, min(CAP_MS, BASE_MS * FACTOR ** (failures - 1))).
    """
    exponent = min(failures - 1, 16)  # beyond the cap anyway; keeps the power small
    return uniform() * min(float(CAP_MS), BASE_MS * float(FACTOR) ** exponent)


class Breaker:
    """A circuit breaker: closed, open after FAILURES_TO_OPEN failures in a row, half-open OPEN_MS later.

    Half-open lets one call through at a time: its success closes, its failure opens again.
    """

    def __init__(self, failures_to_open: int = FAILURES_TO_OPEN, open_ms: int = OPEN_MS) -> None:
        self._failures_to_open = failures_to_open
        self._open_ms = open_ms
        self._failures = 0
        self._failed_at_ms: int | None = None
        self._opened_at_ms: int | None = None
        self._probing = False

    def is_open(self) -> bool:
        """Open or half-open: no call has succeeded since it opened."""
        return self._opened_at_ms is not None

    def state(self, now_ms: int) -> int:
        """For a gauge: 0 closed, 1 half-open, 2 open."""
        return 0 if self._opened_at_ms is None else 1 if now_ms >= self.retry_at_ms() else 2

    def stops_reading(self, now_ms: int) -> bool:
        """Whether the stage must not read: open, or half-open with the probe under way.

        When a probe may go, reading goes on: the calls that opened the breaker may have been given up or cancelled, and
        then only a new input can bring the call that is the probe.
        """
        return self._opened_at_ms is not None and (self._probing or now_ms < self.retry_at_ms())

    def retry_at_ms(self) -> int:
        """When the next probe may go, while open."""
        return (self._opened_at_ms or 0) + self._open_ms

    def may_call(self, now_ms: int) -> bool:
        """Whether a call may go now; a True while half-open reserves the probe for the caller."""
        if self._opened_at_ms is None:
            return True
        if self._probing or now_ms < self.retry_at_ms():
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """A call got an answer, were it a refusal: the service is there."""
        self._failures = 0
        self._failed_at_ms = None
        self._opened_at_ms = None
        self._probing = False

    def failed(self, now_ms: int, called_ms: int | None = None) -> None:
        """A call failed in passing.

        called_ms: when it was begun. Calls that were under way together and fail together are one sign, not many: only
        what was begun after the last failure counts.
        """
        if called_ms is not None and called_ms < (self._failed_at_ms or 0) and not self._probing:
            return
        self._failures += 1
        self._failed_at_ms = now_ms
        if self._probing or self._failures >= self._failures_to_open:
            self._opened_at_ms = now_ms
        self._probing = False

    def abandoned(self) -> None:
        """A call was given up before it had an answer."""
        self._probing = False
