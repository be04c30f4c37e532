from __future__ import annotations

import msgspec
import pytest

from local import faults
from local.faults import Fault, Faults


def test_nothing_is_switched_on_at_first() -> None:
    assert Faults(1).pick("PutRecords") is None


def test_an_operation_is_hit_only_by_its_own_faults() -> None:
    active = Faults(1)
    active.replace([Fault("throttle", operation="PutRecords")])
    assert active.pick("GetRecords") is None
    assert active.pick("PutRecords") == Fault("throttle", operation="PutRecords")


def test_the_first_due_fault_wins_and_a_spent_one_leaves_the_next() -> None:
    active = Faults(1)
    active.replace([Fault("cut", count=2), Fault("slow", delay_ms=5)])
    assert [active.pick("x").kind for _ in range(4)] == ["cut", "cut", "slow", "slow"]  # type: ignore[union-attr]  # all hit
    assert active.seen() == {"cut": 2, "slow": 2}


def test_skip_lets_matching_calls_pass() -> None:
    active = Faults(1)
    active.replace([Fault("error", operation="a", skip=2, count=1)])
    assert [active.pick(name) is not None for name in ["a", "b", "a", "b", "a", "a"]] == [
        False, False, False, False, True, False,
    ]  # fmt: skip


def test_probability_is_seeded_and_about_right() -> None:
    def hits(seed: int) -> list[bool]:
        active = Faults(seed)
        active.replace([Fault("throttle", probability=0.25)])
        return [active.pick("x") is not None for _ in range(2000)]

    assert hits(7) == hits(7)
    assert hits(7) != hits(8)
    assert 400 < sum(hits(7)) < 600


def test_replacing_forgets_what_was_spent_and_keeps_what_was_seen() -> None:
    active = Faults(1)
    for _ in range(2):
        active.replace([Fault("cut", count=1)])
        assert active.pick("x") is not None
        assert active.pick("x") is None
    assert active.seen() == {"cut": 2}
    assert active.active() == [Fault("cut", count=1)]


def test_json_there_and_back_with_defaults() -> None:
    assert faults.decode(b'[{"kind": "half_open"}]') == [Fault("half_open")]
    every = [Fault("error", "PutRecords", 0.5, 1, 2, 3, "ValidationException", 4, 5)]
    assert faults.decode(faults.encode(every)) == every


@pytest.mark.parametrize(
    "body",
    [
        b'[{"kind": "explode"}]',
        b'[{"kind": "cut", "probability": 2}]',
        b'[{"kind": "cut", "count": -1}]',
        b'[{"kind": "cut", "colour": 1}]',
        b"{}",
    ],
)
def test_what_is_no_fault_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        faults.decode(body)
