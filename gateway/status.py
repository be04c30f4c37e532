"""What a speaker is told of its listeners: on request (row W7), and unasked when it matters (row W14).

Counts come from the index of row B1, each time: a counter of its own could go wrong, in a crash at the latest. They are
a moment behind (the index follows the table), and a connection that broke off counts until its row is gone.

The function `status` is invoked, without waiting, whenever a listener comes, goes or changes language. Of invocations
at the same time one goes on (`claim_report`): it waits until LEAST_MS after the last report, and SETTLE_MS in any case,
then counts. So a burst of joins is one report, and the report after it has all of them. It is told only if
`report_due`. `pulse` reports periodically, and with that whatever an invocation that failed did not.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Literal, NamedTuple

import msgspec

from gateway import messages
from gateway.invoking import invoking
from gateway.lambdas import Function, Handle, now_ms
from gateway.messages import SessionStatus
from gateway.posts import Posts
from gateway.presence import Presence
from gateway.settings import Place
from gateway.tables import Report, Session, Tables
from streams.aws import Clients
from streams.errors import HeraldError, NotFound
from streams.settings import load
from streams.telemetry import Log, Metrics

LEAST_MS: Final = 1_000
"""Between two reports of a change. The periodic one, and answers to requests, come beside."""
SETTLE_MS: Final = 100
"""The index has what was written before that."""
MOVED_BY: Final = 0.1
"""Row W14: a count that has moved by more than this share of what was told is told again."""

Reason = Literal["periodic", "listenerCountChange", "newLanguage", "requested"]


class Task(msgspec.Struct, frozen=True, rename="camel"):
    """Whose listeners have changed."""

    session_id: str


class Reporter(NamedTuple):
    """What reports need. post: sends a message to a connection; raises NotFound for one that is not there."""

    tables: Tables
    presence: Presence
    post: Callable[[str, str], Awaitable[None]]
    now_ms: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]


def report_due(last: Report | None, languages: Mapping[str, int]) -> Reason | None:
    """Why the speaker is to be told of these listeners now, if it is. Before the first report it knows of none."""
    told = {} if last is None else last.languages
    if languages.keys() - told.keys():
        return "newLanguage"
    before, count = sum(told.values()), sum(languages.values())
    return "listenerCountChange" if abs(count - before) > MOVED_BY * before else None


def status_of(session: Session, languages: dict[str, int], at_ms: int, reason: Reason) -> SessionStatus:
    """The message. at_ms: now, Unix milliseconds."""
    return SessionStatus(
        session_id=session.session_id,
        listener_count=sum(languages.values()),
        language_distribution=languages,
        session_duration=max(0, at_ms - session.created_at) // 1000,
        broadcast_state=session.broadcast_state,
        timestamp=at_ms // 1000,
        update_reason=reason,
    )


async def report_change(reporter: Reporter, session_id: str) -> Reason | None:
    """Tell the speaker of a change, if there is one to tell and nobody else does; why it was told. Raises HeraldError.

    It takes up to LEAST_MS and SETTLE_MS.
    """
    session = await _waiting_for_news(reporter, session_id)
    if session is None:
        return None
    at_ms = reporter.now_ms()
    until_ms = max(at_ms, session.last_report.at_ms + LEAST_MS if session.last_report else 0)
    if not await reporter.presence.claim_report(session_id, at_ms, until_ms):
        return None
    await reporter.sleep((until_ms - at_ms + SETTLE_MS) / 1000)
    session = await _waiting_for_news(reporter, session_id)
    if session is None:
        return None
    languages = await reporter.presence.listeners_by_language(session_id)
    reason = report_due(session.last_report, languages)
    return reason if reason is not None and await _tell(reporter, session, languages, reason) else None


async def report_periodically(reporter: Reporter, session: Session) -> bool:
    """Tell the speaker how things are, unless somebody else just does; whether it got it. Raises HeraldError."""
    languages = await reporter.presence.listeners_by_language(session.session_id)
    return await _tell(reporter, session, languages, "periodic")


async def _waiting_for_news(reporter: Reporter, session_id: str) -> Session | None:
    """The session, if there is somebody to tell."""
    session = await reporter.tables.session(session_id)
    return None if session is None or session.ended_at is not None or session.speaker_gone_at is not None else session


async def _tell(reporter: Reporter, session: Session, languages: dict[str, int], reason: Reason) -> bool:
    at_ms = reporter.now_ms()
    if not await reporter.presence.note_report(session, Report(at_ms, languages)):
        return False
    message = status_of(session, languages, at_ms, reason)
    try:
        await reporter.post(session.speaker_connection_id, messages.encode(message))
    except NotFound:
        return False  # its `$disconnect` says so too
    return True


def reporting(functions: Any, prefix: str, log: Log) -> Callable[[str], Awaitable[None]]:
    """Invokes this function for a session, without waiting. functions: Lambda's client. It raises nothing of that."""

    invoke = invoking(functions, prefix, "status")

    async def report(session_id: str) -> None:
        try:
            await invoke(Task(session_id))
        except HeraldError as error:  # the periodic report has it too
            log.warning("report", str(error), session_id, code=error.code)

    return report


async def open_reporter(clients: Clients, prefix: str) -> Reporter:
    """A reporter with real clients."""
    dynamodb = await clients.get("dynamodb")
    posts = Posts(await clients.get("apigatewaymanagementapi"))
    return Reporter(Tables(dynamodb, prefix), Presence(dynamodb, prefix), posts.send, now_ms, asyncio.sleep)


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    settings = load(Place, os.environ)
    reporter = await open_reporter(await stack.enter_async_context(Clients()), settings.herald_prefix)

    async def handle(event: dict[str, Any], _: Any) -> None:
        task = msgspec.convert(event, Task)
        if (reason := await report_change(reporter, task.session_id)) is not None:
            metrics.add("StatusUpdatesSent")
            log.info("report", "the speaker was told of its listeners", task.session_id, reason=reason)

    return handle


FUNCTION: Final = Function("status", open_function, answers=False)


async def handle(event: dict[str, Any], context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: dict[str, Any], context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
