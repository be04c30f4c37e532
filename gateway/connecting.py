"""`$connect` and `$disconnect`: a speaker's new session, a listener's way into one, and the way out of both.

What `$connect` answers is not delivered when it lets a client in, and nothing can be posted to a connection before
that answer. So the client's first message (`sessionCreated`, `sessionJoined`) is handed to the function `welcome`,
which is invoked without waiting for it and posts the message once the connection is there.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from gateway import messages, session_ids
from gateway.admission import Connection
from gateway.errors import ErrorCode, WireError
from gateway.events import Incoming
from gateway.limits import Limiter
from gateway.messages import (
    BroadcastState,
    CreateSession,
    JoinSession,
    SessionCreated,
    SessionJoined,
    SpeakerDisconnected,
    SpeakerReconnected,
)
from gateway.notices import Notice
from gateway.offers import Offers
from gateway.presence import Presence
from gateway.settings import Settings
from gateway.tables import DOOR_KEPT_MS, Session, Tables
from gateway.tokens import Verifier
from streams.errors import HeraldError, Refused
from streams.languages import base_language, normalise_source
from streams.records import SessionEvent
from streams.telemetry import Log

ID_ATTEMPTS: Final = 10
"""Row W22. There are some 22 million ids: ten in a row are taken only if nearly all are."""

GONE: Final = "speakerDisconnected"
"""Why a session ended that its speaker did not end."""

ACCEPTED: Final[dict[str, Any]] = {"statusCode": 200}


class Welcome(msgspec.Struct, frozen=True, rename="camel"):
    """What `welcome` is to do. target_language: a listener's, put into the index once it can be reached.

    replaces: the connection whose place this one takes, to be closed a moment later. state_version: that of the state
    in a listener's message. returning: of a listener that was here before.
    """

    connection_id: str
    message: str
    target_language: str | None = None
    session_id: str = ""
    replaces: str | None = None
    state_version: int = 0
    returning: bool = False


class Equipment(NamedTuple):
    """What the control routes work with.

    publish: puts an event into the audio stream, and returns once Kinesis has it. welcome, notify: invoke the functions
    called so. report: invokes the function `status` for a session whose listeners have changed.
    below(n): a random draw from 0 to n - 1.
    """

    settings: Settings
    tables: Tables
    presence: Presence
    limits: Limiter
    verifier: Verifier
    offers: Offers
    publish: Callable[[SessionEvent], Awaitable[None]]
    welcome: Callable[[Welcome], Awaitable[None]]
    notify: Callable[[Notice], Awaitable[None]]
    report: Callable[[str], Awaitable[None]]
    below: Callable[[int], int]
    now_ms: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    log: Log


async def connect(equipment: Equipment, incoming: Incoming) -> dict[str, Any]:
    """Let a client in. Raises WireError, whose status the client gets as that of its handshake.

    The error's body goes with it; the service does not promise that it reaches the client, browsers do not show it.
    """
    query = dict(incoming.query)
    action = query.pop("action", "")
    await equipment.limits.connect(incoming.source_ip, incoming.arrived_ms, joins=action == "joinSession")
    if action == "createSession":
        if not query.get("token"):
            raise WireError(ErrorCode.UNAUTHENTICATED, "A valid token is needed.")
        await _create(equipment, incoming, messages.parse_query(query, CreateSession))
    elif action == "joinSession":
        await _join(equipment, incoming, messages.parse_query(query, JoinSession))
    else:
        actions = "createSession, joinSession, resumeSession or refreshConnection"
        raise WireError(ErrorCode.INVALID_MESSAGE, f"action must be {actions}.")
    return ACCEPTED


async def _create(equipment: Equipment, incoming: Incoming, query: CreateSession) -> None:
    identity = await equipment.verifier.verify(query.token)
    source_language = _source(query.source_language, equipment.settings.sources())
    targets = sorted(await equipment.offers.languages())
    await equipment.limits.session(identity.owner_hash, incoming.arrived_ms)
    now_ms = equipment.now_ms()
    state = BroadcastState(last_state_change=now_ms)
    session = await _add_session(
        equipment,
        Session("", incoming.connection_id, identity.owner_hash, source_language, query.quality_tier, state, now_ms),
    )
    created = SessionEvent(
        session_id=session.session_id,
        event="created",
        timestamp=now_ms,
        source_language=source_language,
        quality_tier=query.quality_tier,
    )
    await equipment.publish(created)
    connection = Connection(incoming.connection_id, session.session_id, "speaker")
    await equipment.tables.add_speaker(connection, now_ms, acknowledge=query.acknowledge_audio == "true")
    message = SessionCreated(
        session_id=session.session_id,
        source_language=source_language,
        quality_tier=query.quality_tier,
        target_languages=targets,
        broadcast_state=state,
        limits=equipment.settings.limits(),
        timestamp=now_ms // 1000,
    )
    await equipment.welcome(Welcome(incoming.connection_id, messages.encode(message)))
    equipment.log.info("connect", "session created", session.session_id, source_language=source_language)


def _source(wanted: str, on_offer: Sequence[str]) -> str:
    """The source language as the recogniser names it. Raises WireError(UNSUPPORTED_LANGUAGE)."""
    try:
        source = normalise_source(wanted)
    except Refused as error:
        raise _unsupported("source", on_offer) from error
    if source not in on_offer:
        raise _unsupported("source", on_offer)
    return source


def offered_target(wanted: str, on_offer: Collection[str]) -> str:
    """The language that a listener gets: the one that was asked for, else the same without its region.

    Raises WireError(UNSUPPORTED_LANGUAGE).
    """
    for language in (wanted.lower(), base_language(wanted)):
        if language in on_offer:
            return language
    raise _unsupported("target", sorted(on_offer))


def _unsupported(which: str, on_offer: Sequence[str]) -> WireError:
    message = f"This {which} language is not on offer."
    return WireError(ErrorCode.UNSUPPORTED_LANGUAGE, message, languages=list(on_offer))


async def _add_session(equipment: Equipment, wanted: Session) -> Session:
    for _ in range(ID_ATTEMPTS):
        session = msgspec.structs.replace(wanted, session_id=session_ids.make(equipment.below))
        if await equipment.tables.add_session(session):
            return session
    raise WireError(ErrorCode.SERVICE_UNAVAILABLE, "No session id is free; try again.")


async def _join(equipment: Equipment, incoming: Incoming, query: JoinSession) -> None:
    session = await equipment.tables.session(query.session_id)
    if session is None or session.ended_at is not None:
        raise WireError(ErrorCode.SESSION_NOT_FOUND, "There is no such session.")
    targets = await equipment.offers.languages()
    language = offered_target(query.target_language, targets)
    if await equipment.tables.count_listeners(session.session_id) >= equipment.settings.max_listeners_per_session:
        raise WireError(ErrorCode.SESSION_FULL, "The session has as many listeners as it may have.")
    now_ms = equipment.now_ms()
    await equipment.tables.add_listener(Connection(incoming.connection_id, session.session_id, "listener"), now_ms)
    message = SessionJoined(
        session_id=session.session_id,
        source_language=session.source_language,
        target_language=language,
        target_languages=sorted(targets),
        broadcast_state=session.broadcast_state,
        limits=equipment.settings.limits(),
        timestamp=now_ms // 1000,
        connection_id=incoming.connection_id,
        state_version=session.state_version,
    )
    text = messages.encode(message)
    task = Welcome(
        incoming.connection_id,
        text,
        language,
        session.session_id,
        state_version=session.state_version,
        returning=query.returning == "true",
    )
    await welcome_listener(equipment, task)
    equipment.log.info("connect", "listener joined", session.session_id, target_language=language)


async def welcome_listener(equipment: Equipment, task: Welcome) -> None:
    """Have a listener greeted. One that cannot be is not let in: no `$disconnect` will come for the row it has already.

    Raises HeraldError.
    """
    try:
        await equipment.welcome(task)
    except HeraldError:
        await equipment.tables.remove_connection(task.connection_id)
        raise


async def disconnect(equipment: Equipment, incoming: Incoming) -> dict[str, Any]:
    """A client has gone."""
    connection = await equipment.tables.connection(incoming.connection_id)
    if connection is not None:
        await forget(equipment, connection)
    return ACCEPTED


async def forget(equipment: Equipment, connection: Connection) -> None:
    """A client has gone: so does its row, and a speaker's session waits for it or ends.

    The row goes last: what breaks off before is found again by it.
    """
    if connection.role == "speaker":
        await leave(equipment, connection)
    await equipment.tables.remove_connection(connection.connection_id)
    if connection.target_language is not None:
        await equipment.report(connection.session_id)


async def leave(equipment: Equipment, speaker: Connection) -> bool:
    """A speaker's connection has gone. Its session waits for it to come back (row W13), or ends without a grace period.

    Whether the session has ended. A session whose speaker has another connection by now goes on; an end that broke off
    is completed. `pulse` ends what waits in vain.
    """
    now_ms = equipment.now_ms()
    waiting = await equipment.presence.speaker_left(speaker.session_id, speaker.connection_id, now_ms)
    if waiting is None:
        session = await equipment.tables.session(speaker.session_id)
        is_half_ended = session is not None and session.ended_at is not None and not session.end_published
        return is_half_ended and await end(equipment, speaker, GONE) is not None
    if not equipment.settings.speaker_grace_s:
        return await end(equipment, speaker, GONE) is not None
    if waiting.speaker_gone_at == now_ms:
        await tell_listeners(equipment, SpeakerDisconnected(speaker.session_id, now_ms // 1000))
        equipment.log.info("disconnect", "the speaker is away", speaker.session_id)
    return False


async def tell_listeners(equipment: Equipment, message: SpeakerDisconnected | SpeakerReconnected) -> None:
    """Tell a session's listeners where the speaker is; that they cannot be told stops nothing."""
    try:
        notice = Notice(message.session_id, messages.encode(message), equipment.now_ms())
        await equipment.notify(notice)
    except HeraldError as error:
        equipment.log.warning("notify", str(error), message.session_id, code=error.code)


async def end(equipment: Equipment, connection: Connection, reason: str) -> Session | None:
    """End the speaker's session: the door is shut first, then the end goes after the last word. Idempotent.

    The session as it is now; None if somebody else's end, or an earlier one, has been published already. An end that
    failed half way is completed by calling again: the event keeps the time of the first attempt, and so its id.
    """
    if await equipment.tables.close_door(connection.connection_id):
        await equipment.sleep(DOOR_KEPT_MS / 1000)  # from here on no instance takes audio: the end will be the last
    session = await equipment.tables.end_session(connection.session_id, equipment.now_ms())
    if session is None or session.ended_at is None or session.end_published:
        return None
    ended = SessionEvent(session_id=session.session_id, event="ended", timestamp=session.ended_at, reason=reason)
    await equipment.publish(ended)
    await equipment.tables.mark_end_published(session.session_id)
    equipment.log.info("end", "session ended", session.session_id, reason=reason)
    return session
