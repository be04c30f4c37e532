"""The function `notify`: tells a session's listeners what has just changed.

Invoked by the control routes, which do not wait for it. It asks once who listens, so who joins meanwhile is told by
`welcome`.
"""

import os
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

import msgspec

from gateway.lambdas import Function, Handle
from gateway.notices import Audience, Notice, tell
from gateway.posts import Posts
from gateway.tables import Tables
from streams.aws import Clients
from streams.resources import DEFAULT_PREFIX
from streams.settings import load
from streams.telemetry import Log, Metrics


class Settings(msgspec.Struct, frozen=True):
    """What this function reads from the environment."""

    herald_prefix: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]+$")] = DEFAULT_PREFIX


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    settings = load(Settings, os.environ)
    clients = await stack.enter_async_context(Clients())
    dynamodb = await clients.get("dynamodb")
    tables, audience = Tables(dynamodb, settings.herald_prefix), Audience(dynamodb, settings.herald_prefix)
    posts = Posts(await clients.get("apigatewaymanagementapi"))

    async def handle(event: dict[str, Any], _: Any) -> None:
        notice = msgspec.convert(event, Notice)
        told = await tell(notice, await audience.of(notice.session_id), posts, tables.remove_connection)
        for after_ms in told.after_ms:
            metrics.add("ListenerNotificationLatency", after_ms, "Milliseconds")
        if told.failed:
            metrics.add("ListenerNotificationFailures", told.failed)
            log.warning("notify", "not all listeners could be told", notice.session_id, failed=told.failed)

    return handle


FUNCTION: Final = Function("notify", open_function, answers=False)


async def handle(event: dict[str, Any], context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: dict[str, Any], context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
