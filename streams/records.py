"""What crosses a stream: tagged structs, MessagePack on the wire, audio as bytes.

A record's wire form is a map with camelCase names, its `kind`, and `v`, the major version. A reader ignores names
that it does not know, and refuses a newer major version by name. The golden bytes of every version are in
`tests/streams/golden`.

Times: `*_ms` of a span are on the session's media clock (milliseconds from the first chunk); `timestamp`, `*_at_ms`
and everything in `times_ms` are Unix milliseconds.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from streams.errors import BadRecord, NewerVersion

SAMPLE_RATE_HZ: Final = 16_000
BYTES_PER_MS: Final = SAMPLE_RATE_HZ * 2 // 1000

VERSION: Final = 1
"""The major version that this release writes, and the newest that it reads."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", omit_defaults=True):
    session_id: str
    v: int = VERSION
    times_ms: dict[str, int] = {}
    """When what caused this record passed each hop (names: `streams.times`), Unix milliseconds."""


class AudioChunk(_Record, frozen=True, kw_only=True, tag="audio"):
    """One message of a speaker's audio.

    pcm: PCM16LE, mono, 16 kHz. connection: SHA-256 of the connection id (row X2); a connection that goes on with the
    count of an earlier one has that one's. sequence: the speaker's own count from 0, if it sends one. captured_at_ms:
    the speaker's clock, if it says. admitted_at_ms: the gateway's clock.
    """

    connection: str
    admitted_at_ms: int
    pcm: bytes
    sequence: int | None = None
    captured_at_ms: int | None = None


class SessionEvent(_Record, frozen=True, kw_only=True, tag="event"):
    """A change of a session's state, in order with its audio; every stage passes it on.

    media_ms: the media time at which it came, set by the first stage that knows the clock. reason: why a session ended.
    With a change of the broadcast's state (paused, resumed, muted, unmuted, volume, state) come its number, `version`,
    which grows by one with each change of the session, and the whole state after it: is_paused, is_muted, volume (0.0
    to 1.0). `streams.speaker_state` reads them. version 0: written by a release that did not count, which says no more
    than what has changed.
    """

    event: Literal["created", "paused", "resumed", "muted", "unmuted", "volume", "state", "ended"]
    timestamp: int
    source_language: str = ""
    quality_tier: str = "standard"
    volume: float | None = None
    reason: str = ""
    media_ms: int | None = None
    is_paused: bool | None = None
    is_muted: bool | None = None
    version: int = 0

    @property
    def event_id(self) -> str:
        """Same event, same id; two changes of state may come in one millisecond."""
        return f"{self.session_id}:{self.event}:{self.version or self.timestamp}"


class Word(msgspec.Struct, frozen=True, array_like=True):
    """A word on the media clock; confidence 0 to 1, or None before the final."""

    text: str
    start_ms: int
    end_ms: int
    confidence: float | None = None

    @property
    def middle_ms(self) -> float:
        """What a horizon is compared with."""
        return (self.start_ms + self.end_ms) / 2


class Dynamics(msgspec.Struct, frozen=True, rename="camel"):
    """How something was said. volume 0..1, rate 0.5..2.0, energy 0..1; level_db in dBFS; None: not measured."""

    volume: float = 0.5
    rate: float = 1.0
    energy: float = 0.5
    level_db: float | None = None
    onsets_per_minute: float | None = None


NEUTRAL: Final = Dynamics()
"""What is assumed when nothing is known (row E3)."""


class Transcript(_Record, frozen=True, kw_only=True, tag="transcript"):
    """What was recognised (row L5, and its ids and times).

    status: `partial` may still change and becomes captions only; `clause` is committed, never changes and is spoken
    once; `final` closes the utterance and repeats the text of its clauses (it is not spoken again).
    transcript_text and words: of a partial, all words of the utterance that no clause has committed (the unstable
    tail); of a clause, its words; of a final, all words of the utterance. clause: the clause's index from 0; for a
    partial the index of the clause that it would be; for a final the number of clauses. revision grows with every
    record of the utterance.
    """

    utterance_id: str
    status: Literal["partial", "clause", "final"]
    source_language: str
    transcript_text: str
    words: list[Word]
    start_ms: int
    end_ms: int
    clause: int
    revision: int
    stability_score: float
    timestamp: int

    @property
    def is_partial(self) -> bool:
        """Whether the text may still change."""
        return self.status == "partial"


class EmotionFrame(_Record, frozen=True, kw_only=True, tag="emotion"):
    """The speaker's dynamics over one span of the media clock (row E1).

    volume 0..1, rate 0.5..2.0, energy 0..1. level_db: RMS in dBFS over the voiced part. voiced_ms: how much of the span
    is speech. onsets_ms: where syllables begin, on the media clock.
    """

    start_ms: int
    end_ms: int
    volume: float
    rate: float
    energy: float
    level_db: float
    voiced_ms: int
    onsets_ms: list[int]


class QualityReport(_Record, frozen=True, kw_only=True, tag="quality"):
    """A change in the quality of the incoming audio (row A5): `active` on when it begins, off when it is over."""

    code: Literal["AUDIO_LOW_SNR", "AUDIO_CLIPPING", "AUDIO_ECHO", "AUDIO_SILENCE"]
    active: bool
    value: float
    threshold: float
    media_ms: int


class Caption(_Record, frozen=True, kw_only=True, tag="caption"):
    """The text of an utterance so far, in one listener's language.

    text: the whole utterance as far as known; the first `committed` characters never change. final: closed.
    """

    utterance_id: str
    language: str
    revision: int
    text: str
    committed: int
    final: bool
    start_ms: int
    end_ms: int


class SpeechPart(_Record, frozen=True, kw_only=True, tag="speech"):
    """Translated speech of one clause, or a part of it where the clause is too long for one record.

    pcm: PCM16LE mono at sample_rate_hz. part counts from 0 of `parts`; offset_bytes and total_bytes place this part in
    the clause's whole audio. sequence counts the clauses spoken in this language of this session, from 0.
    start_ms, end_ms: the span of the speaker's words. skipped_by: the stage that left the clause unspoken on purpose,
    because it was too late (row S8, `streams.lag`); the record then stands for the whole clause, has no sound, and
    takes no number of its own (sequence is that of the next). Empty: it is spoken.
    """

    utterance_id: str
    clause: int
    language: str
    sequence: int
    text: str
    ssml: str
    voice: str
    dynamics: Dynamics
    sample_rate_hz: int
    pcm: bytes
    start_ms: int
    end_ms: int
    part: int = 0
    parts: int = 1
    offset_bytes: int = 0
    total_bytes: int = 0
    skipped_by: str = ""


class Receipt(_Record, frozen=True, kw_only=True, tag="receipt"):
    """What became of one message to the listeners of one language (row B4).

    of: what was sent. reached, gone, failed, dropped: numbers of listeners. clause: -1 for a caption. skipped_by: the
    stage (`translate` or `broadcast`) that left the clause unspoken because it was too late (row S8): so many
    listeners were told that. Empty: it was spoken.
    """

    of: Literal["caption", "speech", "event"]
    language: str
    utterance_id: str
    clause: int
    reached: int
    gone: int
    failed: int
    dropped: int
    timestamp: int
    audio_ms: int = 0
    start_ms: int = 0
    end_ms: int = 0
    skipped_by: str = ""


Record: TypeAlias = (
    AudioChunk | SessionEvent | Transcript | EmotionFrame | QualityReport | Caption | SpeechPart | Receipt
)


class _Header(msgspec.Struct):
    kind: str = ""
    v: int = VERSION


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Record)
_header_decoder: Final = msgspec.msgpack.Decoder(_Header)


def encode(record: Record) -> bytes:
    """A record's wire form."""
    return _encoder.encode(record)


def decode(data: bytes) -> Record:
    """The record in `data`.

    Raises NewerVersion for a later major version, BadRecord for anything else that is no record. Neither error
    repeats the bytes: they may hold speech.
    """
    try:
        record: Record = _decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        header = _read_header(data)
        if header is not None and header.v > VERSION:
            raise NewerVersion(_newer(header.kind, header.v)) from error
        raise BadRecord(f"{len(data)} bytes are no record: {type(error).__name__}") from error
    if record.v > VERSION:
        raise NewerVersion(_newer(type(record).__name__, record.v))
    return record


def _read_header(data: bytes) -> _Header | None:
    try:
        return _header_decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        return None


def _newer(kind: str, version: int) -> str:
    return f"record {kind} has version {version}; this release reads up to {VERSION}: deploy the readers first"
