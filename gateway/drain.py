"""The function `drain`: tells all clients that their connections will end, and when to come back (row W17).

Invoked by hand, before a deployment that ends connections; clients then refresh theirs, or come back. It tells both
roles at once: for a thousand connections it takes some seconds.
"""

import os
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

import msgspec

from gateway import messages
from gateway.lambdas import Function, Handle, now_ms
from gateway.messages import ServerDraining
from gateway.notices import Notice, tell
from gateway.posts import Posts
from gateway.presence import Presence
from gateway.settings import Place
from streams.aws import Clients
from streams.settings import load
from streams.telemetry import Log, Metrics

RECONNECT_AFTER_S: Final = 5
"""As long as a deployment leaves nobody to connect to."""


class Task(msgspec.Struct, frozen=True, rename="camel"):
    """When clients are to come back."""

    reconnect_after_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = RECONNECT_AFTER_S


def draining(reconnect_after_s: int, at_ms: int) -> str:
    """The message as it is sent. at_ms: now, Unix milliseconds."""
    return messages.encode(ServerDraining(reconnect_after_s, at_ms // 1000))


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    settings = load(Place, os.environ)
    clients = await stack.enter_async_context(Clients())
    presence = Presence(await clients.get("dynamodb"), settings.herald_prefix)
    posts = Posts(await clients.get("apigatewaymanagementapi"))

    async def handle(event: dict[str, Any], _: Any) -> None:
        at_ms = now_ms()
        message = draining(msgspec.convert(event, Task).reconnect_after_s, at_ms)
        told = await tell(Notice("", message, at_ms), await presence.everybody(), posts, _leave)
        reached = len(told.after_ms)
        metrics.add("ClientsTold", reached)
        log.info("drain", "clients were told that the server drains", told=reached, failed=told.failed)

    return handle


async def _leave(_: str) -> None:
    """One that has gone is `$disconnect`'s, which also sees to a speaker's session."""


FUNCTION: Final = Function("drain", open_function, answers=False)


async def handle(event: dict[str, Any], context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: dict[str, Any], context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
