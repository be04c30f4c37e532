from ops.audit.evidence import Evidence, end_of, is_skipped
from streams.records import AudioChunk, SpeechPart
from streams.stage import Position
from tests.ops.audit import talk

PLACE = Position("shardId-000000000000", 7)


def test_sound_is_kept_as_its_length_and_what_can_be_heard() -> None:
    found = Evidence(talk.SESSION)
    found.take("audio", PLACE, 17, talk.chunk(1, bytes(320) + talk.LOUD * 160))
    found.take("speech", PLACE, 17, talk.speech(talk.clause(0), "es", 0))
    (chunk,), (part,) = found.audio, found.speech
    assert isinstance(chunk.record, AudioChunk)
    assert isinstance(part.record, SpeechPart)
    assert (chunk.record.pcm, part.record.pcm) == (b"", b"")
    assert (chunk.size_bytes, part.size_bytes) == (640, 200)
    assert chunk.audible == bytes([0, 1])


def test_a_rest_shorter_than_a_hop_counts_and_an_odd_byte_does_not() -> None:
    found = Evidence(talk.SESSION)
    found.take("audio", PLACE, 17, talk.chunk(1, bytes(320) + talk.LOUD * 10 + b"\xff"))
    assert found.audio[0].audible == bytes([0, 1])


def test_a_session_that_is_nowhere() -> None:
    found = Evidence(talk.SESSION)
    assert found.is_empty()
    found.take("emotions", PLACE, 17, talk.event("ended"))
    assert found.is_empty()
    found.take("receipts", PLACE, 17, None)
    assert not found.is_empty()


def test_where_the_end_is_told() -> None:
    found = talk.evidence(talk.records())
    for rows in (found.audio, found.transcripts, found.speech, found.receipts):
        assert end_of(rows) == rows[-1]
        assert end_of(rows[:-1]) is None


def test_speech_is_spoken_unless_it_says_otherwise() -> None:
    assert not is_skipped(talk.speech(talk.clause(0), "es", 0))
    assert is_skipped(talk.left_out(talk.clause(0), "es", 0))
