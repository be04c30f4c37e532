import msgspec
import pytest

from ops.dlq.view import view
from streams.records import VERSION, Caption, Record, encode
from tests.ops.audit import talk

SECRET = "the words that were said"
KINDS: list[Record] = [
    talk.chunk(3),
    talk.event("ended"),
    msgspec.structs.replace(talk.clause(0), transcript_text=SECRET),
    talk.caption(talk.clause(0), "es", SECRET),
    msgspec.structs.replace(talk.speech(talk.clause(0), "es", 0), text=SECRET, ssml=f"<speak>{SECRET}</speak>"),
    talk.receipt(talk.speech(talk.clause(0), "es", 0)),
]


@pytest.mark.parametrize("record", KINDS, ids=lambda record: type(record).__name__)
def test_ids_times_and_lengths_but_nothing_of_what_was_said(record: Record) -> None:
    found = view(encode(record))
    assert found["sessionId"] == talk.SESSION
    text = msgspec.json.encode(found).decode()
    assert SECRET not in text
    assert "w0000" not in text
    assert len(text) < 1000


def test_lengths() -> None:
    assert view(encode(talk.chunk(3)))["pcm"] == {"bytes": 3200}
    assert view(encode(talk.clause(0)))["words"] == {"count": 2}
    assert view(encode(talk.caption(talk.clause(0), "es", SECRET)))["text"] == {"characters": len(SECRET)}


def test_bytes_that_are_no_record() -> None:
    assert view(b"rubbish") == {"error": "BadRecord: 7 bytes are no record: ValidationError", "bytes": 7}
    assert view(b"")["bytes"] == 0
    assert view(b"\xc1")["bytes"] == 1


def test_a_record_of_a_later_release_shows_its_kind_and_version() -> None:
    newer = msgspec.msgpack.encode({"kind": "transcript", "v": VERSION + 1, "text": SECRET})
    found = view(newer)
    assert (found["kind"], found["v"]) == ("transcript", VERSION + 1)
    assert found["error"].startswith("NewerVersion: ")
    assert SECRET not in str(found)


def test_a_kind_that_is_a_sentence_is_not_repeated() -> None:
    assert "kind" not in view(msgspec.msgpack.encode({"kind": SECRET, "v": 1}))


def test_every_kind_of_record_is_looked_at_here() -> None:
    assert {type(record) for record in KINDS} >= {Caption, type(talk.chunk(0)), type(talk.clause(0))}
