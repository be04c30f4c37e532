"""What listeners are sent."""

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.broadcast.messages import MAX_MESSAGE_BYTES, MESSAGES, clause_duration_ms, duration_ms, messages
from streams.records import Caption, SessionEvent, SpeechPart
from tests.stages.broadcast.speech import SESSION, caption, event, speech


def decoded(record: Caption | SpeechPart | SessionEvent) -> list[dict[str, Any]]:
    posts = messages(record, 1_700_000_000)
    assert all(len(post) <= MAX_MESSAGE_BYTES for post in posts)
    return [msgspec.json.decode(post) for post in posts]


def test_a_caption() -> None:
    assert decoded(caption(3, final=True)) == [
        {
            "type": "caption",
            "sessionId": SESSION,
            "utteranceId": f"{SESSION}:0",
            "language": "es",
            "revision": 3,
            "text": "hola",
            "committed": 4,
            "isFinal": True,
            "startMs": 0,
            "endMs": 900,
            "timestamp": 1_700_000_000,
        }
    ]


def test_speech() -> None:
    first, second = decoded(speech(2, ms=1_000))
    assert (first["part"], second["part"], first["parts"]) == (0, 1, 2)
    assert (first["durationMs"], second["durationMs"], first["clauseDurationMs"]) == (700, 300, 1_000)
    assert first["type"] == "translatedAudio"
    assert (first["format"], first["sampleRate"], first["text"], first["clause"]) == ("pcm16le", 16_000, "hola", 2)
    assert (duration_ms(speech(ms=250)), clause_duration_ms(speech(ms=250, total_ms=900))) == (250, 900)


@given(st.integers(1, 3_000), st.text(max_size=300).map(lambda text: text * 40))
@settings(max_examples=60, deadline=None)
def test_parts_joined_are_the_sound_whatever_the_text(ms: int, text: str) -> None:
    record = speech(ms=ms, text=text.encode("utf-8", "replace").decode())
    parts = decoded(record)
    assert b"".join(base64.b64decode(part["audioData"]) for part in parts) == record.pcm
    assert [part["part"] for part in parts] == list(range(len(parts)))
    assert {part["parts"] for part in parts} == {len(parts)}


def test_parts_go_on_through_the_records_of_a_clause() -> None:
    records = [
        speech(ms=15_000, part=0, parts=3, offset_ms=0, total_ms=31_000),
        speech(ms=15_000, part=1, parts=3, offset_ms=15_000, total_ms=31_000),
        speech(ms=1_000, part=2, parts=3, offset_ms=30_000, total_ms=31_000),
    ]
    parts = [part for record in records for part in decoded(record)]
    assert [part["part"] for part in parts] == list(range(len(parts)))
    assert {part["parts"] for part in parts} == {len(parts)}


@pytest.mark.parametrize("name", ["created", "paused", "resumed", "muted", "unmuted", "volume", "state"])
def test_events_that_are_the_gateway_s_to_tell(name: str) -> None:
    assert decoded(event(name, volume=0.5)) == []


def test_the_end() -> None:
    assert decoded(event("ended"))[0] == {
        "type": "sessionEnded",
        "sessionId": SESSION,
        "timestamp": 1_700_000_000,
        "reason": "speaker",
    }


def test_every_message_is_one_of_those_that_are_listed() -> None:
    listed = {kind.__struct_config__.tag for kind in MESSAGES}
    skipped = msgspec.structs.replace(speech(2), pcm=b"", skipped_by="translate")
    sent = [one for record in (caption(), speech(), skipped, event("ended")) for one in decoded(record)]
    assert {one["type"] for one in sent} == listed


def test_speech_that_is_too_late_is_told_and_not_sent() -> None:
    record = msgspec.structs.replace(speech(2), pcm=b"", skipped_by="translate")
    assert decoded(record) == [
        {
            "type": "speechSkipped",
            "sessionId": SESSION,
            "utteranceId": f"{SESSION}:0",
            "clause": 2,
            "language": "es",
            "reason": "late",
            "text": "hola",
            "startMs": 2_000,
            "endMs": 2_900,
            "timestamp": 1_700_000_000,
        }
    ]
    assert decoded(msgspec.structs.replace(record, text="x" * 40_000))[0]["text"] == ""
