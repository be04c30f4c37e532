import msgspec

from ops.audit.words import words
from streams.records import Record, Transcript, Word
from streams.resources import StreamName
from tests.ops.audit import talk
from tests.ops.audit.talk import clause, evidence, final, place, records


def transcripts() -> dict[StreamName, list[Record]]:
    return records()


def codes(streams: dict[StreamName, list[Record]]) -> list[str]:
    return [finding.code for finding in words(evidence(streams).transcripts).findings]


def test_clauses_are_counted_and_named_as_translate_does() -> None:
    found = words(evidence(transcripts()).transcripts)
    assert [each.key for each in found.clauses] == [(clause(n).utterance_id, n % 2) for n in range(4)]
    assert [each.words for each in found.clauses] == [2, 2, 2, 2]
    assert found.findings == []
    assert (found.account.finals, found.account.open, found.account.again) == (2, 0, 0)


def test_a_record_written_twice_is_counted_apart() -> None:
    streams = transcripts()
    streams["transcripts"] *= 2
    found = words(evidence(streams).transcripts)
    assert (found.account.clauses, found.account.repeats, found.findings) == (4, 6, [])


def test_words_that_an_owner_before_says_again_are_not_committed_again() -> None:
    streams = transcripts()
    streams["transcripts"].insert(3, msgspec.structs.replace(clause(0), utterance_id="golden-eagle-427:90", revision=9))
    found = words(evidence(streams).transcripts)
    assert (found.account.clauses, found.account.words, found.account.again) == (4, 8, 2)


def test_a_clause_that_is_missing_is_named_with_the_place_of_its_final() -> None:
    streams = transcripts()
    streams["transcripts"].remove(clause(0))
    found = evidence(streams)
    missing, uncommitted = words(found.transcripts).findings
    assert (missing.code, uncommitted.code) == ("clause_missing", "final_words_uncommitted")
    assert missing.sentence == f"of the 2 clauses of utterance {clause(0).utterance_id}, 0 are not in the stream"
    assert missing.place is not None
    assert missing.place.sequence_number == place(found.transcripts, final([clause(0), clause(1)]))


def test_a_clause_that_is_missing_in_an_utterance_without_a_final() -> None:
    streams = transcripts()
    streams["transcripts"] = [clause(1)]
    assert codes(streams) == ["clause_missing"]


def test_a_final_without_a_clause() -> None:
    streams = transcripts()
    streams["transcripts"] = [final([clause(0)])]
    assert codes(streams) == ["final_without_clause"]


def test_a_word_of_a_final_that_no_clause_has() -> None:
    streams = transcripts()
    extra = final([clause(0), clause(1)])
    extra = msgspec.structs.replace(extra, words=[*extra.words, Word("lost", 5000, 5100)])
    streams["transcripts"] = [clause(0), clause(1), extra]
    assert codes(streams) == ["final_words_uncommitted"]


def test_an_utterance_without_a_final_is_counted() -> None:
    streams = transcripts()
    rows: list[Record] = [r for r in streams["transcripts"] if not (isinstance(r, Transcript) and r.status == "final")]
    streams["transcripts"] = rows
    found = words(evidence(streams).transcripts)
    assert (found.account.open, found.findings) == (2, [])


def test_partials_commit_nothing() -> None:
    streams = transcripts()
    streams["transcripts"].insert(1, msgspec.structs.replace(clause(0), status="partial", revision=0))
    found = words(evidence(streams).transcripts)
    assert (found.account.clauses, found.findings) == (4, [])
    assert talk.SESSION in found.clauses[0].name
