"""The shell that each of our Lambda functions runs in: an event loop and clients that live as long as the instance.

Lambda calls `run`, one invocation at a time; a server that has an event loop of its own awaits `handle`, many at once.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import uvloop

from gateway import errors
from gateway.errors import ErrorCode, WireError
from streams.errors import HeraldError
from streams.telemetry import FLUSH_EVERY_S, Log, Metrics, place_of

Event = dict[str, Any]
Handle = Callable[[Event, Any], Awaitable[Any]]
Open = Callable[[AsyncExitStack, Log, Metrics], Awaitable[Handle]]
"""Makes a function's handle, with what it needs: clients go on the stack."""

CLIENT_ERRORS: Final = 500
"""Statuses from here on are our own failures."""


class InvocationFailed(Exception):
    """What Lambda is told of a failure: that there was one. What it was is in the log, named without its content."""


class Function:
    """One Lambda function. It is opened by its first invocation; a failure to open is tried again by the next.

    answers: whether somebody waits for its answer, and so gets a failure as one. If not, Lambda is to try again.
    """

    def __init__(self, name: str, open_function: Open, *, answers: bool = True) -> None:
        self._open = open_function
        self._answers = answers
        self._log = Log(name)
        self._metrics = Metrics(name)
        self._stack = AsyncExitStack()
        self._handle: Handle | None = None
        self._opening: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flush_due_s = 0.0

    async def handle(self, event: Event, context: Any) -> Any:
        """The response to an event. Raises InvocationFailed, only if nobody waits for an answer."""
        try:
            handle = self._handle or await self._opened()
            return await handle(event, context)
        except WireError as error:
            return self._refuse(error, event)
        except HeraldError as error:
            self._log.error("handle", str(error), code=error.code)
            return self._refuse(errors.as_wire_error(error), event)
        except Exception as error:  # noqa: BLE001 - Lambda would log it whole, with what it repeats of the message
            self._log.error("handle", "failed", error=place_of(error))
            self._metrics.add("LambdaErrors")
            return self._refuse(WireError(ErrorCode.INTERNAL_ERROR, "Something went wrong here."), event)
        finally:
            self._flush()

    def run(self, event: Event, context: Any) -> Any:
        """The entry for Lambda."""
        if self._loop is None:
            self._loop = uvloop.new_event_loop()
        return self._loop.run_until_complete(self.handle(event, context))

    async def open(self) -> None:
        """Open it before its first invocation, as provisioned concurrency does. Raises HeraldError."""
        await self._opened()

    async def close(self) -> None:
        """Release everything; a later invocation would open it again."""
        self._handle = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()
        self._metrics.flush()

    async def _opened(self) -> Handle:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._handle is None:
                async with AsyncExitStack() as stack:
                    self._handle = await self._open(stack, self._log, self._metrics)
                    self._stack = stack.pop_all()
                if self._loop is not None:
                    gc.freeze()  # the process is the function's alone: nobody is to wait until it all has been walked
            return self._handle

    def _refuse(self, error: WireError, event: Event) -> dict[str, Any]:
        if not self._answers:
            raise InvocationFailed(error.code) from None
        route = event.get("requestContext", {}).get("routeKey", "")
        if error.status >= CLIENT_ERRORS:
            self._log.warning("refuse", error.message, code=error.code, route=route)
        else:
            self._log.info("refuse", error.message, code=error.code, route=route)
        return errors.response(error)

    def _flush(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._flush_due_s:
            self._flush_due_s = now_s + FLUSH_EVERY_S
            self._metrics.flush()


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000
