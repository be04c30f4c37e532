"""A deterministic asyncio loop: its clock jumps from timer to timer, and its processes can be paused and killed.

What runs in a `Process`'s context belongs to it, tasks and callbacks alike. Ready callbacks keep their order, as
asyncio promises; what differs between two seeds is when timers fire (each up to a millisecond late) and how long
requests take.
"""

import asyncio
import contextvars
import heapq
import random
from collections.abc import Callable
from typing import Any

START_S = 1_700_000_000
JITTER_S = 0.001


class Deadlock(Exception):
    """Nothing is ready, and no timer will ever make it so."""


class Process:
    """What crashes and pauses as one."""

    def __init__(self, name: str, parent: "Process | None" = None) -> None:
        self.name = name
        self.parent = parent
        self.dead = False
        self.paused = False
        self.held: list[asyncio.Handle] = []
        self.tasks: dict[asyncio.Task[Any], None] = {}


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class _Task(asyncio.Task[Any]):
    """A task whose hash is its number: sets of tasks have the same order in each run."""

    number = 0

    def __hash__(self) -> int:
        return self.number


class _Handle(asyncio.Handle):
    """asyncio's, without what only debugging needs: half of a schedule's time is the loop's."""

    __slots__ = ()

    def __init__(self, callback: Any, args: Any, loop: Any, context: contextvars.Context | None) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = self._args = None


class _Timer(_Handle, asyncio.TimerHandle):
    __slots__ = ()

    def __init__(self, when: float, callback: Any, args: Any, loop: Any, context: Any) -> None:
        _Handle.__init__(self, callback, args, loop, context)
        self._when = when
        self._scheduled = True


class SimulatedLoop(asyncio.BaseEventLoop):
    """See the module. seed: of the timers' lateness."""

    _ready: Any
    _scheduled: list[Any]

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._now_s = 0.0
        self._random = random.Random(seed)
        self._numbers = 0
        self._timers = 0
        self._paused = 0
        self.errors: list[dict[str, Any]] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _, context: self.errors.append(context))

    def time(self) -> float:
        """Simulated seconds."""
        return self._now_s

    def call_at(  # type: ignore[override]  # the variadic generic adds nothing here
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """As asyncio's; up to a millisecond late."""
        when += self._random.random() * JITTER_S
        timer = _Timer(when, callback, args, self, context)
        self._timers += 1
        heapq.heappush(self._scheduled, (when, self._timers, timer))  # tuples compare faster than timers
        return timer

    def call_soon(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        """As asyncio's."""
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def _make_task(self, loop: Any, work: Any, context: contextvars.Context | None = None) -> asyncio.Task[Any]:
        self._numbers += 1
        task = _Task(work, loop=loop, context=context)
        task.number = self._numbers
        process = PROCESS.get()
        if process is not None:
            process.tasks[task] = None
            task.add_done_callback(lambda task: process.tasks.pop(task, None))
        return task

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready
        while scheduled and scheduled[0][2]._cancelled:
            heapq.heappop(scheduled)
        if not ready:
            if not scheduled:
                raise Deadlock
            self._now_s = max(self._now_s, scheduled[0][0])
        while scheduled and scheduled[0][0] <= self._now_s:
            ready.append(heapq.heappop(scheduled)[2])
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            if self._paused and (process := handle._context.get(PROCESS)) is not None and process.paused:
                process.held.append(handle)
                continue
            try:
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 - as asyncio does
                self.call_exception_handler({"message": "in a callback", "exception": error, "handle": handle})

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """Cancelled timers are passed over when their time comes."""

    def _write_to_self(self) -> None:
        """No other thread exists."""

    def pause(self, process: Process) -> None:
        """SIGSTOP: nothing of it runs; what it has asked the services goes on."""
        if not process.paused:
            process.paused = True
            self._paused += 1

    def resume(self, process: Process) -> None:
        """SIGCONT: all that became due meanwhile runs now."""
        if process.paused:
            process.paused = False
            self._paused -= 1
            self._ready.extend(process.held)
            process.held.clear()

    async def kill(self, process: Process) -> None:
        """SIGKILL: its requests have no answer any more, and nothing it still does has an effect."""
        process.dead = True
        self.resume(process)
        while process.tasks:
            for task in list(process.tasks):
                task.cancel()
            await asyncio.sleep(0)


def run_in(process: Process, work: Callable[[], Any]) -> asyncio.Task[Any]:
    """Start a coroutine function in a process."""
    context = contextvars.copy_context()
    context.run(PROCESS.set, process)
    return context.run(lambda: asyncio.get_running_loop().create_task(work()))


class Clock:
    """What `streams` sees instead of `time`."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def time(self) -> float:
        """Unix seconds."""
        return START_S + self._loop.time()

    def time_ns(self) -> int:
        """Unix nanoseconds."""
        return int((START_S + self._loop.time()) * 1e6) * 1000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._loop.time()

    def monotonic_ns(self) -> int:
        """The same in nanoseconds."""
        return int(self._loop.time() * 1e6) * 1000
