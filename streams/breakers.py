"""Circuit breakers at work (row S5): who calls a dependency asks here first; logs and metrics tell how each stands."""

import time
from typing import Final, NamedTuple

from streams.policy import Breaker
from streams.telemetry import Log, Metrics

OUTPUT: Final = "output"
"""The breaker of a stage's output stream."""
OUTPUT_OPEN_MS: Final = 5_000
"""Instead of row S5's minute: a stage that cannot write has nothing else to do. One try in five seconds harms nobody,
and listeners wait no longer than that once the stream is back."""


class Guard(NamedTuple):
    """The breaker of one dependency, with the news of it."""

    dependency: str
    breaker: Breaker
    log: Log
    metrics: Metrics

    def may_call(self) -> bool:
        """Whether a call may go now; a True while half-open reserves the probe for the caller."""
        return self.breaker.may_call(_now_ms())

    def failed(self, code: str, called_ms: int) -> None:
        """A call that began at called_ms (Unix milliseconds) failed in passing."""
        was_open = self.breaker.is_open()
        self.breaker.failed(_now_ms(), called_ms)
        if self.breaker.is_open() and not was_open:
            self._count("Opened")
            message = "open: it is not called until a probe succeeds"
            self.log.error("breaker", message, dependency=self.dependency, code=code)

    def succeeded(self) -> None:
        """A call got an answer, were it a refusal: the service is there."""
        if self.breaker.is_open():
            self._count("Closed")
            self.log.info("breaker", "closed: it answers again", dependency=self.dependency)
        self.breaker.succeeded()

    def abandoned(self) -> None:
        """A call was given up before it had an answer."""
        self.breaker.abandoned()

    def _count(self, what: str) -> None:
        self.metrics.add(f"CircuitBreaker{what}")
        self.metrics.add(metric_name(self.dependency, f"Breaker{what}"))


def metric_name(dependency: str, what: str) -> str:
    """A figure about calls of a dependency, as in `TranslateCallErrors`.

    Counted: CallErrors (failed tries), CallThrottles and CallTimeouts among them, CallRetries, BreakerOpened,
    BreakerClosed. A gauge: BreakerState (`Breaker.state`). Of OUTPUT there are the breaker's figures only.
    """
    return dependency[:1].upper() + dependency[1:] + what


def note_breakers(breakers: dict[str, Breaker], metrics: Metrics, now_ms: int) -> None:
    """Note how each breaker of the program stands."""
    for dependency, breaker in breakers.items():
        metrics.add(metric_name(dependency, "BreakerState"), breaker.state(now_ms), "None")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
