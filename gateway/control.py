"""The control routes: each a request struct and one small function. Who may act is in `routes`, and checked for all."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from gateway import messages, state
from gateway.admission import Connection, check
from gateway.connecting import Equipment, connect, disconnect, end, offered_target
from gateway.errors import ErrorCode, WireError
from gateway.events import Incoming
from gateway.messages import (
    ChangeLanguage,
    EndSession,
    GetSessionStatus,
    Heartbeat,
    HeartbeatAck,
    LanguageChanged,
    MuteBroadcast,
    PauseBroadcast,
    PausePlayback,
    PlaybackPaused,
    ResumeBroadcast,
    SessionEnded,
    SessionStatus,
    SetVolume,
    SpeakerStateChange,
    UnmuteBroadcast,
)
from gateway.notices import Notice
from gateway.returning import ACTIONS, come_back
from gateway.routes import BY_KEY
from gateway.state import StateAnswer, StateRequest
from gateway.status import status_of


class Control(NamedTuple):
    """A control route. request: what its message is; act: what it does, and the message that answers it."""

    request: type[Any]
    act: Callable[[Equipment, Connection, Any], Awaitable[Any]]


async def end_session(equipment: Equipment, connection: Connection, _: EndSession) -> SessionEnded:
    """Row W10. Listeners are told by the broadcast stage, after the last word."""
    session = await end(equipment, connection, "speaker")
    if session is None or session.ended_at is None:
        raise WireError(ErrorCode.SESSION_NOT_FOUND, "The session has ended.")
    return SessionEnded(session_id=session.session_id, reason="speaker", timestamp=session.ended_at // 1000)


async def change_state(equipment: Equipment, connection: Connection, request: StateRequest) -> StateAnswer:
    """Rows W3 to W6. What fails half way is completed by the same request, or by any other change.

    A door that is to shut is shut before the stream is told, one that is to open is opened after: what is in the stream
    between the event that shuts and the one that opens came in against the speaker's will, and readers drop it.
    """
    session_id = connection.session_id
    session = await equipment.tables.change_state(session_id, state.change_of(request), equipment.now_ms())
    if session is None:
        raise WireError(ErrorCode.SESSION_NOT_FOUND, "The session has ended.")
    now, version = session.broadcast_state, session.state_version

    async def door() -> None:
        for speaker in {connection.connection_id, session.speaker_connection_id}:
            await equipment.tables.set_door(speaker, now, version)

    if state.is_quiet(now):
        await door()
        await equipment.publish(state.event_of(request, session_id, now, version))
    else:
        await equipment.publish(state.event_of(request, session_id, now, version))
        await door()
    answer = state.answer_of(request, session_id, now, version)
    await equipment.notify(Notice(session_id, messages.encode(answer), now.last_state_change))
    return answer


async def pause_playback(equipment: Equipment, _connection: Connection, _: PausePlayback) -> PlaybackPaused:
    """Row W8. The client stops playing; it goes on to be sent what is said."""
    return PlaybackPaused(timestamp=equipment.now_ms() // 1000)


async def change_language(equipment: Equipment, connection: Connection, request: ChangeLanguage) -> LanguageChanged:
    """Row W9. The stages find it in the index, which they ask every 400 ms while the session speaks."""
    language = offered_target(request.target_language, await equipment.offers.languages())
    if not await equipment.tables.set_language(connection.connection_id, language):
        raise WireError(ErrorCode.CONNECTION_NOT_FOUND, "This connection is not part of a session.")
    await equipment.report(connection.session_id)
    return LanguageChanged(target_language=language, timestamp=equipment.now_ms() // 1000)


async def get_session_status(equipment: Equipment, connection: Connection, _: GetSessionStatus) -> SessionStatus:
    """Row W7."""
    session = await equipment.tables.session(connection.session_id)
    if session is None or session.ended_at is not None:
        raise WireError(ErrorCode.SESSION_NOT_FOUND, "The session has ended.")
    languages = await equipment.presence.listeners_by_language(session.session_id)
    return status_of(session, languages, equipment.now_ms(), "requested")


async def heartbeat(equipment: Equipment, _connection: Connection, _: Heartbeat) -> HeartbeatAck:
    """Row W11. Counting the message has written down that the client is there."""
    return HeartbeatAck(timestamp=equipment.now_ms() // 1000)


CONTROLS: Final = {
    "pauseBroadcast": Control(PauseBroadcast, change_state),
    "resumeBroadcast": Control(ResumeBroadcast, change_state),
    "muteBroadcast": Control(MuteBroadcast, change_state),
    "unmuteBroadcast": Control(UnmuteBroadcast, change_state),
    "setVolume": Control(SetVolume, change_state),
    "speakerStateChange": Control(SpeakerStateChange, change_state),
    "pausePlayback": Control(PausePlayback, pause_playback),
    "changeLanguage": Control(ChangeLanguage, change_language),
    "endSession": Control(EndSession, end_session),
    "getSessionStatus": Control(GetSessionStatus, get_session_status),
    "heartbeat": Control(Heartbeat, heartbeat),
}


async def route(equipment: Equipment, incoming: Incoming) -> dict[str, Any]:
    """The response to one message, of whatever route. Raises WireError."""
    if incoming.route == "$connect":
        is_return = incoming.query.get("action") in ACTIONS
        return await (come_back if is_return else connect)(equipment, incoming)
    if incoming.route == "$disconnect":
        return await disconnect(equipment, incoming)
    control = CONTROLS.get(incoming.route)
    if control is None:
        raise WireError(ErrorCode.INVALID_MESSAGE, "The message is no JSON object with an action of ours.")
    request = messages.parse(incoming.body, control.request)
    connection = await equipment.limits.control(
        incoming.connection_id, incoming.route, incoming.arrived_ms, equipment.now_ms()
    )
    connection = check(connection, BY_KEY[incoming.route].who, request.session_id)
    answer = await control.act(equipment, connection, request)
    return {"statusCode": 200, "body": messages.encode(answer)}
