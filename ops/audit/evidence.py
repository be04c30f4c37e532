"""What an audit goes by: one session's records in the order of their streams, its dead letters, who listened when.

Sound is not kept: a chunk is kept as its length and which of its hops can be heard, a part of speech as its length.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
import numpy as np

from ops.account import HOP_MS, audible
from ops.audio_files import SAMPLE_RATE_HZ
from streams.errors import Failure
from streams.records import AudioChunk, Caption, Receipt, Record, SessionEvent, SpeechPart, Transcript
from streams.resources import StreamName
from streams.stage import Position

_HOP_SAMPLES: Final = HOP_MS * SAMPLE_RATE_HZ // 1000


class Seen(NamedTuple):
    """A record and its place. written_ms: when Kinesis had it (Unix). record: without sound; None: bytes that are none.

    size_bytes: its sound's. audible: of a chunk, a byte per hop of 10 ms, 1 where something can be heard.
    """

    stream: StreamName
    position: Position
    written_ms: int
    record: Record | None
    size_bytes: int = 0
    audible: bytes = b""


class Letter(NamedTuple):
    """A dead letter, without its bytes. redriven: how often it was sent back; redriven_at_ms: when last (Unix)."""

    id: str
    stage: str
    stream: str
    position: Position
    failure: Failure
    attempts: int
    buried_at_ms: int
    redriven: int = 0
    redriven_at_ms: int | None = None


class Listening(NamedTuple):
    """Which languages had a listener, as translate was told at a moment (Unix milliseconds)."""

    at_ms: int
    languages: frozenset[str]


class Evidence(msgspec.Struct):
    """All of it; each stream's records in their order.

    listening: in the order of time; None when the journal does not say. given_ms: when translate was given each of the
    transcripts, as the journal says (Unix). exact: the recogniser hears every sound (tones).
    created_at_ms, ended_at_ms: of the session's row, if there is one. read_at_ms: when all this was read (Unix).
    trimmed: streams whose beginning of the session is past retention.
    """

    session_id: str
    audio: list[Seen] = []
    transcripts: list[Seen] = []
    speech: list[Seen] = []
    receipts: list[Seen] = []
    letters: list[Letter] = []
    listening: list[Listening] | None = None
    given_ms: dict[Position, int] = {}
    exact: bool = False
    created_at_ms: int | None = None
    ended_at_ms: int | None = None
    read_at_ms: int = 0
    trimmed: list[StreamName] = []

    def is_empty(self) -> bool:
        """Whether the session is nowhere."""
        return self.created_at_ms is None and not (
            self.audio or self.transcripts or self.speech or self.receipts or self.letters
        )

    def take(self, stream: StreamName, position: Position, written_ms: int, record: Record | None) -> None:
        """Add a record of this session, the next in its stream. None: bytes under its key that are no record."""
        rows: dict[StreamName, list[Seen]] = {
            "audio": self.audio,
            "transcripts": self.transcripts,
            "speech": self.speech,
            "receipts": self.receipts,
        }
        if stream in rows:
            rows[stream].append(_seen(stream, position, written_ms, record))


def _seen(stream: StreamName, position: Position, written_ms: int, record: Record | None) -> Seen:
    match record:
        case AudioChunk(pcm=pcm):
            light = msgspec.structs.replace(record, pcm=b"")
            return Seen(stream, position, written_ms, light, len(pcm), _audible(pcm))
        case SpeechPart(pcm=pcm):
            return Seen(stream, position, written_ms, msgspec.structs.replace(record, pcm=b""), len(pcm))
        case _:
            return Seen(stream, position, written_ms, record)


def _audible(pcm: bytes) -> bytes:
    """A rest shorter than a hop is filled up with silence."""
    samples = np.frombuffer(pcm[: len(pcm) & ~1], "<i2")
    padded = np.pad(samples, (0, -len(samples) % _HOP_SAMPLES)).astype(np.int16)
    return audible(padded).astype(np.uint8).tobytes()


def transcripts_of(rows: Iterable[Seen]) -> Iterable[tuple[Seen, Transcript]]:
    """The transcripts among them."""
    return ((seen, seen.record) for seen in rows if isinstance(seen.record, Transcript))


def captions_of(rows: Iterable[Seen]) -> Iterable[tuple[Seen, Caption]]:
    """The captions among them."""
    return ((seen, seen.record) for seen in rows if isinstance(seen.record, Caption))


def speech_of(rows: Iterable[Seen]) -> Iterable[tuple[Seen, SpeechPart]]:
    """The parts of speech among them."""
    return ((seen, seen.record) for seen in rows if isinstance(seen.record, SpeechPart))


def receipts_of(rows: Iterable[Seen]) -> Iterable[tuple[Seen, Receipt]]:
    """The receipts among them."""
    return ((seen, seen.record) for seen in rows if isinstance(seen.record, Receipt))


def is_skipped(record: SpeechPart | Receipt) -> bool:
    """Whether it says that a clause was left unspoken because it was too late (row S8)."""
    return record.skipped_by != ""


def end_of(rows: Iterable[Seen]) -> Seen | None:
    """Where a stream tells the session's end, if it does."""
    for seen in rows:
        match seen.record:
            case SessionEvent(event="ended"):
                return seen
            case Receipt(of="event", utterance_id=event_id) if ":ended:" in event_id:
                return seen
    return None
