"""The function `sweep`: drops who has been silent for too long, and finds sessions that nobody ended (row W11).

Silent is who neither sent anything for 90 s nor took what was sent: a listener that only listens is there. Invoked on a
schedule. A connection that goes is told by `$disconnect`, and a client that is there sends audio or a
heartbeat; what is left is a half-open connection, one whose `$disconnect` was lost, and an end that broke off half way.
Each run does again what an earlier one did not complete.

It reads both tables whole: for as many rows as sessions of a day, that is cheaper than an index that every chunk of
audio would write to.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec

from gateway.admission import Connection
from gateway.connecting import Equipment, forget, leave
from gateway.handler import open_equipment
from gateway.lambdas import Function, Handle
from gateway.posts import Posts
from gateway.settings import Settings
from streams.aws import Clients
from streams.settings import load
from streams.telemetry import Log, Metrics

SILENT_MS: Final = 90_000
"""Row W11: three heartbeats."""
AT_ONCE: Final = 32
"""Each end waits a quarter of a second for the door."""


class Task(msgspec.Struct, frozen=True, rename="camel"):
    """What is dropped: who was seen last before this time (Unix milliseconds); None: SILENT_MS ago."""

    seen_before_ms: int | None = None


async def sweep(
    equipment: Equipment,
    close: Callable[[str], Awaitable[None]],
    last_active_ms: Callable[[str], Awaitable[int | None]],
    task: Task,
) -> int:
    """Drop who is silent, end what has no speaker; how many that were. A speaker who goes so may come back (row W13).

    close: closes a connection, if it is still there. last_active_ms: when it last took or sent something, None if it is
    not there. Raises the first HeraldError, once everything has been tried.
    """
    before_ms = equipment.now_ms() - SILENT_MS if task.seen_before_ms is None else task.seen_before_ms
    tables = equipment.tables

    async def drop(connection: Connection) -> bool:
        active_ms = await last_active_ms(connection.connection_id)
        if active_ms is not None and active_ms >= before_ms:
            return False
        await close(connection.connection_id)
        known = await tables.connection(connection.connection_id)
        if known is None or known.last_seen_at >= before_ms:
            return False
        await forget(equipment, known)
        return True

    async def finish(speaker: Connection) -> bool:
        if await tables.connection(speaker.connection_id) is not None:
            return False
        return await leave(equipment, speaker)

    dropped = await _each(drop, await tables.silent_connections(before_ms))
    return dropped + await _each(finish, await tables.speakers_of_unended_sessions(before_ms))


async def _each(do: Callable[[Connection], Awaitable[bool]], connections: Sequence[Connection]) -> int:
    done = 0
    failures: list[BaseException] = []
    for start in range(0, len(connections), AT_ONCE):
        batch = connections[start : start + AT_ONCE]
        for outcome in await asyncio.gather(*(do(each) for each in batch), return_exceptions=True):
            if isinstance(outcome, BaseException):
                failures.append(outcome)
            else:
                done += outcome
    if failures:
        raise failures[0]
    return done


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    clients = await stack.enter_async_context(Clients())
    equipment = await open_equipment(stack, clients, load(Settings, os.environ), log)
    posts = Posts(await clients.get("apigatewaymanagementapi"))

    async def handle(event: dict[str, Any], _: Any) -> None:
        task = msgspec.convert(event, Task)
        metrics.add("ConnectionsSwept", await sweep(equipment, posts.disconnect, posts.last_active_ms, task))

    return handle


FUNCTION: Final = Function("sweep", open_function, answers=False)


async def handle(event: dict[str, Any], context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: dict[str, Any], context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
