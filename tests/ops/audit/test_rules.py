"""The whole: nothing is off when nothing is off, and each thing that is off is named."""

import msgspec
import pytest

from ops.audit import rules
from ops.audit.evidence import Evidence, Letter, Seen
from ops.audit.rules import GIVEN_UP_MS, audit
from streams.errors import Failure
from streams.records import SessionEvent
from streams.resources import StreamName
from streams.stage import Position
from tests.ops.audit import talk


def test_a_talk_that_came_through() -> None:
    found = audit(talk.evidence(talk.records()))
    assert found.findings == []
    assert found.ok
    assert (found.state, found.listeners_known) == ("over", True)
    assert (found.sound.chunks, found.sound.duration_ms, found.sound.unheard_ms) == (40, 4000, 0)
    assert (found.words.utterances, found.words.clauses, found.words.words, found.words.open) == (2, 4, 8, 0)
    for code in ("es", "ca"):
        account = found.languages[code]
        assert (account.wanted, account.spoken, account.captioned, account.lost) == (4, 4, 4, 0)
        assert (account.received, account.reached) == (4, 4)
    assert (found.end.told, found.end.missed) == (1, 0)


def test_the_result_is_json_without_a_word_of_what_was_said() -> None:
    text = msgspec.json.encode(audit(talk.evidence(talk.records()))).decode()
    assert '"ok":true' in text
    assert "w000" not in text


def codes(found: Evidence) -> list[str]:
    return [finding.code for finding in audit(found).findings]


def without_end(*streams: StreamName) -> Evidence:
    return talk.evidence({name: rows[:-1] if name in streams else rows for name, rows in talk.records().items()})


def test_the_state_is_what_the_streams_say() -> None:
    every: tuple[StreamName, ...] = ("audio", "transcripts", "speech", "receipts")
    going_on = audit(without_end(*every))
    assert (going_on.state, going_on.ended_at_ms, going_on.ok) == ("going_on", None, True)
    ending = without_end("receipts")
    assert audit(ending).state == "ending"
    ending.read_at_ms = ending.audio[-1].written_ms + 1000
    assert audit(ending).ok


def test_what_is_under_way_is_lost_when_the_end_is_long_past() -> None:
    found = without_end("receipts")
    found.speech = [seen for seen in found.speech if seen.record != light(talk.speech(talk.clause(3), "es", 3))]
    found.read_at_ms = found.audio[-1].written_ms + 1000
    assert audit(found).languages["es"].under_way == 1
    found.read_at_ms = found.audio[-1].written_ms + GIVEN_UP_MS + 1
    assert audit(found).languages["es"].lost == 1


def light(part: talk.SpeechPart) -> talk.SpeechPart:
    return msgspec.structs.replace(part, pcm=b"")


@pytest.mark.parametrize(("redriven_at_ms", "expected"), [(None, ["dead_letter"]), (17, [])])
def test_a_letter_is_off_until_it_is_sent_back(redriven_at_ms: int | None, expected: list[str]) -> None:
    found = talk.evidence(talk.records())
    failure = Failure("BadRecord", "7 bytes are no record", False)
    place = Position("shardId-000000000000", 999)
    found.letters = [Letter("id", "translate", "transcripts", place, failure, 1, 16, redriven_at_ms=redriven_at_ms)]
    assert codes(found) == expected
    assert audit(found).dead_letters[0].place.sequence_number == "999"


def test_bytes_that_are_no_record_must_be_in_the_dead_letters() -> None:
    found = talk.evidence(talk.records())
    place = Position("shardId-000000000000", 999)
    found.take("transcripts", place, talk.BEGAN_MS, None)
    assert codes(found) == ["unreadable"]
    failure = Failure("BadRecord", "7 bytes are no record", False)
    found.letters = [Letter("id", "translate", "transcripts", place, failure, 1, 16)]
    assert codes(found) == ["dead_letter"]


def test_what_is_past_its_retention_is_not_called_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "SETTLED_MS", 0)  # the talk is short
    found = talk.evidence(talk.records())
    for name in ("transcripts", "speech", "receipts"):
        setattr(found, name, [seen._replace(written_ms=when(seen)) for seen in getattr(found, name)])
    found.speech = [seen for seen in found.speech if seen.written_ms > talk.BEGAN_MS + 2000]
    assert "clause_lost" in codes(found)
    found.trimmed = ["speech"]
    after = audit(found)
    assert after.findings == []
    assert [note.code for note in after.notes] == ["trimmed"]
    assert after.languages["es"].spoken == 2


def when(seen: Seen) -> int:
    """Each record as soon as its words were said."""
    if isinstance(seen.record, SessionEvent):
        return seen.record.timestamp
    return int(talk.BEGAN_MS + getattr(seen.record, "end_ms", 0))
