"""The function `drain`: tells all clients that their connections will end, and when to come back (row W17).

Invoked by hand, before a deployment that ends connections; clients then refresh theirs, or come back. It asks both
roles' rows at once: for a thousand connections it takes some seconds.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

import msgspec

from gateway import messages
from gateway.lambdas import Function, Handle, now_ms
from gateway.messages import ServerDraining
from gateway.posts import Posts
from gateway.presence import Presence
from streams.aws import Clients
from streams.errors import HeraldError, NotFound
from streams.resources import DEFAULT_PREFIX
from streams.settings import load
from streams.telemetry import Log, Metrics

IN_FLIGHT: Final = 100
POST_WITHIN_S: Final = 2.0
RECONNECT_AFTER_S: Final = 5
"""As long as a deployment leaves nobody to connect to."""


class Task(msgspec.Struct, frozen=True, rename="camel"):
    """When clients are to come back."""

    reconnect_after_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = RECONNECT_AFTER_S


class Settings(msgspec.Struct, frozen=True):
    """What this function reads from the environment."""

    herald_prefix: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]+$")] = DEFAULT_PREFIX


def draining(reconnect_after_s: int, at_ms: int) -> str:
    """The message as it is sent. at_ms: now, Unix milliseconds."""
    return messages.encode(ServerDraining(reconnect_after_s, at_ms // 1000))


async def drain(
    message: str, connections: Collection[str], post: Callable[[str, str], Awaitable[None]]
) -> tuple[int, int]:
    """Tell everybody: how many were told, and how many could not be. Who has gone is neither."""
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def tell(connection_id: str) -> bool | None:
        async with slots:
            try:
                async with asyncio.timeout(POST_WITHIN_S):
                    await post(connection_id, message)
            except NotFound:
                return None
            except (HeraldError, TimeoutError):
                return False
        return True

    outcomes = await asyncio.gather(*map(tell, connections))
    return outcomes.count(True), outcomes.count(False)


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    settings = load(Settings, os.environ)
    clients = await stack.enter_async_context(Clients())
    presence = Presence(await clients.get("dynamodb"), settings.herald_prefix)
    posts = Posts(await clients.get("apigatewaymanagementapi"))

    async def handle(event: dict[str, Any], _: Any) -> None:
        task = msgspec.convert(event, Task)
        message = draining(task.reconnect_after_s, now_ms())
        told, failed = await drain(message, await presence.everybody(), posts.send)
        metrics.add("ClientsTold", told)
        log.info("drain", "clients were told that the server drains", told=told, failed=failed)

    return handle


FUNCTION: Final = Function("drain", open_function, answers=False)


async def handle(event: dict[str, Any], context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: dict[str, Any], context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
