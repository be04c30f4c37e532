"""The messages that listeners get (rows W16, W10). Pure.

A message with sound is below the gateway's frame of 32 KiB as a whole. A listener drops repeats by (utteranceId,
clause, part) and (utteranceId, revision), so both must come out the same whenever a record is sent again.

    caption           an utterance's text so far
    translatedAudio   a part of a clause's speech
    speechSkipped     a clause is too late to be spoken and will not be; captions have its text. From the first of these
                      to the next `translatedAudio` a client may say that speech is behind. A clause of which sound has
                      come is heard all the same; who does not know the message misses nothing but the reason.
    sessionEnded      after the last word

Of changes of the broadcast's state (rows W3 to W6) listeners are told by the gateway, at once.
"""

from typing import Final, Literal

import msgspec

from streams.records import Caption, SessionEvent, SpeechPart

MAX_MESSAGE_BYTES: Final = 32 * 1024 - 1
MAX_PART_MS: Final = 700
"""Sound in one message: what base64 leaves room for in a frame (about 0.75 s), with a clause's text beside it."""
MIN_PART_BYTES: Final = 6_400
"""Where a text is so long that less than 0.2 s of sound would fit beside it, it is left to the captions."""
NUMBERS_BYTES: Final = 64
"""Room for numbers that grow between the message that is measured and the longest one."""

_encoder: Final = msgspec.json.Encoder()


class _Message(msgspec.Struct, frozen=True, rename="camel", tag_field="type"):
    session_id: str


class CaptionMessage(_Message, frozen=True, tag="caption"):
    """An utterance's text so far (row W16): the first `committed` characters never change; isFinal: closed.

    revision grows with every caption of the utterance; startMs, endMs: on the session's media clock. timestamp: Unix
    seconds, as in every message.
    """

    utterance_id: str
    language: str
    revision: int
    text: str
    committed: int
    is_final: bool
    start_ms: int
    end_ms: int
    timestamp: int


class TranslatedAudio(_Message, frozen=True, tag="translatedAudio"):
    """A part of a clause's speech (row W16): part, from 0, of parts; durationMs of clauseDurationMs.

    sequence counts the clauses spoken in this language, from 0. audioData: base64 of PCM16LE, mono, at sampleRate Hz.
    text: what is said, or empty where it is too long. startMs, endMs: the speaker's words on the media clock.
    """

    utterance_id: str
    clause: int
    language: str
    sequence: int
    format: Literal["pcm16le"]
    sample_rate: int
    clause_duration_ms: int
    text: str
    start_ms: int
    end_ms: int
    timestamp: int
    part: int
    parts: int
    duration_ms: int
    audio_data: bytes


class SpeechSkipped(_Message, frozen=True, tag="speechSkipped"):
    """A clause is too late to be spoken and will not be; captions have its text (row S8)."""

    utterance_id: str
    clause: int
    language: str
    reason: Literal["late"]
    text: str
    start_ms: int
    end_ms: int
    timestamp: int


class SessionEnded(_Message, frozen=True, tag="sessionEnded"):
    """The session is over; nothing follows (row W10)."""

    timestamp: int
    reason: str


MESSAGES: Final = (CaptionMessage, TranslatedAudio, SpeechSkipped, SessionEnded)
"""All that this stage sends."""


def messages(record: Caption | SpeechPart | SessionEvent, timestamp_s: int) -> list[bytes]:
    """What to post to each listener, in order; empty for an event that is not this stage's to tell."""
    match record:
        case Caption():
            return [_encoder.encode(_caption(record, timestamp_s))]
        case SpeechPart(skipped_by=""):
            return _speech(record, timestamp_s)
        case SpeechPart():
            return [_skipped(record, timestamp_s)]
        case SessionEvent(event="ended"):
            return [_encoder.encode(SessionEnded(record.session_id, timestamp_s, record.reason))]
        case SessionEvent():
            return []


def duration_ms(speech: SpeechPart) -> int:
    """How long this record sounds."""
    return len(speech.pcm) // 2 * 1000 // speech.sample_rate_hz


def clause_duration_ms(speech: SpeechPart) -> int:
    """How long its whole clause sounds."""
    return max(speech.total_bytes, len(speech.pcm)) // 2 * 1000 // speech.sample_rate_hz


def _caption(caption: Caption, timestamp_s: int) -> CaptionMessage:
    return CaptionMessage(
        session_id=caption.session_id,
        utterance_id=caption.utterance_id,
        language=caption.language,
        revision=caption.revision,
        text=caption.text,
        committed=caption.committed,
        is_final=caption.final,
        start_ms=caption.start_ms,
        end_ms=caption.end_ms,
        timestamp=timestamp_s,
    )


def _skipped(speech: SpeechPart, timestamp_s: int) -> bytes:
    message = SpeechSkipped(
        session_id=speech.session_id,
        utterance_id=speech.utterance_id,
        clause=speech.clause,
        language=speech.language,
        reason="late",
        text=speech.text,
        start_ms=speech.start_ms,
        end_ms=speech.end_ms,
        timestamp=timestamp_s,
    )
    encoded = _encoder.encode(message)
    return encoded if len(encoded) <= MAX_MESSAGE_BYTES else _encoder.encode(msgspec.structs.replace(message, text=""))


def _speech(speech: SpeechPart, timestamp_s: int) -> list[bytes]:
    """Parts are numbered through the clause's records, of which all but the last have the same size."""
    head = TranslatedAudio(
        session_id=speech.session_id,
        utterance_id=speech.utterance_id,
        clause=speech.clause,
        language=speech.language,
        sequence=speech.sequence,
        format="pcm16le",
        sample_rate=speech.sample_rate_hz,
        clause_duration_ms=clause_duration_ms(speech),
        text=speech.text,
        start_ms=speech.start_ms,
        end_ms=speech.end_ms,
        timestamp=timestamp_s,
        part=0,
        parts=0,
        duration_ms=0,
        audio_data=b"",
    )
    size = _part_bytes(head)
    if size < MIN_PART_BYTES:
        head = msgspec.structs.replace(head, text="")
        size = _part_bytes(head)
    full_record = speech.offset_bytes // speech.part if speech.part else len(speech.pcm)
    last_record = max(speech.total_bytes, len(speech.pcm)) - full_record * (speech.parts - 1)
    before = speech.part * _count(full_record, size)
    parts = (speech.parts - 1) * _count(full_record, size) + _count(last_record, size)
    return [
        _encoder.encode(
            msgspec.structs.replace(
                head,
                part=before + index,
                parts=parts,
                duration_ms=len(pcm) // 2 * 1000 // speech.sample_rate_hz,
                audio_data=pcm,
            )
        )
        for index, pcm in enumerate(_cut(speech.pcm, size))
    ]


def _part_bytes(head: TranslatedAudio) -> int:
    """Sound in one message beside this head: even, and the same whenever the clause is sent."""
    room = (MAX_MESSAGE_BYTES - NUMBERS_BYTES - len(_encoder.encode(head))) // 4 * 3
    return min(MAX_PART_MS * head.sample_rate // 1000 * 2, room & ~1)


def _count(size: int, part: int) -> int:
    return -(-size // part)


def _cut(pcm: bytes, size: int) -> list[bytes]:
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]
