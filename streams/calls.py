"""Performs stages' calls: retries, time limits, circuit breakers, lanes (row S5). The decisions are `policy`'s."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from streams.breakers import Guard, metric_name
from streams.errors import HeraldError, PermanentError, Throttled, TimedOut
from streams.fence import LOOK_EVERY_S
from streams.policy import ROUNDS, Breaker, backoff_ms
from streams.stage import Call, Reply, Request, Service
from streams.telemetry import Log, Metrics, place_of

Deliver = Callable[[str, Reply], None]
BREAKER_POLL_S: Final = 0.25


class Calls:
    """The open calls of one shard's sessions. Breakers are shared by all shards of the program.

    may_go: asked before each try; while it says no, the call waits.
    """

    def __init__(
        self,
        services: Sequence[Service],
        breakers: dict[str, Breaker],
        deliver: Deliver,
        log: Log,
        metrics: Metrics,
        may_go: Callable[[], bool] = lambda: True,
    ) -> None:
        self._services = {service.name: service for service in services}
        self._breakers = breakers
        self._deliver = deliver
        self._log = log
        self._metrics = metrics
        self._may_go = may_go
        self._tasks: dict[str, set[asyncio.Task[None]]] = {}
        self._lanes: dict[tuple[str, str], deque[Call]] = {}

    def start(self, session_id: str, call: Call) -> None:
        """Perform a call; its replies go to `deliver`."""
        if not call.lane:
            self._spawn(session_id, self._perform(session_id, call))
            return
        lane = (session_id, call.lane)
        if lane in self._lanes:
            self._lanes[lane].append(call)
            return
        self._lanes[lane] = deque([call])
        self._spawn(session_id, self._run_lane(lane))

    def cancel(self, session_id: str) -> None:
        """Give up all calls of a session."""
        for task in self._tasks.pop(session_id, set()):
            task.cancel()
        for lane in [lane for lane in self._lanes if lane[0] == session_id]:
            del self._lanes[lane]

    async def close(self) -> None:
        """Give up all calls, and wait until they have let go."""
        tasks = [task for tasks in self._tasks.values() for task in tasks]
        for session_id in list(self._tasks):
            self.cancel(session_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, session_id: str, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        tasks = self._tasks.setdefault(session_id, set())
        tasks.add(task)
        task.add_done_callback(lambda task: self._finished(session_id, task))

    def _finished(self, session_id: str, task: asyncio.Task[None]) -> None:
        tasks = self._tasks.get(session_id)
        if tasks is not None:
            tasks.discard(task)
            if not tasks:
                del self._tasks[session_id]

    async def _run_lane(self, lane: tuple[str, str]) -> None:
        queue = self._lanes[lane]
        while queue:
            await self._perform(lane[0], queue.popleft())
        if self._lanes.get(lane) is queue:
            del self._lanes[lane]

    async def _perform(self, session_id: str, call: Call) -> None:
        reply = await self._rounds(session_id, call)
        self._deliver(session_id, reply)

    async def _rounds(self, session_id: str, call: Call) -> Reply:
        """Attempts in rounds: a service that answers nobody is waited for; one that fails only this call is not."""
        request = call.request
        breaker = self._breakers.setdefault(request.dependency, Breaker())
        guard = Guard(request.dependency, breaker, self._log, self._metrics)
        failures = rounds = 0
        while True:
            await self._permission(guard if request.guarded else None)
            on_alive = guard.succeeded if request.guarded else None
            attempt = _Attempt(self._services[request.dependency], session_id, call, self._deliver, on_alive)
            try:
                value = await attempt.run()
            except HeraldError as error:
                self._note(guard, request, error, attempt)
                failures += 1
                if not error.retryable or attempt.replied or request.attempts == 1:
                    return attempt.failure(error, failures)
                if failures % request.attempts == 0:
                    rounds = 0 if breaker.is_open() else rounds + 1
                    if rounds >= ROUNDS:
                        return attempt.failure(error, failures)
                self._log.warning("call", "trying again", session_id, dependency=request.dependency, code=error.code)
                self._count(request, "CallRetries")
                await asyncio.sleep(backoff_ms(failures, random.random) / 1000)
            except BaseException:
                guard.abandoned()
                raise
            else:
                if request.guarded:
                    guard.succeeded()
                return attempt.success(value)

    async def _permission(self, guard: Guard | None) -> None:
        while True:
            while not self._may_go():
                await asyncio.sleep(LOOK_EVERY_S)
            if guard is None or guard.may_call():
                return
            await asyncio.sleep(BREAKER_POLL_S)

    def _note(self, guard: Guard, request: Request, error: HeraldError, attempt: "_Attempt") -> None:
        self._count(request, "CallErrors")
        if isinstance(error, Throttled):
            self._count(request, "CallThrottles")
        elif isinstance(error, TimedOut):
            self._count(request, "CallTimeouts")
        if not request.guarded:
            return
        if isinstance(error, Throttled) and request.long_lived:
            guard.abandoned()  # the account has no more streams: this session waits, the others have theirs
        elif error.retryable and not attempt.replied:
            guard.failed(error.code, attempt.called_ms)
        else:
            guard.succeeded()

    def _count(self, request: Request, what: str) -> None:
        self._metrics.add(metric_name(request.dependency, what))


class _Attempt:
    """One try of one call. on_alive: told when a long-lived call has its first reply; its end may be hours away."""

    def __init__(
        self, service: Service, session_id: str, call: Call, deliver: Deliver, on_alive: Callable[[], None] | None
    ) -> None:
        self._service = service
        self._session_id = session_id
        self._call = call
        self._deliver = deliver
        self._on_alive = on_alive
        self.called_ms = _now_ms()
        self._limit: asyncio.Timeout | None = None
        self.replied = False

    async def run(self) -> Any:
        """The value of the last reply. Raises HeraldError only."""
        request = self._call.request
        try:
            async with asyncio.timeout(request.time_limit_s) as self._limit:
                return await self._service.perform(self._session_id, request, self._reply)
        except HeraldError:
            raise
        except TimeoutError as error:
            raise TimedOut(f"{request.dependency}: no answer within {request.time_limit_s} s") from error
        except Exception as error:
            raise PermanentError(f"{request.dependency}: {place_of(error)}", code="AdapterError") from error

    def _reply(self, value: Any) -> None:
        if not self.replied and self._limit is not None:
            self.replied = True
            self._limit.reschedule(None)  # a long-lived call has come to life
            if self._on_alive is not None:
                self._on_alive()
        self._deliver(self._session_id, self._as_reply(value, last=False))

    def success(self, value: Any) -> Reply:
        """The last reply."""
        return self._as_reply(value, last=True)

    def failure(self, error: HeraldError, attempts: int) -> Reply:
        """The last reply, when all patience is over. attempts: this one and those before it."""
        now = _now_ms()
        failure = msgspec.structs.replace(error.as_failure(), attempts=attempts)
        return Reply(self._call.call_id, None, failure, self.called_ms, now, last=True)

    def _as_reply(self, value: Any, *, last: bool) -> Reply:
        return Reply(self._call.call_id, value, None, self.called_ms, _now_ms(), last)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
