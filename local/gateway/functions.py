"""Lambda, as far as the gateway needs it: invocations of the project's own functions, in this process.

Many run at once on one event loop, where Lambda would start instances. A function that takes longer than its time
limit is ended; an asynchronous invocation that fails is made twice more, as the service does.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from gateway.lambdas import Function, InvocationFailed
from gateway.routes import FunctionSpec

ASYNC_RETRIES_S: Final = (1.0, 2.0)
"""The service waits one and two minutes; nobody here has the patience."""

_log = logging.getLogger(__name__)


class FunctionFailed(Exception):
    """The function raised, or was ended at its time limit. What it raised is not repeated: it may hold anything."""


class Context:
    """What a function may ask about its invocation."""

    def __init__(self, spec: FunctionSpec, request_id: str) -> None:
        self.function_name = spec.name
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = str(spec.memory_mb)
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:{spec.name}"
        self.aws_request_id = request_id
        self._due_s = asyncio.get_running_loop().time() + spec.time_limit_s

    def get_remaining_time_in_millis(self) -> int:
        """Until the function is ended."""
        return max(0, round((self._due_s - asyncio.get_running_loop().time()) * 1000))


Handle = Callable[[dict[str, Any], Any], Awaitable[Any]]


class Functions:
    """The functions of one environment."""

    def __init__(
        self,
        handles: dict[str, tuple[FunctionSpec, Handle]],
        open_all: Callable[[], Awaitable[None]],
        close_all: Callable[[], Awaitable[None]],
    ) -> None:
        self._handles = handles
        self._open_all = open_all
        self._close_all = close_all
        self._tasks: set[asyncio.Task[Any]] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._handles

    async def open(self) -> None:
        """Open all functions, so that no client waits for it. Raises HeraldError, for a wrong setting too."""
        await self._open_all()

    async def invoke(self, name: str, event: dict[str, Any], request_id: str) -> Any:
        """Invoke and wait. Raises FunctionFailed."""
        spec, handle = self._handles[name]
        try:
            async with asyncio.timeout(spec.time_limit_s):
                return await handle(event, Context(spec, request_id))
        except TimeoutError:
            _log.error("time limit", extra={"function": name, "time_limit_s": spec.time_limit_s})
            raise FunctionFailed("time limit") from None
        except InvocationFailed:
            raise FunctionFailed("failed") from None
        except Exception as error:  # noqa: BLE001 - as Lambda does, whatever the function raises
            _log.error("raised", extra={"function": name, "error": type(error).__name__})
            raise FunctionFailed(type(error).__name__) from None

    def invoke_later(self, name: str, event: dict[str, Any], request_id: str) -> None:
        """Invoke without waiting. Raises KeyError for an unknown name."""
        if name not in self._handles:
            raise KeyError(name)
        self.keep(self._persist(name, event, request_id))

    def keep(self, work: Any) -> asyncio.Task[Any]:
        """Run something to its end, beside whatever else happens."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, patience_s: float) -> None:
        """Let what runs end, for so long; then release everything."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close_all()

    async def _persist(self, name: str, event: dict[str, Any], request_id: str) -> None:
        for wait_s in (*ASYNC_RETRIES_S, None):
            try:
                await self.invoke(name, event, request_id)
            except FunctionFailed:
                if wait_s is None:
                    _log.error("given up", extra={"function": name})
                    return
                await asyncio.sleep(wait_s)
            else:
                return


def load(specs: tuple[FunctionSpec, ...]) -> Functions:
    """The project's functions, found by the handler that each names: its module has `FUNCTION` too."""
    handles: dict[str, tuple[FunctionSpec, Handle]] = {}
    functions: list[Function] = []
    for spec in specs:
        function: Function = importlib.import_module(spec.handler.rpartition(".")[0]).FUNCTION
        handles[spec.name] = (spec, function.handle)
        functions.append(function)

    async def open_all() -> None:
        for function in functions:
            await function.open()

    async def close_all() -> None:
        for function in functions:
            await function.close()

    return Functions(handles, open_all, close_all)
