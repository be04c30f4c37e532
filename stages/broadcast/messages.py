"""The messages that listeners get (rows W16, W3 to W6, W10). Pure.

A message with sound is below the gateway's frame of 32 KiB as a whole. A listener drops repeats by (utteranceId,
clause, part) and (utteranceId, revision), so both must come out the same whenever a record is sent again.

    caption           an utterance's text so far
    translatedAudio   a part of a clause's speech
    speechSkipped     a clause is too late to be spoken and will not be; captions have its text. From the first of these
                      to the next `translatedAudio` a client may say that speech is behind. A clause of which sound has
                      come is heard all the same; who does not know the message misses nothing but the reason.
    broadcastPaused, broadcastResumed, broadcastMuted, broadcastUnmuted, volumeChanged, sessionEnded
"""

import base64
from typing import Any, Final

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

_EVENTS: Final = {
    "paused": "broadcastPaused",
    "resumed": "broadcastResumed",
    "muted": "broadcastMuted",
    "unmuted": "broadcastUnmuted",
    "volume": "volumeChanged",
    "ended": "sessionEnded",
}


def messages(record: Caption | SpeechPart | SessionEvent, timestamp_s: int) -> list[bytes]:
    """What to post to each listener, in order; empty for an event that listeners are not told."""
    match record:
        case Caption():
            return [_encoder.encode(_caption(record, timestamp_s))]
        case SpeechPart(skipped_by=""):
            return _speech(record, timestamp_s)
        case SpeechPart():
            return [_skipped(record, timestamp_s)]
        case SessionEvent():
            event = _event(record, timestamp_s)
            return [_encoder.encode(event)] if event else []


def duration_ms(speech: SpeechPart) -> int:
    """How long this record sounds."""
    return len(speech.pcm) // 2 * 1000 // speech.sample_rate_hz


def clause_duration_ms(speech: SpeechPart) -> int:
    """How long its whole clause sounds."""
    return max(speech.total_bytes, len(speech.pcm)) // 2 * 1000 // speech.sample_rate_hz


def _caption(caption: Caption, timestamp_s: int) -> dict[str, Any]:
    return {
        "type": "caption",
        "sessionId": caption.session_id,
        "utteranceId": caption.utterance_id,
        "language": caption.language,
        "revision": caption.revision,
        "text": caption.text,
        "committed": caption.committed,
        "isFinal": caption.final,
        "startMs": caption.start_ms,
        "endMs": caption.end_ms,
        "timestamp": timestamp_s,
    }


def _event(event: SessionEvent, timestamp_s: int) -> dict[str, Any] | None:
    if event.event not in _EVENTS:
        return None
    message: dict[str, Any] = {"type": _EVENTS[event.event], "sessionId": event.session_id, "timestamp": timestamp_s}
    if event.event == "volume":
        message["volumeLevel"] = event.volume
    if event.event == "ended":
        message["reason"] = event.reason
    return message


def _skipped(speech: SpeechPart, timestamp_s: int) -> bytes:
    message = {
        "type": "speechSkipped",
        "sessionId": speech.session_id,
        "utteranceId": speech.utterance_id,
        "clause": speech.clause,
        "language": speech.language,
        "reason": "late",
        "text": speech.text,
        "startMs": speech.start_ms,
        "endMs": speech.end_ms,
        "timestamp": timestamp_s,
    }
    encoded = _encoder.encode(message)
    return encoded if len(encoded) <= MAX_MESSAGE_BYTES else _encoder.encode(message | {"text": ""})


def _speech(speech: SpeechPart, timestamp_s: int) -> list[bytes]:
    """Parts are numbered through the clause's records, of which all but the last have the same size."""
    head: dict[str, Any] = {
        "type": "translatedAudio",
        "sessionId": speech.session_id,
        "utteranceId": speech.utterance_id,
        "clause": speech.clause,
        "language": speech.language,
        "sequence": speech.sequence,
        "format": "pcm16le",
        "sampleRate": speech.sample_rate_hz,
        "clauseDurationMs": clause_duration_ms(speech),
        "text": speech.text,
        "startMs": speech.start_ms,
        "endMs": speech.end_ms,
        "timestamp": timestamp_s,
    }
    size = _part_bytes(head, speech.sample_rate_hz)
    if size < MIN_PART_BYTES:
        head["text"] = ""
        size = _part_bytes(head, speech.sample_rate_hz)
    full_record = speech.offset_bytes // speech.part if speech.part else len(speech.pcm)
    last_record = max(speech.total_bytes, len(speech.pcm)) - full_record * (speech.parts - 1)
    before = speech.part * _count(full_record, size)
    parts = (speech.parts - 1) * _count(full_record, size) + _count(last_record, size)
    return [
        _encoder.encode(
            head
            | {
                "part": before + index,
                "parts": parts,
                "durationMs": len(pcm) // 2 * 1000 // speech.sample_rate_hz,
                "audioData": base64.b64encode(pcm).decode("ascii"),
            }
        )
        for index, pcm in enumerate(_cut(speech.pcm, size))
    ]


def _part_bytes(head: dict[str, Any], sample_rate_hz: int) -> int:
    """Sound in one message beside this head: even, and the same whenever the clause is sent."""
    frame = head | {"part": 0, "parts": 0, "durationMs": 0, "audioData": ""}
    room = (MAX_MESSAGE_BYTES - NUMBERS_BYTES - len(_encoder.encode(frame))) // 4 * 3
    return min(MAX_PART_MS * sample_rate_hz // 1000 * 2, room & ~1)


def _count(size: int, part: int) -> int:
    return -(-size // part)


def _cut(pcm: bytes, size: int) -> list[bytes]:
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]
