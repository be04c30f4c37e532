"""The function `notify`: tells a session's listeners what has just changed.

Invoked by the control routes, which do not wait for it. It asks once who listens, so who joins meanwhile is told by
`welcome`.
"""

import os
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec

from gateway.lambdas import Function, Handle
from gateway.notices import Notice, tell
from gateway.posts import Posts
from gateway.presence import Presence
from gateway.settings import Place
from gateway.tables import Tables
from streams.aws import Clients
from streams.settings import load
from streams.telemetry import Log, Metrics


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    settings = load(Place, os.environ)
    clients = await stack.enter_async_context(Clients())
    dynamodb = await clients.get("dynamodb")
    tables, presence = Tables(dynamodb, settings.herald_prefix), Presence(dynamodb, settings.herald_prefix)
    posts = Posts(await clients.get("apigatewaymanagementapi"))

    async def handle(event: dict[str, Any], _: Any) -> None:
        notice = msgspec.convert(event, Notice)
        told = await tell(notice, await presence.listeners(notice.session_id), posts, tables.remove_connection)
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
