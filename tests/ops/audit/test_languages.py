from collections.abc import Sequence

import msgspec
import pytest

from ops.audit.evidence import Evidence, Letter, Listening
from ops.audit.languages import languages, spoken_texts
from ops.audit.result import Finding, LanguageAccount
from ops.audit.words import words
from streams.errors import Failure
from streams.records import Record, SpeechPart
from tests.ops.audit.talk import BEGAN_MS, caption, clause, evidence, left_out, place, records, speech


def account(found: Evidence, *, over: bool = True) -> tuple[LanguageAccount, list[Finding]]:
    """Of Spanish."""
    accounts, _, findings = languages(found, words(found.transcripts).clauses, over=over)
    return accounts["es"], [finding for finding in findings if finding.language == "es"]


def changed(rows: Sequence[Record]) -> Evidence:
    return evidence(records() | {"speech": list(rows)})


def spanish(number: int) -> SpeechPart:
    return speech(clause(number), "es", number)


def without(*numbers: int) -> list[Record]:
    return [record for record in records()["speech"] if record not in [spanish(number) for number in numbers]]


def test_a_clause_that_was_not_spoken_is_named_with_the_place_of_its_words() -> None:
    found = changed(without(2))
    es, (lost, gap) = account(found)
    assert (es.wanted, es.spoken, es.lost) == (4, 3, 1)
    assert lost.code == "clause_lost"
    assert lost.sentence == f"clause 0 of utterance {clause(2).utterance_id} (2100 to 2900 ms) was not spoken in es"
    assert lost.place is not None
    assert (lost.place.stream, lost.place.sequence_number) == ("transcripts", place(found.transcripts, clause(2)))
    assert (gap.code, gap.sentence) == ("sequence_gap", "spoken clauses 2 to 2 of es are not in the speech stream")


def test_what_is_not_yet_due_is_under_way() -> None:
    es, findings = account(changed(without(3)), over=False)
    assert (es.spoken, es.under_way, es.lost, findings) == (3, 1, 0, [])
    es, findings = account(changed(without(2)), over=False)
    assert (es.under_way, es.lost) == (0, 1)


def test_a_clause_that_a_dead_letter_names_is_not_lost_without_a_trace() -> None:
    found = changed(without(3))
    position = next(seen.position for seen in found.transcripts if seen.record == clause(3))
    found.letters = [Letter("id", "translate", "transcripts", position, Failure("Refused", "no", False), 3, 0)]
    es, findings = account(found)
    assert (es.named, es.lost, findings) == (1, 0, [])


def test_a_clause_that_was_too_late_to_be_spoken_is_not_lost() -> None:
    rows: list[Record] = []
    for record in records()["speech"]:
        if record == spanish(1):
            rows.append(left_out(clause(1), "es", 1))
        elif isinstance(record, SpeechPart) and record.language == "es" and record.sequence > 1:
            rows.append(msgspec.structs.replace(record, sequence=record.sequence - 1))
        else:
            rows.append(record)
    es, findings = account(changed(rows))
    assert (es.wanted, es.spoken, es.skipped, es.lost, findings) == (4, 3, 1, 0, [])


def test_nobody_listened_then() -> None:
    found = changed(list(records(languages=["ca"])["speech"]))
    found.listening = [Listening(BEGAN_MS, frozenset({"ca"})), Listening(BEGAN_MS + 90_000, frozenset({"ca", "es"}))]
    es, findings = account(found)
    assert (es.wanted, findings) == (0, [])


def test_without_a_journal_a_language_counts_from_its_first_to_its_last() -> None:
    found = changed(without(1))
    found.listening = None
    es, findings = account(found)
    assert (es.wanted, es.lost) == (4, 1)
    some = [record for record in records()["speech"] if getattr(record, "utterance_id", "") != clause(2).utterance_id]
    found = changed(some)
    found.listening = None
    es, findings = account(found)
    assert (es.wanted, es.lost, findings) == (2, 0, [])


def test_records_written_twice_are_counted_apart() -> None:
    rows = [record for record in records()["speech"] for _ in range(2)]
    es, findings = account(changed(rows))
    assert (es.spoken, es.repeats, findings) == (4, 10, [])


def test_the_same_words_in_another_clause_are_spoken_twice() -> None:
    again = msgspec.structs.replace(spanish(1), utterance_id="golden-eagle-427:90", sequence=4)
    found = changed([*records()["speech"], again])
    es, findings = account(found)
    assert es.duplicated == 1
    assert {finding.code for finding in findings} == {"spoken_twice", "spoken_out_of_order", "spoken_uncommitted"}


def test_a_later_clause_first() -> None:
    rows = without(1, 2)
    es, findings = account(changed([*rows, spanish(2), spanish(1)]))
    assert (es.reordered, es.spoken) == (2, 4)
    assert "spoken_out_of_order" in {finding.code for finding in findings}


@pytest.mark.parametrize(
    ("parts", "codes"),
    [([0, 1, 2], []), ([0, 2], ["parts_missing"]), ([0, 2, 1], ["parts_out_of_order"]), ([0, 0, 1, 2, 1], [])],
)
def test_parts(parts: list[int], codes: list[str]) -> None:
    rows: list[Record] = []
    for record in records()["speech"]:
        rows += [speech(clause(1), "es", 1, part, 3) for part in parts] if record == spanish(1) else [record]
    es, findings = account(changed(rows))
    assert [finding.code for finding in findings] == codes
    assert es.lost == ("parts_missing" in codes)


def test_a_part_that_lacks_bytes() -> None:
    rows = [msgspec.structs.replace(r, pcm=b"\0\0") if r == spanish(1) else r for r in records()["speech"]]
    _, (finding,) = account(changed(rows))
    assert finding.sentence.startswith("of clause 1 ")
    assert "some of its bytes never came" in finding.sentence


def test_a_caption_that_changes_committed_text() -> None:
    changed_text = caption(msgspec.structs.replace(clause(1), revision=8), "es", "something else")
    _, (finding,) = account(changed([*records()["speech"][:-1], changed_text]))
    assert finding.code == "caption_rewritten"
    assert "something" not in finding.sentence


def test_a_clause_without_a_caption() -> None:
    rows = [r for r in records()["speech"] if r != caption(clause(0), "es", clause(0).transcript_text)]
    es, (finding,) = account(changed(rows))
    assert (es.captioned, es.lost, finding.code) == (3, 0, "caption_missing")


def test_what_was_said_in_the_order_of_the_stream() -> None:
    said = [clause(number).transcript_text for number in range(4)]
    assert spoken_texts(evidence(records()).speech) == {"es": said, "ca": said}
