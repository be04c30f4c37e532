"""Who may act on what. Pure: what is known of a connection comes in, a refusal comes out."""

from typing import Literal

import msgspec

from gateway.errors import ErrorCode, WireError
from gateway.routes import Who

Role = Literal["speaker", "listener"]


class Connection(msgspec.Struct, frozen=True):
    """What the Connections table knows of a connection. last_seen_at: its last sign of life, Unix milliseconds."""

    connection_id: str
    session_id: str
    role: Role
    target_language: str | None = None
    last_seen_at: int = 0


def check(connection: Connection | None, who: Who, session_id: str | None) -> Connection:
    """The connection, if it may act.

    session_id: the session that the message names, if it does. Raises WireError: CONNECTION_NOT_FOUND,
    or UNAUTHORIZED for the wrong role or somebody else's session.
    """
    if connection is None:
        raise WireError(ErrorCode.CONNECTION_NOT_FOUND, "This connection is not part of a session.")
    if who in ("speaker", "listener") and connection.role != who:
        raise WireError(ErrorCode.UNAUTHORIZED, f"Only a {who} may do this.")
    if session_id is not None and session_id != connection.session_id:
        raise WireError(ErrorCode.UNAUTHORIZED, "This session is not yours.")
    return connection
