"""The control routes: each a request struct and one small function. Who may act is in `routes`, and checked for all."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from gateway import messages
from gateway.admission import Connection, check
from gateway.connecting import Equipment, connect, disconnect, end
from gateway.errors import ErrorCode, WireError
from gateway.events import Incoming
from gateway.messages import EndSession, Heartbeat, HeartbeatAck, SessionEnded
from gateway.routes import BY_KEY

SEEN_EVERY_MS: Final = 10_000
"""How exactly a sign of life is known; small beside row W11's 90 s."""


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


async def heartbeat(equipment: Equipment, connection: Connection, _: Heartbeat) -> HeartbeatAck:
    """Row W11. Heartbeats that come faster than SEEN_EVERY_MS are answered, but not written down."""
    now_ms = equipment.now_ms()
    if now_ms - connection.last_seen_at >= SEEN_EVERY_MS:
        await equipment.tables.seen(connection.connection_id, now_ms)
    return HeartbeatAck(timestamp=now_ms // 1000)


CONTROLS: Final = {
    "endSession": Control(EndSession, end_session),
    "heartbeat": Control(Heartbeat, heartbeat),
}


async def route(equipment: Equipment, incoming: Incoming) -> dict[str, Any]:
    """The response to one message, of whatever route. Raises WireError."""
    if incoming.route == "$connect":
        return await connect(equipment, incoming)
    if incoming.route == "$disconnect":
        return await disconnect(equipment, incoming)
    control = CONTROLS.get(incoming.route)
    if control is None:
        raise WireError(ErrorCode.INVALID_MESSAGE, "The message is no JSON object with an action of ours.")
    request = messages.parse(incoming.body, control.request)
    connection = await equipment.tables.connection(incoming.connection_id)
    connection = check(connection, BY_KEY[incoming.route].who, request.session_id)
    answer = await control.act(equipment, connection, request)
    return {"statusCode": 200, "body": messages.encode(answer)}
