import msgspec
import pytest

from ops.audit.evidence import Evidence, Letter
from ops.audit.languages import languages
from ops.audit.receipts import end, receipts
from ops.audit.result import Finding, LanguageAccount
from ops.audit.words import words
from streams.errors import Failure
from streams.records import Receipt, SpeechPart
from tests.ops.audit.talk import LeftOutReceipt, clause, event, evidence, left_out, receipt, records, speech, told


def account(found: Evidence, *, over: bool = True) -> tuple[LanguageAccount, list[Finding], list[Finding]]:
    accounts, by_language, _ = languages(found, words(found.transcripts).clauses, over=over)
    findings, notes = receipts(found, by_language, accounts, over=over)
    return accounts["es"], findings, notes


def with_receipt(new: Receipt | None) -> Evidence:
    old = receipt(speech(clause(1), "es", 1))
    streams = records()
    rows = [new if record == old else record for record in streams["receipts"]]
    return evidence(streams | {"receipts": [row for row in rows if row is not None]})


def test_listeners_are_summed() -> None:
    es, findings, notes = account(with_receipt(receipt(speech(clause(1), "es", 1), reached=3, gone=1)))
    assert (es.received, es.reached, es.gone, findings, notes) == (4, 6, 1, [], [])


def test_a_clause_that_reached_nobody() -> None:
    _, (finding,), notes = account(with_receipt(receipt(speech(clause(1), "es", 1), reached=0, failed=2, dropped=1)))
    assert finding.code == "unheard"
    assert finding.sentence.endswith("reached nobody in es: 2 posts failed, 1 were dropped")
    assert notes == []


def test_a_clause_that_some_missed_is_a_note() -> None:
    _, findings, (note,) = account(with_receipt(receipt(speech(clause(1), "es", 1), reached=8, dropped=2)))
    assert findings == []
    assert note.sentence.endswith("was not, or not wholly, heard by 2 of 10 listeners in es")


def test_a_listener_who_left_is_nothing() -> None:
    _, findings, notes = account(with_receipt(receipt(speech(clause(1), "es", 1), reached=0, gone=1)))
    assert (findings, notes) == ([], [])


def test_a_clause_that_broadcast_left_unspoken() -> None:
    told_so = msgspec.to_builtins(receipt(speech(clause(1), "es", 1)))
    es, findings, notes = account(with_receipt(msgspec.convert(told_so, LeftOutReceipt)))
    assert (es.spoken, es.skipped, es.reached, findings, notes) == (3, 1, 4, [], [])


def test_listeners_must_be_told_of_a_clause_that_translate_left_unspoken() -> None:
    streams = records()
    rows = [left_out(clause(1), "es", 1) if row == speech(clause(1), "es", 1) else row for row in streams["speech"]]
    es, findings, _ = account(evidence(streams | {"speech": rows}))
    assert (es.skipped, es.received, findings) == (1, 4, [])
    silent = [row for row in streams["receipts"] if row != receipt(speech(clause(1), "es", 1))]
    es, (finding,), _ = account(evidence(streams | {"speech": rows, "receipts": silent}))
    assert (es.received, finding.code) == (3, "receipt_missing")


def test_a_letter_of_any_part_names_its_clause() -> None:
    streams = records()
    rows = [
        part
        for row in streams["speech"]
        for part in (
            [speech(clause(1), "es", 1, n, 2) for n in range(2)] if row == speech(clause(1), "es", 1) else [row]
        )
    ]
    silent = [row for row in streams["receipts"] if row != receipt(speech(clause(1), "es", 1))]
    found = evidence(streams | {"speech": rows, "receipts": silent})
    _, (finding,), _ = account(found)
    assert finding.sentence.endswith("has no receipt in es: nobody knows whether it was heard")
    last = next(seen for seen in found.speech if isinstance(seen.record, SpeechPart) and seen.record.part == 1)
    found.letters = [Letter("id", "broadcast", "speech", last.position, Failure("Refused", "no", False), 3, 0)]
    assert account(found)[1] == []


def test_a_clause_without_a_receipt() -> None:
    found = with_receipt(None)
    _, (finding,), _ = account(found)
    assert finding.code == "receipt_missing"
    found.read_at_ms = found.speech[-1].written_ms + 1000
    _, findings, _ = account(found)
    assert findings == []  # it may be under way


def test_the_end_has_come_through() -> None:
    account, findings = end(evidence(records()))
    assert (account.told, account.missed, findings) == (1, 0, [])
    assert account.in_audio_at_ms is not None
    assert account.receipt_at_ms is not None


def test_listeners_who_were_not_told() -> None:
    streams = records()
    streams["receipts"][-1] = told(event("ended", 4000), failed=2)
    _, (finding,) = end(evidence(streams))
    assert (finding.code, finding.sentence) == ("end_untold", "2 listeners were not told that the session had ended")


@pytest.mark.parametrize(
    ("streams", "where"),
    [
        (["audio"], "it has come to the audio stream and no further"),
        (["audio", "transcripts", "speech"], "it has come to the speech stream and no further"),
    ],
)
def test_an_end_that_is_stuck(streams: list[str], where: str) -> None:
    rows = records()
    found = evidence({name: all_ if name in streams else all_[:-1] for name, all_ in rows.items()})
    account, (finding,) = end(found)
    assert (account.told, finding.code) == (None, "end_stuck")
    assert finding.sentence.endswith(where)
    found.read_at_ms = found.audio[-1].written_ms + 5000
    assert end(found)[1] == []  # it may be under way


def test_a_session_that_goes_on_has_no_end() -> None:
    found = evidence({name: rows[:-1] for name, rows in records().items()})
    account, findings = end(found)
    assert set(msgspec.to_builtins(account).values()) == {None}
    assert findings == []


def test_an_end_that_only_the_table_knows() -> None:
    found = evidence({name: rows[:-1] for name, rows in records().items()})
    found.ended_at_ms = found.read_at_ms - 90_000
    _, (finding,) = end(found)
    assert finding.sentence == "the session ended 90 s ago and listeners were not told: it is in no stream"
