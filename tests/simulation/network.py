"""What becomes of a request: an answer, a refusal, a timeout after which it was done all the same, or later still."""

import asyncio
import contextvars
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tests.simulation.loop import PROCESS, Process, SimulatedLoop

TIME_LIMIT_S = 3.0
"""A client's patience; shorter than the real one, as are leases."""

LATE_S = 2.5 * TIME_LIMIT_S
"""How long a request may be on its way whose sender has given up."""


class Trouble(NamedTuple):
    """How a network is at present: probabilities of each fault for each request.

    only: the requests that it is about: a beginning of `operation target`; all, when empty. late: what times out is
    done all the same, later than anybody waits.
    """

    throttled: float = 0.0
    broken: float = 0.0
    timed_out: float = 0.0
    slow: float = 0.0
    away: bool = False
    only: str = ""
    late: bool = False


class Strike(NamedTuple):
    """Whoever makes the next such request is struck, `before` it takes effect or after, when its answer is due."""

    target: str
    before: bool
    strike: Callable[[Process], None]


FINE = Trouble()


class Network:
    """The way to one service. trouble: changed by the plan."""

    def __init__(self, loop: SimulatedLoop, rng: random.Random) -> None:
        self._loop = loop
        self._random = rng
        self._nowhere = contextvars.Context()
        self.trouble = FINE
        self.strikes: list[Strike] = []
        self.requests = 0
        self.latest_s = 0.0
        """When the last request that is on its way lands."""
        self.faults: Counter[str] = Counter()

    async def call(self, operation: str, effect: Callable[[], Any], throttle_code: str) -> Any:
        """Send a request; `effect` is what the service does, at a moment of its own."""
        process = PROCESS.get()
        assert process is not None
        self.requests += 1
        if process.dead:
            raise asyncio.CancelledError
        answer: asyncio.Future[Any] = self._loop.create_future()
        draw, trouble = self._random.random, self.trouble
        if trouble is not FINE and not operation.startswith(trouble.only):
            trouble = FINE
        delay_s = 0.002 + 0.02 * draw() ** 3
        if self.strikes and (struck := self._struck(operation)) is not None:
            self.faults["struck at a request"] += 1
            if struck.before:
                self._later(0.0, struck.strike, process)
                self._later(delay_s, self._land, process, effect, answer)
            else:
                self._later(delay_s, self._land, process, effect, None)
                self._later(delay_s, struck.strike, process)
                self._later(2 * delay_s, self._fail, answer, ConnectionResetError())
        elif trouble.away:
            self.faults["away"] += 1
            self._later(delay_s, self._fail, answer, ConnectionResetError())
        elif draw() < trouble.throttled:
            self.faults["throttled"] += 1
            self._later(delay_s, self._fail, answer, service_error(operation.partition(" ")[0], throttle_code))
        elif draw() < trouble.broken:
            self.faults["failed"] += 1
            if draw() < 0.5:  # the answer is lost, not the request
                self.faults["done, but the answer lost"] += 1
                self._later(delay_s * draw(), self._land, process, effect, None)
            self._later(delay_s, self._fail, answer, service_error(operation.partition(" ")[0], "InternalFailure", 500))
        elif draw() < trouble.timed_out:
            self.faults["timed out"] += 1
            if trouble.late:
                self._later(LATE_S * (0.4 + 0.6 * draw()), self._land, process, effect, None)
            elif draw() < 0.8:
                self._later(delay_s if draw() < 0.5 else LATE_S * draw(), self._land, process, effect, None)
            self._later(TIME_LIMIT_S, self._fail, answer, TimeoutError())
        else:
            if draw() < trouble.slow:
                delay_s = (TIME_LIMIT_S - 0.5) * draw()
            if draw() < 0.7:
                self._later(delay_s, self._land, process, effect, answer)
            else:
                self._later(delay_s * draw(), self._land_and_answer, process, effect, answer, delay_s)
        return await answer

    def _struck(self, operation: str) -> Strike | None:
        for strike in self.strikes:
            if operation.startswith(strike.target):
                self.strikes.remove(strike)
                return strike
        return None

    def _later(self, delay_s: float, callback: Callable[..., None], *arguments: Any) -> None:
        self.latest_s = max(self.latest_s, self._loop.time() + delay_s)
        self._loop.call_at(self._loop.time() + delay_s, callback, *arguments, context=self._nowhere)

    def _land(self, process: Process, effect: Callable[[], Any], answer: "asyncio.Future[Any] | None") -> None:
        if process.dead and self._random.random() < 0.5:
            return
        try:
            value = effect()
        except ClientError as error:
            if answer is not None:
                self._fail(answer, error)
            return
        if answer is not None and not answer.done():
            answer.set_result(value)

    def _land_and_answer(
        self, process: Process, effect: Callable[[], Any], answer: "asyncio.Future[Any]", delay_s: float
    ) -> None:
        if process.dead and self._random.random() < 0.5:
            return
        try:
            value = effect()
        except ClientError as error:
            self._later(delay_s, self._fail, answer, error)
            return
        self._later(delay_s, self._answer, answer, value)

    @staticmethod
    def _answer(answer: "asyncio.Future[Any]", value: Any) -> None:
        if not answer.done():
            answer.set_result(value)

    @staticmethod
    def _fail(answer: "asyncio.Future[Any]", error: Exception) -> None:
        if not answer.done():
            answer.set_exception(error)


def service_error(operation: str, code: str, status: int = 400) -> ClientError:
    """An error as the services answer it."""
    return ClientError(
        {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )
