"""The function `welcome`: a client's first message, posted as soon as its connection is there.

Invoked by `$connect` without waiting. A listener gets its place in the index here, once it can be reached: were it
there before, a post of the broadcast stage could find nobody and take it out again.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from gateway.connecting import Welcome
from gateway.errors import ErrorCode, ErrorMessage
from gateway.lambdas import Function, Handle, now_ms
from gateway.messages import SpeakerStateChanged, encode
from gateway.posts import Posts
from gateway.presence import Presence
from gateway.settings import MAX_LISTENERS, Place
from gateway.status import reporting
from gateway.tables import Tables
from streams.aws import Clients
from streams.errors import NotFound
from streams.settings import load
from streams.telemetry import Log, Metrics

FULL: Final = ErrorMessage(ErrorCode.SESSION_FULL, "The session has as many listeners as it may have.")
OVERLAP_S: Final = 3.0
"""For so long a connection serves beside the one that takes its place: answers to what is on its way take some 100 ms,
a change from one to the other a moment. With the longest wait for a client it is within the function's time."""
WAITS_S: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)
"""Between attempts: `$connect` is answered within milliseconds; after 5 s the client has gone."""
LOOK_FROM_S: Final = 0.16
"""Before a wait that is no shorter, its row is looked for: most clients are there long before."""


class Settings(Place, frozen=True):
    """What this function reads from the environment."""

    max_listeners_per_session: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = MAX_LISTENERS


class Room(NamedTuple):
    """What it takes to welcome somebody. report: invokes the function `status`, as for `Equipment`."""

    posts: Posts
    tables: Tables
    presence: Presence
    report: Callable[[str], Awaitable[None]]
    now_ms: Callable[[], int]
    log: Log
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    max_listeners: int = MAX_LISTENERS


async def welcome(task: Welcome, room: Room) -> bool:
    """Post the message; whether the client got it. Raises HeraldError: Lambda then invokes this again.

    The speaker is then told of a listener who has come, or, back again, of all; and the connection whose place was
    taken is closed, OVERLAP_S later.
    """
    posts, tables = room.posts, room.tables
    for wait_s in (*WAITS_S, None):
        try:
            await posts.send(task.connection_id, task.message)
        except NotFound:
            if wait_s is None or (wait_s >= LOOK_FROM_S and await tables.connection(task.connection_id) is None):
                break  # without a row: `$disconnect` has been here already
            await room.sleep(wait_s)
        else:
            if task.target_language is not None:
                await tables.reachable(task.connection_id, task.target_language, returned=task.returning)
                await _catch_up(task, room)
                await _make_room(task.session_id, room)
            if task.target_language is not None or task.replaces is not None:
                await room.report(task.session_id)
            if task.replaces is not None:
                await _retire(task.replaces, task.session_id, room)
            return True
    room.log.info("welcome", "the client had gone before it was welcomed")
    gone = await tables.remove_connection(task.connection_id)
    if gone is not None and gone.role == "speaker":  # its `$disconnect` finds no row any more
        await room.presence.speaker_left(gone.session_id, gone.connection_id, room.now_ms())
    return False


async def _make_room(session_id: str, room: Room) -> None:
    """Send away who came after the session was full.

    `$connect` refuses whoever finds it full in the index; who comes at the same moment as others does not find them
    there. Here each looks again once it is in the index itself, so when the last of them has looked, nobody is too
    many. The index follows the table by a moment: so long more may be in.
    """
    if await room.tables.count_listeners(session_id) <= room.max_listeners:
        return
    for connection_id in await room.presence.beyond(session_id, room.max_listeners):
        if await room.tables.remove_connection(connection_id) is not None:
            room.log.info("welcome", "the session was full", session_id)
            with suppress(NotFound):
                await room.posts.send(connection_id, encode(FULL))
            await room.posts.disconnect(connection_id)


async def _catch_up(task: Welcome, room: Room) -> None:
    """A change of the broadcast's state between the look at it and the place in the index was told to others only."""
    session = await room.tables.session(task.session_id)
    if session is None or session.state_version <= task.state_version:
        return
    now = session.broadcast_state
    message = SpeakerStateChanged(task.session_id, now.last_state_change // 1000, session.state_version, now)
    try:
        await room.posts.send(task.connection_id, encode(message))
    except NotFound:
        return  # it has gone, as `$disconnect` says too


async def _retire(connection_id: str, session_id: str, room: Room) -> None:
    """Close a connection that has its successor, a moment from now; its row goes too. It may be gone already."""
    await room.sleep(OVERLAP_S)
    await room.posts.disconnect(connection_id)
    await room.tables.remove_connection(connection_id)
    await room.report(session_id)


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    settings = load(Settings, os.environ)
    clients = await stack.enter_async_context(Clients())
    dynamodb = await clients.get("dynamodb")
    room = Room(
        Posts(await clients.get("apigatewaymanagementapi")),
        Tables(dynamodb, settings.herald_prefix),
        Presence(dynamodb, settings.herald_prefix),
        reporting(await clients.get("lambda"), settings.herald_prefix, log),
        now_ms,
        log,
        max_listeners=settings.max_listeners_per_session,
    )

    async def handle(event: dict[str, Any], _: Any) -> None:
        if not await welcome(msgspec.convert(event, Welcome), room):
            metrics.add("ClientsGoneBeforeWelcome")

    return handle


FUNCTION: Final = Function("welcome", open_function, answers=False)


async def handle(event: dict[str, Any], context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: dict[str, Any], context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
