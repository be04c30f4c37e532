"""The stage's snapshot: what a session must remember when nothing is in flight. No audio is in it."""

from typing import Final

import msgspec

from stages.emotion.alerts import AlertsState
from stages.emotion.quality import QualityState
from stages.emotion.spans import Heard
from streams import state as snapshots
from streams.speaker_state import SpeakerState
from streams.timeline import TimelineState

VERSION: Final = 1


class EmotionState(msgspec.Struct):
    """All of it. measured_to: the sample up to which frames were emitted. heard: how loud the last 3 s were. speaker:
    the broadcast's state where the snapshot was taken.
    """

    v: int = VERSION
    timeline: TimelineState = msgspec.field(default_factory=TimelineState)
    measured_to: int = 0
    heard: list[Heard] = []
    quality: QualityState = msgspec.field(default_factory=QualityState)
    ended: bool = False
    speaker: SpeakerState = SpeakerState()
    alerts: AlertsState = msgspec.field(default_factory=AlertsState)


def encode(state: EmotionState) -> bytes:
    """The snapshot's bytes."""
    return snapshots.encode(state)


def decode(data: bytes) -> EmotionState:
    """What `encode` was given. Raises NewerVersion for a later major version, BadRecord for what is no snapshot."""
    return snapshots.decode(data, EmotionState, VERSION)
