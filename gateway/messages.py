"""What clients send and get. Names on the wire are camelCase; `timestamp` is in Unix seconds (as clients expect)."""

from typing import Annotated, Any, Final, Literal

import msgspec

from gateway.errors import ErrorCode, WireError
from gateway.explaining import explain
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
    """What a client must keep to. Bytes, or messages per second; heartbeat_s: send one at least this often.

    max_audio_bytes_per_frame: decoded audio that fits one WebSocket frame; a message of more takes several.
    """

    max_audio_chunks_per_second: int
    max_control_messages_per_second: int
    max_status_queries_per_second: int
    max_listeners: int
    max_audio_bytes: int = MAX_AUDIO_BYTES
    max_audio_bytes_per_frame: int = MAX_AUDIO_BYTES_PER_FRAME
    max_control_bytes: int = MAX_CONTROL_BYTES
    max_message_bytes: int = MAX_MESSAGE_BYTES
    max_frame_bytes: int = MAX_FRAME_BYTES
    heartbeat_s: int = 30


Volume = Annotated[float, msgspec.Meta(ge=0, le=1, description="a number from 0.0 to 1.0")]
Language = Annotated[str, msgspec.Meta(min_length=2, max_length=10, description="a language code, as in es or pt-BR")]


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    action: str
    session_id: str | None = None


class EndSession(_Request, frozen=True):
    """Row W10."""


class Heartbeat(_Request, frozen=True):
    """Row W11."""


class PauseBroadcast(_Request, frozen=True):
    """Row W3."""


class ResumeBroadcast(_Request, frozen=True):
    """Row W3."""


class MuteBroadcast(_Request, frozen=True):
    """Row W4."""


class UnmuteBroadcast(_Request, frozen=True):
    """Row W4."""


class SetVolume(_Request, frozen=True, kw_only=True):
    """Row W5."""

    volume_level: Volume


class StateChange(msgspec.Struct, frozen=True, rename="camel"):
    """What is to change of a broadcast's state; the rest stays."""

    is_paused: bool | msgspec.UnsetType = msgspec.UNSET
    is_muted: bool | msgspec.UnsetType = msgspec.UNSET
    volume: Volume | msgspec.UnsetType = msgspec.UNSET


class SpeakerStateChange(_Request, frozen=True, kw_only=True):
    """Row W6."""

    state: StateChange


class PausePlayback(_Request, frozen=True):
    """Row W8: the listener's own; the broadcast goes on."""


class ChangeLanguage(_Request, frozen=True, kw_only=True):
    """Row W9."""

    target_language: Language


class GetSessionStatus(_Request, frozen=True):
    """Row W7."""


class CreateSession(msgspec.Struct, frozen=True, rename="camel"):
    """A speaker's query at `$connect` (row W1). acknowledge_audio "false": no answer to each chunk."""

    token: str
    source_language: Annotated[str, msgspec.Meta(min_length=2, max_length=10)]
    quality_tier: Literal["standard", "premium"] = "standard"
    acknowledge_audio: Literal["true", "false"] = "true"


class JoinSession(msgspec.Struct, frozen=True, rename="camel"):
    """A listener's query at `$connect` (row W1).

    returning "true": it was here before, and gets the captions of the last 30 s before the next that are new.
    """

    session_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    target_language: Annotated[str, msgspec.Meta(min_length=2, max_length=10)]
    returning: Literal["true", "false"] = "false"


class ResumeSession(msgspec.Struct, frozen=True, rename="camel"):
    """A speaker's query at `$connect` who comes back to a session (row W13).

    continue_sequence "true": the chunks' numbers go on where they were, and what was not acknowledged comes again with
    its own; "false": they begin anew. acknowledge_audio as in `CreateSession`.
    """

    token: str
    session_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    continue_sequence: Literal["true", "false"] = "false"
    acknowledge_audio: Literal["true", "false"] = "true"


class RefreshConnection(msgspec.Struct, frozen=True, rename="camel"):
    """A query at `$connect` for a connection that takes the place of another one (row W12).

    A speaker gives its token, and the rest as in `ResumeSession`. A listener gives target_language, and as
    connection_id what it was told when it joined; without that it is one more listener.
    """

    session_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    token: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    target_language: Annotated[str, msgspec.Meta(min_length=2, max_length=10)] | None = None
    connection_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    continue_sequence: Literal["true", "false"] = "false"
    acknowledge_audio: Literal["true", "false"] = "true"


class _SpeakerGreeting(msgspec.Struct, frozen=True, rename="camel", tag_field="type"):
    session_id: str
    source_language: str
    quality_tier: str
    target_languages: list[str]
    broadcast_state: BroadcastState
    limits: Limits
    timestamp: int
    state_version: int = 0


class SessionCreated(_SpeakerGreeting, frozen=True, tag="sessionCreated"):
    """The speaker is in. target_languages: what listeners may ask for."""


class SessionResumed(_SpeakerGreeting, frozen=True, tag="sessionResumed"):
    """The speaker is back in its session, whose state is as it was (row W13)."""


class SessionJoined(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="sessionJoined"):
    """The listener is in. connection_id: its own, for `RefreshConnection`; nobody else is to know it."""

    session_id: str
    source_language: str
    target_language: str
    target_languages: list[str]
    broadcast_state: BroadcastState
    limits: Limits
    timestamp: int
    connection_id: str = ""
    state_version: int = 0


class ConnectionRefreshed(
    msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="connectionRefreshed", omit_defaults=True
):
    """The new connection serves; the old one does so for OVERLAP_S more, unless its client closes it (row W12).

    quality_tier: a speaker's; target_language, connection_id: a listener's, as in `SessionJoined`.
    """

    session_id: str
    source_language: str
    target_languages: list[str]
    broadcast_state: BroadcastState
    limits: Limits
    timestamp: int
    quality_tier: str | None = None
    target_language: str | None = None
    connection_id: str | None = None
    state_version: int = 0


class _StateNotice(msgspec.Struct, frozen=True, rename="camel", tag_field="type"):
    """The speaker's answer and the listeners' notice (rows W3 to W6).

    state_version grows by one with each change of the session: a notice that comes after one with a higher number is
    out of date, or after a greeting (`sessionJoined` and its like) with a higher one. A new session has 0.
    """

    session_id: str
    timestamp: int
    state_version: int


class BroadcastPaused(_StateNotice, frozen=True, tag="broadcastPaused"):
    """Row W3."""


class BroadcastResumed(_StateNotice, frozen=True, tag="broadcastResumed"):
    """Row W3."""


class BroadcastMuted(_StateNotice, frozen=True, tag="broadcastMuted"):
    """Row W4."""


class BroadcastUnmuted(_StateNotice, frozen=True, tag="broadcastUnmuted"):
    """Row W4."""


class VolumeChanged(_StateNotice, frozen=True, tag="volumeChanged"):
    """Row W5. volume_level: as it is kept, to the thousandth."""

    volume_level: float


class SpeakerStateChanged(_StateNotice, frozen=True, tag="speakerStateChanged"):
    """Row W6: the whole state."""

    state: BroadcastState


class PlaybackPaused(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="playbackPaused"):
    """Row W8."""

    timestamp: int


class LanguageChanged(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="languageChanged"):
    """Row W9: the language that the listener gets from now on; of a regional one that is not on offer, the language."""

    target_language: str
    timestamp: int


class SessionStatus(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="sessionStatus"):
    """Who listens (rows W7, W14). language_distribution: listeners by language; session_duration: seconds."""

    session_id: str
    listener_count: int
    language_distribution: dict[str, int]
    session_duration: int
    broadcast_state: BroadcastState
    timestamp: int
    update_reason: Literal["requested", "periodic", "listenerCountChange", "newLanguage"]


class SpeakerDisconnected(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="speakerDisconnected"):
    """To listeners: the speaker is away, and has a while to come back (row W13)."""

    session_id: str
    timestamp: int


class SpeakerReconnected(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="speakerReconnected"):
    """To listeners: the speaker is back (row W13)."""

    session_id: str
    timestamp: int


class ConnectionWarning(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="connectionWarning"):
    """This connection will end in so many seconds: refresh it (row W17)."""

    remaining_seconds: int
    timestamp: int


class ServerDraining(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="serverDraining"):
    """All connections will end: come back after so many seconds (row W17)."""

    reconnect_after_seconds: int
    timestamp: int


class SessionEnded(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="sessionEnded"):
    """The speaker's own answer to `endSession`; listeners are told by the broadcast stage, after the last word."""

    session_id: str
    reason: str
    timestamp: int


class HeartbeatAck(msgspec.Struct, frozen=True, rename="camel", tag_field="type", tag="heartbeatAck"):
    """Row W11."""

    timestamp: int


REQUESTS: Final = {
    "pauseBroadcast": (PauseBroadcast, BroadcastPaused),
    "resumeBroadcast": (ResumeBroadcast, BroadcastResumed),
    "muteBroadcast": (MuteBroadcast, BroadcastMuted),
    "unmuteBroadcast": (UnmuteBroadcast, BroadcastUnmuted),
    "setVolume": (SetVolume, VolumeChanged),
    "speakerStateChange": (SpeakerStateChange, SpeakerStateChanged),
    "getSessionStatus": (GetSessionStatus, SessionStatus),
    "pausePlayback": (PausePlayback, PlaybackPaused),
    "changeLanguage": (ChangeLanguage, LanguageChanged),
    "endSession": (EndSession, SessionEnded),
    "heartbeat": (Heartbeat, HeartbeatAck),
}
"""Control messages by action, each with what answers it if it is not an error. (`sendAudio` is `ingest`'s.)"""

QUERIES: Final = {
    "createSession": (CreateSession, SessionCreated),
    "joinSession": (JoinSession, SessionJoined),
    "resumeSession": (ResumeSession, SessionResumed),
    "refreshConnection": (RefreshConnection, ConnectionRefreshed),
}
"""What `$connect` takes by action, each with the greeting that follows."""

NOTICES: Final = (
    BroadcastPaused,
    BroadcastResumed,
    BroadcastMuted,
    BroadcastUnmuted,
    VolumeChanged,
    SpeakerStateChanged,
    SpeakerDisconnected,
    SpeakerReconnected,
    ConnectionWarning,
    ServerDraining,
)
"""What clients are told unasked, besides `SessionStatus` and what the stages send."""


def parse(body: str | None, kind: type[Any]) -> Any:
    """A request of `kind` from a message's text.

    Raises WireError: PAYLOAD_TOO_LARGE over MAX_CONTROL_BYTES; INVALID_MESSAGE, or INVALID_VOLUME, for what is no such
    request, which says what would be. Neither repeats what was sent.
    """
    data = (body or "").encode(errors="replace")
    if len(data) > MAX_CONTROL_BYTES:
        raise WireError(
            ErrorCode.PAYLOAD_TOO_LARGE, "A control message is larger than allowed.", limit=MAX_CONTROL_BYTES
        )
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error, kind) from error


def parse_query(query: dict[str, str] | None, kind: type[Any]) -> Any:
    """A `$connect` query of `kind`. Raises WireError(INVALID_MESSAGE), which says what would be right."""
    try:
        return msgspec.convert(query or {}, kind)
    except msgspec.ValidationError as error:
        raise explain(error, kind, "query") from error


def encode(message: msgspec.Struct) -> str:
    """A message as its text on the wire."""
    return msgspec.json.encode(message).decode()
