"""The way back in: a speaker to its session (row W13), and a new connection in the place of one that is there (W12).

A speaker's session belongs to the connection that its row names. Whoever comes back, with a token of the same owner,
changes that in one conditional write: of two at once the later one has it, and what has ended stays ended. The new
connection's door is shut until then, and opens with the state that the session has at that moment, paused or muted as
it was.

Nothing is lost or heard twice, because readers tell chunks by the count that they belong to (`AudioChunk.connection`)
and their sequence. A client that goes on with its numbers says so (`continueSequence`): its new connection goes on with
the old one's count, so that a chunk that comes again is a repeat, and one that is missing is waited for. A client that
does not know its numbers any more (a page that was loaded anew) begins a count of its own; the media clock then goes by
the time of capture.

The old connection, if it is still there, may finish what is on its way: `welcome` closes it OVERLAP_S after the new one
has been greeted.
"""

from typing import Any, Final

from gateway import messages
from gateway.admission import Connection
from gateway.connecting import (
    ACCEPTED,
    GONE,
    Equipment,
    Welcome,
    end,
    offered_target,
    tell_listeners,
    welcome_listener,
)
from gateway.errors import ErrorCode, WireError
from gateway.events import Incoming, connection_hash
from gateway.messages import ConnectionRefreshed, RefreshConnection, ResumeSession, SessionResumed, SpeakerReconnected
from gateway.tables import Session

TRIES: Final = 3
"""Connections that come back at the same moment: who finds the session changed looks again."""
ACTIONS: Final = frozenset({"resumeSession", "refreshConnection"})


async def come_back(equipment: Equipment, incoming: Incoming) -> dict[str, Any]:
    """Let a client in that was there before. Raises WireError, as `connect` does."""
    query = dict(incoming.query)
    is_one_more = not query.get("token") and "connectionId" not in query
    await equipment.limits.connect(incoming.source_ip, incoming.arrived_ms, joins=is_one_more)
    if query.pop("action") == "resumeSession":
        if not query.get("token"):
            raise WireError(ErrorCode.UNAUTHENTICATED, "A valid token is needed.")
        resume: ResumeSession = messages.parse_query(query, ResumeSession)
        await _return_speaker(equipment, incoming, resume, resume.token, SessionResumed)
        return ACCEPTED
    wanted: RefreshConnection = messages.parse_query(query, RefreshConnection)
    if wanted.token is not None:
        await _return_speaker(equipment, incoming, wanted, wanted.token, ConnectionRefreshed)
    elif wanted.target_language is not None:
        await _refresh_listener(equipment, incoming, wanted, wanted.target_language)
    else:
        message = "refreshConnection takes a speaker's token, or a listener's targetLanguage."
        raise WireError(ErrorCode.INVALID_MESSAGE, message)
    return ACCEPTED


async def end_abandoned(equipment: Equipment, session: Session) -> bool:
    """End a session whose speaker's time is over; False if the speaker has come back, or it had ended."""
    if not await equipment.presence.end_abandoned(session, equipment.now_ms()):
        return False
    speaker = Connection(session.speaker_connection_id, session.session_id, "speaker")
    return await end(equipment, speaker, GONE) is not None


async def _return_speaker(
    equipment: Equipment,
    incoming: Incoming,
    wanted: ResumeSession | RefreshConnection,
    token: str,
    greeting: type[SessionResumed | ConnectionRefreshed],
) -> None:
    before, session = await _take_over(equipment, incoming, wanted, token)
    message = greeting(
        session_id=session.session_id,
        source_language=session.source_language,
        quality_tier=session.quality_tier,
        target_languages=sorted(await equipment.offers.languages()),
        broadcast_state=session.broadcast_state,
        limits=equipment.settings.limits(),
        timestamp=equipment.now_ms() // 1000,
        state_version=session.state_version,
    )
    await equipment.welcome(
        Welcome(
            incoming.connection_id,
            messages.encode(message),
            session_id=session.session_id,
            replaces=before.speaker_connection_id,
        )
    )
    was_away = before.speaker_gone_at is not None
    if was_away:
        await tell_listeners(equipment, SpeakerReconnected(session.session_id, equipment.now_ms() // 1000))
    equipment.log.info("connect", "the speaker has another connection", session.session_id, was_away=was_away)


async def _take_over(
    equipment: Equipment, incoming: Incoming, wanted: ResumeSession | RefreshConnection, token: str
) -> tuple[Session, Session]:
    """The session before and after, with the connection as its speaker's. Raises WireError."""
    identity = await equipment.verifier.verify(token)
    await equipment.offers.languages()  # what the greeting needs is asked for before anything changes
    connection = Connection(incoming.connection_id, wanted.session_id, "speaker")
    for _ in range(TRIES):
        session = await equipment.tables.session(wanted.session_id)
        if session is None or session.ended_at is not None:
            break
        if session.owner_hash != identity.owner_hash:
            raise WireError(ErrorCode.UNAUTHORIZED, "This session is not yours.")
        count = _count(session, incoming, wanted)
        await equipment.tables.add_speaker(
            connection,
            equipment.now_ms(),
            acknowledge=wanted.acknowledge_audio == "true",
            is_open=False,
            audio_count=count,
        )
        taken = await equipment.presence.take_over(session, connection.connection_id, count)
        if taken is not None:
            await equipment.tables.set_door(connection.connection_id, taken.broadcast_state, taken.state_version)
            await equipment.presence.open_door(connection.connection_id)
            return session, taken
    else:
        raise WireError(ErrorCode.SERVICE_UNAVAILABLE, "Others are coming back to this session; try again.")
    await equipment.tables.remove_connection(connection.connection_id)
    raise WireError(ErrorCode.SESSION_NOT_FOUND, "There is no such session.")


def _count(session: Session, incoming: Incoming, wanted: ResumeSession | RefreshConnection) -> str:
    if wanted.continue_sequence == "true":
        return session.audio_count or connection_hash(session.speaker_connection_id)
    return connection_hash(incoming.connection_id)


async def _refresh_listener(
    equipment: Equipment, incoming: Incoming, wanted: RefreshConnection, target_language: str
) -> None:
    session = await equipment.tables.session(wanted.session_id)
    if session is None or session.ended_at is not None:
        raise WireError(ErrorCode.SESSION_NOT_FOUND, "There is no such session.")
    targets = await equipment.offers.languages()
    language = offered_target(target_language, targets)
    old = wanted.connection_id
    if old is None or not await equipment.presence.mark_refreshed(old, session.session_id):
        old = None
        if await equipment.tables.count_listeners(session.session_id) >= equipment.settings.max_listeners_per_session:
            raise WireError(ErrorCode.SESSION_FULL, "The session has as many listeners as it may have.")
    connection = Connection(incoming.connection_id, session.session_id, "listener")
    await equipment.tables.add_listener(connection, equipment.now_ms())
    message = ConnectionRefreshed(
        session_id=session.session_id,
        source_language=session.source_language,
        target_language=language,
        target_languages=sorted(targets),
        broadcast_state=session.broadcast_state,
        limits=equipment.settings.limits(),
        timestamp=equipment.now_ms() // 1000,
        state_version=session.state_version,
        connection_id=incoming.connection_id,
    )
    text = messages.encode(message)
    task = Welcome(incoming.connection_id, text, language, session.session_id, old, session.state_version)
    await welcome_listener(equipment, task)
    equipment.log.info("connect", "listener's connection refreshed", session.session_id, target_language=language)
