"""A small run, seen from outside."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from ops.audit.evidence import Evidence
from ops.audit.rules import audit
from ops.chaos.conclusion import Seen, conclude
from ops.chaos.deeds import Deed
from ops.chaos.plan import Fault, Plan, Talk
from ops.chaos.report import Report
from ops.chaos.talks import Script, Session, Word
from ops.chaos.watch import BreakerNews
from ops.listener import Ear

STARTED_MS = 1_000_000
TALK = Talk(0, ["es"], 1)


def session(*heard: tuple[str, int, int], told: bool = True, failure: str = "") -> Session:
    """heard: text, end of its words on the talk's clock, when it came after the talk's start."""
    ear = Ear(keeps_sound=False)
    for number, (text, end_ms, came_ms) in enumerate(heard):
        message = {
            "type": "translatedAudio",
            "utteranceId": f"s:{number}",
            "clause": 0,
            "sequence": number,
            "part": 0,
            "parts": 1,
            "text": text,
            "startMs": end_ms - 300,
            "endMs": end_ms,
            "sampleRate": 16_000,
            "audioData": "",
        }
        ear.take(message, STARTED_MS + came_ms)
    speaker = SimpleNamespace(
        session_id="calm-fox-1",
        started_ms=STARTED_MS,
        missing=frozenset(),
        sent=100,
        refused={"TIMEOUT": 1},
        resent=2,
    )
    seat = SimpleNamespace(language="es", ear=ear, told=told, sounds_ms=[STARTED_MS + came for _, _, came in heard])
    words = [Word(1, 0, 300), Word(2, 1_000, 1_300), Word(3, 2_000, 2_300)]
    made = Session(TALK, Script(np.zeros(160_000, np.int16), words), cast(Any, speaker), cast(Any, [seat]))
    made.failure = failure
    return made


WHOLE = (("w000001", 300, 1_300), ("w000002", 1_300, 6_300), ("w000003", 2_300, 6_400))


def report(one: Session) -> Report:
    kill = Deed(Fault(1, "kill", "translate", 2), STARTED_MS + 1_500, STARTED_MS + 3_500, note="it was slow")
    return conclude(
        Seen(
            plan=Plan("seed", 7, 10, [TALK], []),
            runner="embedded",
            sessions=[one],
            deeds=[kill],
            ended=["broadcast had ended by itself, and was started again"],
            letters=[],
            audits=[],
            memory_mib={"stages": 1.0},
            breakers=[BreakerNews("translate", "1", "open: x"), BreakerNews("translate", "2", "closed: y")],
            logs="logs",
            wall_s=1.0,
        )
    )


def test_a_run_in_which_everything_was_heard() -> None:
    found = report(session(*WHOLE))
    assert found.ok, found.findings
    assert (found.words_spoken, found.heard, found.to_hear) == (3, {"es": 3}, {"es": 3})
    assert (found.lost, found.duplicated, found.reordered) == (0, 0, 0)
    assert found.faults == {"kill": 1}
    assert found.delay_ms == {"normal": 1_000, "max": 5_000, "last": 4_100}
    assert found.recovery_ms["kill"].max == found.back_to_normal_ms == 2_900
    assert found.longest_pause_ms == 5_000
    assert (found.breakers, found.door.again) == ({"opened": 1, "closed": 1}, 2)
    ended = "broadcast had ended by itself, and was started again"
    assert found.notes == ["kill translate for 2 s: it was slow", ended]


def test_whatever_is_off_makes_it_fail() -> None:
    for one in (
        session(*WHOLE[:2]),
        session(*WHOLE, ("w000003", 2_300, 6_500)),
        session(WHOLE[1], WHOLE[0], WHOLE[2]),
        session(*WHOLE, told=False),
        session(*WHOLE, failure="the gateway closed the connection"),
    ):
        found = report(one)
        assert not found.ok
        assert found.findings


def test_what_the_audit_finds_counts_too() -> None:
    seen = Seen(Plan("seed", 7, 10, [TALK], []), "embedded", [session(*WHOLE)], [], [], [], [], {}, [], "logs", 1.0)
    nothing_written = audit(Evidence("calm-fox-1", created_at_ms=1, ended_at_ms=2, read_at_ms=10**9))
    found = conclude(seen._replace(audits=[nothing_written]))
    assert found.ok == nothing_written.ok
    assert found.audit_findings == len(nothing_written.findings)
