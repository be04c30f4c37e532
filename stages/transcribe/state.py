"""The stage's snapshot: what a session must remember when nothing is in flight."""

from typing import Final

import msgspec

from stages.transcribe.speaker_clock import SpeakerClockState
from streams import state as snapshots
from streams.records import Word
from streams.speaker_state import SpeakerState
from streams.timeline import TimelineState

VERSION: Final = 1


class OpenUtterance(msgspec.Struct):
    """An utterance that no final has closed. words: those that its clauses have committed."""

    utterance_id: str
    revision: int = 0
    clauses: int = 0
    words: list[Word] = []


class SpeechState(msgspec.Struct):
    """What has been said: the horizon, the last committed words, the open utterance."""

    horizon_ms: int = 0
    recent: list[Word] = []
    utterance: OpenUtterance | None = None


class TranscribeState(msgspec.Struct):
    """All of it. covered_ms: up to where finals cover the audio. events: ids of the last session events passed on that
    have no number. speaker: the broadcast's state where the snapshot was taken.
    """

    v: int = VERSION
    timeline: TimelineState = msgspec.field(default_factory=TimelineState)
    speech: SpeechState = msgspec.field(default_factory=SpeechState)
    covered_ms: int = 0
    source_language: str = ""
    events: list[str] = []
    ended: bool = False
    speaker_clock: SpeakerClockState = msgspec.field(default_factory=SpeakerClockState)
    speaker: SpeakerState = SpeakerState()


def encode(state: TranscribeState) -> bytes:
    """The snapshot's bytes."""
    return snapshots.encode(state)


def decode(data: bytes) -> TranscribeState:
    """What `encode` was given. Raises NewerVersion for a later major version, BadRecord for what is no snapshot."""
    return snapshots.decode(data, TranscribeState, VERSION)
