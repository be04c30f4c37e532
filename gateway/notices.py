"""A message to all listeners of a session, at once (rows W3 to W6, N4).

The broadcast stage sends what must come in order with the words; this is for what must not wait for them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, NamedTuple

import msgspec

from gateway.posts import Posts
from streams.errors import HeraldError, NotFound, TimedOut

IN_FLIGHT: Final = 100
RETRIES: Final = 2
RETRY_AFTER_S: Final = 0.1
"""Row B1, all three."""
POST_WITHIN_S: Final = 1.0
"""For one try. A post takes 5 ms; all tries of a listener that takes nothing are over well before the function is."""


class Notice(msgspec.Struct, frozen=True, rename="camel"):
    """What `notify` is to do. message: as it is sent. since_ms: when what it tells came about, Unix milliseconds."""

    session_id: str
    message: str
    since_ms: int


class Told(NamedTuple):
    """What became of a notice: when each listener had it, after it was true (ms); how many have gone, and failed."""

    after_ms: list[int]
    gone: int
    failed: int


async def tell(
    notice: Notice,
    connections: Collection[str],
    posts: Posts,
    remove: Callable[[str], Awaitable[Any]],
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Told:
    """Post a notice to all of them. remove: takes out the row of one that has gone; if it fails, the next post tries.

    One that takes nothing delays no other: IN_FLIGHT posts are under way, and a retry waits outside of them.
    """
    slots = asyncio.Semaphore(IN_FLIGHT)
    after_ms: list[int] = []
    failures: list[HeraldError] = []
    waiting = iter(connections)

    async def post(connection_id: str) -> HeraldError | None:
        async with slots:
            try:
                async with asyncio.timeout(POST_WITHIN_S):
                    await posts.send(connection_id, notice.message)
            except TimeoutError:
                return TimedOut("posting a notice")
            except HeraldError as error:
                return error
        after_ms.append(max(0, now_ms() - notice.since_ms))
        return None

    async def settle(connection_id: str, error: HeraldError | None) -> None:
        for _ in range(RETRIES):
            if error is None or not error.retryable:
                break
            await asyncio.sleep(RETRY_AFTER_S)
            error = await post(connection_id)
        if isinstance(error, NotFound):
            await _take_out(connection_id, remove)
        if error is not None:
            failures.append(error)

    async def work() -> None:
        for connection_id in waiting:
            if (error := await post(connection_id)) is not None:
                group.create_task(settle(connection_id, error))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(IN_FLIGHT, len(connections))):
            group.create_task(work())
    gone = sum(isinstance(error, NotFound) for error in failures)
    return Told(after_ms, gone, len(failures) - gone)


async def _take_out(connection_id: str, remove: Callable[[str], Awaitable[Any]]) -> None:
    try:
        await remove(connection_id)
    except HeraldError:
        return  # the next post finds it gone again
