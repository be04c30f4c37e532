"""What clients send and get. Names on the wire are camelCase; `timestamp` is in Unix seconds (as clients expect)."""

from typing import Annotated, Any, Final, Literal

import msgspec

from gateway.errors import ErrorCode, WireError
from gateway.routes import (
    MAX_AUDIO_BYTES,
    MAX_AUDIO_BYTES_PER_FRAME,
    MAX_CONTROL_BYTES,
    MAX_FRAME_BYTES,
    MAX_MESSAGE_BYTES,
)


class BroadcastState(msgspec.Struct, frozen=True, rename="camel"):
    """What a speaker's session is doing (row W18). volume: 0.0 to 1.0; last_state_change: Unix milliseconds."""

    is_active: bool = True
    is_paused: bool = False
    is_muted: bool = False
    volume: float = 1.0
    last_state_change: int = 0


class Limits(msgspec.Struct, frozen=True, rename="camel"):
    """What a client must keep to. Bytes, or chunks per second; heartbeat_s: send one at least this often.

    max_audio_bytes_per_frame: decoded audio that fits one WebSocket frame; a message of more takes several.
    """

    max_audio_chunks_per_second: int
    max_listeners: int
    max_audio_bytes: int = MAX_AUDIO_BYTES
    max_audio_bytes_per_frame: int = MAX_AUDIO_BYTES_PER_FRAME
    max_control_bytes: int = MAX_CONTROL_BYTES
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_frame_bytes: int = MAX_FRAME_BYTES
    heartbeat_s: int = 30


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    action: str
    session_id: str | None = None


class EndSession(_Request, frozen=True):
    """Row W10."""


class Heartbeat(_Request, frozen=True):
    """Row W11."""


class CreateSession(msgspec.Struct, frozen=True, rename="camel"):
    """A speaker's query at `$connect` (row W1). acknowledge_audio "false": no answer to each chunk."""

    token: str
    source_language: Annotated[str, msgspec.Meta(min_length=2, max_length=10)]
    quality_tier: Literal["standard", "premium"] = "standard"
    acknowledge_audio: Literal["true", "false"] = "true"


class JoinSession(msgspec.Struct, frozen=True, rename="camel"):
    """A listener's query at `$connect` (row W1)."""

    session_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    target_language: Annotated[str, msgspec.Meta(min_length=2, max_length=10)]


class SessionCreated(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="sessionCreated"):
    """The speaker is in. target_languages: what listeners may ask for."""

    session_id: str
    source_language: str
    quality_tier: str
    target_languages: list[str]
    broadcast_state: BroadcastState
    limits: Limits
    timestamp: int


class SessionJoined(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="sessionJoined"):
    """The listener is in."""

    session_id: str
    source_language: str
    target_language: str
    target_languages: list[str]
    broadcast_state: BroadcastState
    limits: Limits
    timestamp: int


class SessionEnded(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="sessionEnded"):
    """The speaker's own answer to `endSession`; listeners are told by the broadcast stage, after the last word."""

    session_id: str
    reason: str
    timestamp: int


class HeartbeatAck(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="heartbeatAck"):
    """Row W11."""

    timestamp: int


class _Action(msgspec.Struct, frozen=True):
    action: str


_MALFORMED: Final = "The message is not what this action takes."


def parse(body: str | None, kind: type[Any]) -> Any:
    """A request of `kind` from a message's text.

    Raises WireError: PAYLOAD_TOO_LARGE over MAX_CONTROL_BYTES, INVALID_MESSAGE for what is no such request. Neither
    repeats what was sent.
    """
    data = (body or "").encode()
    if len(data) > MAX_CONTROL_BYTES:
        raise WireError(
            ErrorCode.PAYLOAD_TOO_LARGE, "A control message is larger than allowed.", limit=MAX_CONTROL_BYTES
        )
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(ErrorCode.INVALID_MESSAGE, _MALFORMED) from error


def parse_query(query: dict[str, str] | None, kind: type[Any]) -> Any:
    """A `$connect` query of `kind`. Raises WireError(INVALID_MESSAGE), naming what is wrong by type, not by value."""
    try:
        return msgspec.convert(query or {}, kind)
    except msgspec.ValidationError as error:
        raise WireError(ErrorCode.INVALID_MESSAGE, "The query is not what this action takes.") from error


def encode(message: msgspec.Struct) -> str:
    """A message as its text on the wire."""
    return msgspec.json.encode(message).decode()
