"""What becomes of a request: an answer, a refusal, a timeout after which it was done all the same, or later still."""

import asyncio
import contextvars
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from tests.simulation.loop import PROCESS, Process, SimulatedLoop

TIME_LIMIT_S = 3.0
"""A client's patience; shorter than the real one, as are leases."""

LATE_S = 2.5 * TIME_LIMIT_S
"""How long a request may be on its way whose sender has given up."""


class Trouble(NamedTuple):
    """How a network is at present: probabilities of each fault for each request."""

    throttled: float = 0.0
    broken: float = 0.0
    timed_out: float = 0.0
    slow: float = 0.0
    away: bool = False


class Network:
    """The way to one service. trouble: changed by the plan."""

    def __init__(self, loop: SimulatedLoop, rng: random.Random) -> None:
        self._loop = loop
        self._random = rng
        self._nowhere = contextvars.Context()
        self.trouble = Trouble()
        self.requests = 0

    async def call(self, operation: str, effect: Callable[[], Any], throttle_code: str) -> Any:
        """Send a request; `effect` is what the service does, at a moment of its own."""
        process = PROCESS.get()
        assert process is not None
        self.requests += 1
        if process.dead:
            raise asyncio.CancelledError
        answer: asyncio.Future[Any] = self._loop.create_future()
        draw, trouble = self._random.random, self.trouble
        delay_s = 0.002 + 0.02 * draw() ** 3
        if trouble.away:
            self._later(delay_s, self._fail, answer, ConnectionResetError())
        elif draw() < trouble.throttled:
            self._later(delay_s, self._fail, answer, service_error(operation, throttle_code, 400))
        elif draw() < trouble.broken:
            if draw() < 0.5:  # the answer is lost, not the request
                self._later(delay_s * draw(), self._land, process, effect, None)
            self._later(delay_s, self._fail, answer, service_error(operation, "InternalFailure", 500))
        elif draw() < trouble.timed_out:
            if draw() < 0.8:
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

    def _later(self, delay_s: float, callback: Callable[..., None], *arguments: Any) -> None:
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
