"""The function `welcome`: a client's first message, posted as soon as its connection is there.

Invoked by `$connect` without waiting. A listener gets its place in the index here, once it can be reached: were it
there before, a post of the broadcast stage could find nobody and take it out again.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

import msgspec

from gateway.connecting import Welcome
from gateway.lambdas import Function, Handle
from gateway.posts import Posts
from gateway.tables import Tables
from streams.aws import Clients
from streams.errors import NotFound
from streams.resources import DEFAULT_PREFIX
from streams.settings import load
from streams.telemetry import Log, Metrics

WAITS_S: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)
"""Between attempts: `$connect` is answered within milliseconds; after 5 s the client has gone."""


class Settings(msgspec.Struct, frozen=True):
    """What this function reads from the environment."""

    herald_prefix: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]+$")] = DEFAULT_PREFIX


async def welcome(
    task: Welcome, posts: Posts, tables: Tables, log: Log, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> bool:
    """Post the message; whether the client got it. Raises HeraldError: Lambda then invokes this again."""
    for wait_s in (*WAITS_S, None):
        try:
            await posts.send(task.connection_id, task.message)
        except NotFound:
            if wait_s is None:
                break
            await sleep(wait_s)
        else:
            if task.target_language is not None:
                await tables.reachable(task.connection_id, task.target_language)
            return True
    log.info("welcome", "the client had gone before it was welcomed")
    await tables.remove_connection(task.connection_id)
    return False


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    settings = load(Settings, os.environ)
    clients = await stack.enter_async_context(Clients())
    tables = Tables(await clients.get("dynamodb"), settings.herald_prefix)
    posts = Posts(await clients.get("apigatewaymanagementapi"))

    async def handle(event: dict[str, Any], _: Any) -> None:
        if not await welcome(msgspec.convert(event, Welcome), posts, tables, log):
            metrics.add("ClientsGoneBeforeWelcome")

    return handle


FUNCTION: Final = Function("welcome", open_function, answers=False)


async def handle(event: dict[str, Any], context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: dict[str, Any], context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
