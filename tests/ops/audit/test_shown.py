import msgspec

from ops.audit.result import Finding
from ops.audit.rules import audit
from ops.audit.shown import SHOWN, text
from tests.ops.audit import talk


def test_a_talk_that_came_through() -> None:
    shown = text(audit(talk.evidence(talk.records())))
    assert shown.startswith(f"Session {talk.SESSION} is over.\n")
    assert "4.0 s in 40 chunks: 0 missing" in shown
    assert "1 listeners told, 0 not" in shown
    lines = [line.split() for line in shown.splitlines()]
    assert ["es", "4", "4", "4", "0", "0", "0", "0", "0", "0", "4", "0"] in lines
    assert shown.endswith("Nothing is off.\n")


def test_what_is_off_comes_with_its_place() -> None:
    streams = talk.records()
    streams["transcripts"].remove(talk.clause(0))
    shown = text(audit(talk.evidence(streams)))
    assert "are not in the stream\n      at transcripts / shardId-000000000000 / " in shown


def test_a_session_that_goes_on() -> None:
    shown = text(audit(talk.evidence({name: rows[:-1] for name, rows in talk.records().items()})))
    assert "is still going on" in shown


def test_many_findings_of_a_kind_are_cut_short() -> None:
    found = audit(talk.evidence(talk.records()))
    many = [Finding("audio_gap", f"chunk {number} never came") for number in range(SHOWN + 7)]
    shown = text(msgspec.structs.replace(found, findings=many))
    assert "... and 7 more of the kind audio_gap" in shown
