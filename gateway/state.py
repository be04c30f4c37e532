"""A broadcast's state: what each request changes of it, who is told what (rows W3 to W6, W18). Pure.

The session's row has the state, and a number that grows with each change. Everything else follows the row: the door
that lets audio in, the event in the audio stream, the listeners' notice. Each carries the number, so that whatever
comes late, or out of order, or twice, is known for it.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from gateway.messages import (
    BroadcastMuted,
    BroadcastPaused,
    BroadcastResumed,
    BroadcastState,
    BroadcastUnmuted,
    MuteBroadcast,
    PauseBroadcast,
    ResumeBroadcast,
    SetVolume,
    SpeakerStateChange,
    SpeakerStateChanged,
    UnmuteBroadcast,
    VolumeChanged,
)
from streams.records import SessionEvent

VOLUME_DIGITS: Final = 3
"""A volume is kept to the thousandth: a finer step is heard by nobody, and DynamoDB has no number below 1e-130."""

StateRequest: TypeAlias = (
    PauseBroadcast | ResumeBroadcast | MuteBroadcast | UnmuteBroadcast | SetVolume | SpeakerStateChange
)
StateAnswer: TypeAlias = (
    BroadcastPaused | BroadcastResumed | BroadcastMuted | BroadcastUnmuted | VolumeChanged | SpeakerStateChanged
)
_Kind: TypeAlias = Literal["paused", "resumed", "muted", "unmuted", "volume", "state"]

_KINDS: Final[dict[type[StateRequest], _Kind]] = {
    PauseBroadcast: "paused",
    ResumeBroadcast: "resumed",
    MuteBroadcast: "muted",
    UnmuteBroadcast: "unmuted",
    SetVolume: "volume",
    SpeakerStateChange: "state",
}


class Change(msgspec.Struct, frozen=True):
    """What is to change; None: it stays. volume: 0.0 to 1.0."""

    is_paused: bool | None = None
    is_muted: bool | None = None
    volume: float | None = None


def change_of(request: StateRequest) -> Change:
    """What a request changes."""
    match request:
        case PauseBroadcast() | ResumeBroadcast():
            return Change(is_paused=isinstance(request, PauseBroadcast))
        case MuteBroadcast() | UnmuteBroadcast():
            return Change(is_muted=isinstance(request, MuteBroadcast))
        case SetVolume():
            return Change(volume=_kept(request.volume_level))
        case SpeakerStateChange(state=state):
            return Change(
                is_paused=None if state.is_paused is msgspec.UNSET else state.is_paused,
                is_muted=None if state.is_muted is msgspec.UNSET else state.is_muted,
                volume=None if state.volume is msgspec.UNSET else _kept(state.volume),
            )


def is_quiet(state: BroadcastState) -> bool:
    """Whether the door is shut: then it is shut before the stream is told, else opened after (row A7)."""
    return state.is_paused or state.is_muted


def event_of(request: StateRequest, session_id: str, state: BroadcastState, version: int) -> SessionEvent:
    """The event of a change, with the whole state after it."""
    return SessionEvent(
        session_id=session_id,
        event=_KINDS[type(request)],
        timestamp=state.last_state_change,
        is_paused=state.is_paused,
        is_muted=state.is_muted,
        volume=state.volume,
        version=version,
    )


def answer_of(request: StateRequest, session_id: str, state: BroadcastState, version: int) -> StateAnswer:
    """What the speaker is answered and the listeners are told."""
    timestamp_s = state.last_state_change // 1000
    match request:
        case PauseBroadcast():
            return BroadcastPaused(session_id, timestamp_s, version)
        case ResumeBroadcast():
            return BroadcastResumed(session_id, timestamp_s, version)
        case MuteBroadcast():
            return BroadcastMuted(session_id, timestamp_s, version)
        case UnmuteBroadcast():
            return BroadcastUnmuted(session_id, timestamp_s, version)
        case SetVolume():
            return VolumeChanged(session_id, timestamp_s, version, state.volume)
        case SpeakerStateChange():
            return SpeakerStateChanged(session_id, timestamp_s, version, state)


def _kept(volume: float) -> float:
    return round(volume, VOLUME_DIGITS) + 0.0  # -0.0 is 0.0
