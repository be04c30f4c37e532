"""Records on the wire: golden bytes of every version, unknown fields ignored, newer versions refused by name."""

from pathlib import Path

import msgspec
import pytest

from streams.errors import BadRecord, NewerVersion
from streams.records import (
    AudioChunk,
    Caption,
    Dynamics,
    EmotionFrame,
    QualityReport,
    Receipt,
    Record,
    SessionEvent,
    SpeechPart,
    Transcript,
    Word,
    decode,
    encode,
)

GOLDEN = Path(__file__).parent / "golden"

EXAMPLES: dict[str, Record] = {
    "audio": AudioChunk(
        session_id="golden-eagle-427",
        connection="c0ffee",
        admitted_at_ms=1_700_000_000_123,
        captured_at_ms=1_700_000_000_100,
        sequence=7,
        pcm=b"\x01\x00\xff\x7f",
    ),
    "event": SessionEvent(
        session_id="golden-eagle-427", event="volume", timestamp=1_700_000_000_000, volume=0.5, media_ms=1200
    ),
    "transcript": Transcript(
        session_id="golden-eagle-427",
        utterance_id="golden-eagle-427:640",
        status="clause",
        source_language="en-US",
        transcript_text="yes",
        words=[Word("yes", 640, 900, 0.9)],
        start_ms=640,
        end_ms=900,
        clause=0,
        revision=3,
        stability_score=1.0,
        timestamp=1_700_000_000_500,
        times_ms={"captured": 1_700_000_000_100},
    ),
    "emotion": EmotionFrame(
        session_id="golden-eagle-427",
        start_ms=500,
        end_ms=1000,
        volume=0.6,
        rate=1.1,
        energy=0.4,
        level_db=-23.5,
        voiced_ms=380,
        onsets_ms=[640, 811],
    ),
    "quality": QualityReport(
        session_id="golden-eagle-427", code="AUDIO_CLIPPING", active=True, value=2.5, threshold=1.0, media_ms=1000
    ),
    "caption": Caption(
        session_id="golden-eagle-427",
        utterance_id="golden-eagle-427:640",
        language="es",
        revision=2,
        text="sí",
        committed=2,
        final=True,
        start_ms=640,
        end_ms=900,
    ),
    "speech": SpeechPart(
        session_id="golden-eagle-427",
        utterance_id="golden-eagle-427:640",
        clause=0,
        language="es",
        sequence=4,
        text="sí",
        ssml="<speak>sí</speak>",
        voice="Lucia",
        dynamics=Dynamics(0.6, 1.1, 0.4, -23.5, 210.0),
        sample_rate_hz=16_000,
        pcm=b"\x00\x01",
        start_ms=640,
        end_ms=900,
        total_bytes=2,
    ),
    "receipt": Receipt(
        session_id="golden-eagle-427",
        of="speech",
        language="es",
        utterance_id="golden-eagle-427:640",
        clause=0,
        reached=2,
        gone=1,
        failed=0,
        dropped=0,
        timestamp=1_700_000_001_000,
    ),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_golden_bytes_of_version_1_are_read_and_written(kind: str) -> None:
    golden = bytes.fromhex((GOLDEN / f"{kind}.1.hex").read_text().replace("\n", ""))
    assert decode(golden) == EXAMPLES[kind]
    assert encode(EXAMPLES[kind]) == golden


def test_a_change_of_state_says_all_of_it_in_a_few_fields_more() -> None:
    """Row W18. Readers that do not know them ignore them; to ours, what has none of them has no number."""
    change = SessionEvent(
        session_id="golden-eagle-427",
        event="state",
        timestamp=1_700_000_000_000,
        is_paused=False,
        is_muted=True,
        volume=0.5,
        version=3,
    )
    golden = (
        "88a46b696e64a56576656e74a973657373696f6e4964b0676f6c64656e2d6561676c652d343237a56576656e74a57374617465"
        "a974696d657374616d70cf0000018bcfe56800a6766f6c756d65cb3fe0000000000000a86973506175736564c2a769734d75746564c3"
        "a776657273696f6e03"
    )
    assert encode(change).hex() == golden
    assert decode(bytes.fromhex(golden)) == change


def test_two_changes_of_state_in_one_millisecond_have_two_ids() -> None:
    first, second = (SessionEvent(session_id="s", event="volume", timestamp=1, version=version) for version in (1, 2))
    assert first.event_id != second.event_id
    old = SessionEvent(session_id="s", event="volume", timestamp=1)
    assert old.event_id == "s:volume:1"


def test_every_kind_has_its_golden_bytes() -> None:
    assert {path.name for path in GOLDEN.glob("*.1.hex")} == {f"{kind}.1.hex" for kind in EXAMPLES}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_unknown_fields_are_ignored(kind: str) -> None:
    wire = msgspec.msgpack.decode(encode(EXAMPLES[kind])) | {"somethingNew": [1, 2]}
    assert decode(msgspec.msgpack.encode(wire)) == EXAMPLES[kind]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_newer_major_version_is_refused_by_name_even_where_its_fields_have_changed(kind: str) -> None:
    wire = msgspec.msgpack.decode(encode(EXAMPLES[kind])) | {"v": 2}
    with pytest.raises(NewerVersion, match=r"version 2.*up to 1"):
        decode(msgspec.msgpack.encode(wire))
    with pytest.raises(NewerVersion, match=f"{kind} has version 2"):
        decode(msgspec.msgpack.encode(wire | {"sessionId": 17}))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"hello", b"\x80", msgspec.msgpack.encode({"kind": "nonsense"})])
def test_rubbish_is_a_bad_record_and_is_not_repeated(data: bytes) -> None:
    with pytest.raises(BadRecord) as caught:
        decode(data)
    assert not isinstance(caught.value, NewerVersion)
    assert "hello" not in str(caught.value)
    assert f"{len(data)} bytes" in str(caught.value)


def test_audio_is_bytes_on_the_wire_not_base64() -> None:
    chunk = AudioChunk(session_id="s", connection="c", admitted_at_ms=0, pcm=bytes(3200))
    assert len(encode(chunk)) < 3200 + 120


def test_a_clause_that_is_too_late_takes_one_field_more() -> None:
    for kind in ("speech", "receipt"):
        skipped = msgspec.structs.replace(EXAMPLES[kind], skipped_by="translate")
        wire = msgspec.msgpack.decode(encode(skipped))
        assert wire == msgspec.msgpack.decode(encode(EXAMPLES[kind])) | {"skippedBy": "translate"}
        assert decode(encode(skipped)) == skipped
