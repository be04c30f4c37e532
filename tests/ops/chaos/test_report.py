import msgspec

from ops.chaos import report
from ops.chaos.account import Lost, Odd
from ops.chaos.deeds import Deed
from ops.chaos.plan import Fault
from ops.chaos.report import Door, Recovery, Report
from ops.chaos.streams import Letter


def deed(kind: str) -> Deed:
    return Deed(Fault(0, kind, "translate"), 0, 1)


def a_report(**changed: object) -> Report:
    made = Report(
        ok=True,
        name="seed",
        seed=7,
        runner="embedded",
        sessions=2,
        talk_s=60.0,
        wall_s=90.0,
        words_spoken=40,
        to_hear={"es": 40, "en": 20},
        heard={"es": 40, "en": 20},
        lost=0,
        duplicated=0,
        reordered=0,
        unspoken=0,
        skipped=0,
        repeats=3,
        dead_letters=0,
        audit_findings=0,
        not_told=0,
        faults={"kill": 2, "split": 1},
        longest_pause_ms=8_000,
        delay_ms={"normal": 1_500, "max": 9_000, "last": 1_600},
        recovery_ms={"kill": Recovery(2_000, 3_000), "split": Recovery(0, 0)},
        back_to_normal_ms=3_000,
        door=Door({"TIMEOUT": 1}, 2, 1),
        breakers={"opened": 1, "closed": 1},
        memory_mib={"stages": 300.0},
        findings=[],
        notes=["kill translate: it was slow"],
        deeds=[],
        breaker_news=[],
        logs="logs",
    )
    return msgspec.structs.replace(made, **changed)


def test_recovery_is_told_by_kind() -> None:
    found = report.recovery([deed("kill"), deed("split"), deed("kill"), deed("kill")], [100, 7, 900, 300])
    assert found == {"kill": Recovery(300, 900), "split": Recovery(7, 7)}
    assert report.counted([deed("kill"), deed("split"), deed("kill")]) == {"kill": 2, "split": 1}


def test_each_finding_is_a_sentence_that_says_where_to_look() -> None:
    found = list(
        report.findings(
            [Lost("calm-fox-1", "es", 12, 3_400, parts_missing=2)],
            [Odd("duplicated", "calm-fox-1", "en", 13, "calm-fox-1:3000")],
            [Letter("calm-fox-1", "translate", "Refused", "no", "translate.shard.1")],
            ["calm-fox-1 in es"],
            ["the speaker of calm-fox-1 was cut off"],
        )
    )
    assert len(found) == 5
    assert all("calm-fox-1" in sentence for sentence in found)
    assert "word 12" in found[0]
    assert "2 parts" in found[0]
    assert "transcripts" in found[1]
    assert "translate.shard.1" in found[2]


def test_nothing_off_finds_nothing() -> None:
    assert list(report.findings([], [], [], [], [])) == []


def test_many_of_one_kind_are_counted() -> None:
    found = list(report.findings([Lost("s", "es", n, 0) for n in range(50)], [], [], [], []))
    assert len(found) == report.SHOWN + 1
    assert "50 words" in found[-1]


def test_people_read_the_same_as_programs() -> None:
    shown = report.text(a_report())
    for expected in ("40 of 40 in es", "lost 0, duplicated 0, reordered 0", "kill", "nothing is off", "it was slow"):
        assert expected in shown
    assert "2 findings; logs are in logs" in report.text(a_report(ok=False, findings=["a", "b"]))


def test_the_json_has_the_keys_that_were_promised() -> None:
    found = msgspec.json.decode(msgspec.json.encode(a_report()))
    promised = {"words_spoken", "heard", "lost", "duplicated", "reordered", "faults", "longest_pause_ms", "recovery_ms"}
    assert promised <= set(found)
    assert found["recovery_ms"]["kill"] == {"p50": 2_000, "max": 3_000}
