from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.rate import CLOSE_AFTER_MS, LATE_MS, LEASE_MS, WINDOW_MS, Ledger, Verdict, Window

T0 = 1_700_000_000_000.0


class Row:
    """The speaker's row: every instance's ledger, written and read in one step."""

    def __init__(self) -> None:
        self.ledgers: dict[str, Ledger] = {}
        self.trips = 0


class Instance:
    """One instance of the function."""

    def __init__(self, row: Row, name: str, limit: int) -> None:
        self.row, self.name = row, name
        self.window = Window(limit)

    def take(self, arrived_ms: float, now_ms: float | None = None) -> bool:
        now_ms = arrived_ms if now_ms is None else now_ms
        asked = 0
        while (verdict := self.window.admit(arrived_ms, now_ms)) is Verdict.ASK:
            asked += 1
            assert asked == 1, "one round trip per chunk"
            self.ask(now_ms)
        return verdict is Verdict.PASS

    def ask(self, now_ms: float) -> None:
        self.row.trips += 1
        self.row.ledgers[self.name] = self.window.declare(now_ms, wanted=1)
        self.window.learn(ledger for name, ledger in self.row.ledgers.items() if name != self.name)


def _most_in_a_window(times_ms: list[float], window_ms: float) -> int:
    times_ms = sorted(times_ms)
    return max((sum(1 for t in times_ms[i:] if t < start + window_ms) for i, start in enumerate(times_ms)), default=0)


@pytest.mark.parametrize("limit", [1, 3, 10, 50, 100])
def test_a_burst_gets_the_limit_exactly(limit: int) -> None:
    instance = Instance(Row(), "a", limit)
    assert [instance.take(T0) for _ in range(3 * limit)] == [True] * limit + [False] * 2 * limit


@pytest.mark.parametrize("limit", [10, 30, 50, 100])
def test_a_speaker_at_the_limit_is_never_refused_for_its_network_s_jitter(limit: int) -> None:
    rng = random.Random(limit)
    row = Row()
    instance = Instance(row, "a", limit)
    sent = [T0 + n * 1000 / limit for n in range(60 * limit)]
    arrived = sorted(t + rng.uniform(0, LATE_MS * 0.99) for t in sent)
    assert all(instance.take(t) for t in arrived)


def test_a_speaker_over_the_limit_gets_the_limit() -> None:
    instance = Instance(Row(), "a", 50)
    passed = [t for n in range(1200) if instance.take(t := T0 + n * 1000 / 60)]
    assert 20 * 50 <= len(passed) <= 20 * 50 + LATE_MS * 50 // 1000
    settled = [t for t in passed if t > T0 + 2000]
    assert _most_in_a_window(settled, WINDOW_MS - 1) <= 50


def test_most_chunks_need_no_round_trip() -> None:
    row = Row()
    instance = Instance(row, "a", 50)
    for n in range(500):
        assert instance.take(T0 + n * 20)
    assert row.trips <= 10_000 / LEASE_MS + 10


def test_refusals_need_no_round_trip_either() -> None:
    row = Row()
    instance = Instance(row, "a", 50)
    for n in range(5000):
        instance.take(T0 + n)
    assert row.trips <= 60 + 5000 / LEASE_MS


@settings(deadline=None, max_examples=60)
@given(
    limit=st.sampled_from([2, 10, 50]),
    instances=st.integers(2, 5),
    seed=st.integers(0, 2**32),
    gap_ms=st.sampled_from([0.5, 3.0, 15.0, 40.0]),
)
def test_together_instances_never_pass_more_than_the_limit(
    limit: int, instances: int, seed: int, gap_ms: float
) -> None:
    rng = random.Random(seed)
    row = Row()
    all_of_them = [Instance(row, str(n), limit) for n in range(instances)]
    passed: list[float] = []
    now_ms = T0
    for _ in range(600):
        now_ms += rng.expovariate(1 / gap_ms)
        if rng.choice(all_of_them).take(now_ms):
            passed.append(now_ms)
    # Counted at the time at which it may have been sent, a chunk is up to LATE_MS earlier than it came.
    assert _most_in_a_window(passed, WINDOW_MS - LATE_MS) <= limit


def test_two_instances_asking_at_once_leave_room_for_each_other() -> None:
    row = Row()
    first, second = Instance(row, "a", 10), Instance(row, "b", 10)
    passed = sum(instance.take(T0) for _ in range(10) for instance in (first, second))
    assert passed == 10


def test_a_speaker_whose_chunks_go_through_changing_instances_is_not_refused() -> None:
    row = Row()
    three = [Instance(row, str(n), 50) for n in range(3)]
    rng = random.Random(1)
    assert all(rng.choice(three).take(T0 + n * 25) for n in range(800))


def test_a_lease_that_was_not_used_is_free_again_a_second_later() -> None:
    row = Row()
    Instance(row, "a", 10).ask(T0)
    row.ledgers["a"] = Ledger(T0 + LEASE_MS, 10, [])
    other = Instance(row, "b", 10)
    assert not other.take(T0 + 10)
    assert other.take(T0 + LEASE_MS + WINDOW_MS + LATE_MS + 1)


def test_a_violation_lasts_until_it_is_calm() -> None:
    row = Row()
    instance, other = Instance(row, "a", 10), Instance(row, "b", 10)
    lengths = []
    for n in range(3200):
        now_ms = T0 + n * 10
        instance.take(now_ms)
        lengths.append(instance.window.violation_ms(now_ms))
    assert all(later >= earlier for earlier, later in pairwise(lengths))
    assert lengths[-1] > CLOSE_AFTER_MS
    now_ms = T0 + 32_000
    other.ask(now_ms)
    assert other.window.violation_ms(now_ms) > CLOSE_AFTER_MS - LEASE_MS
    assert instance.window.violation_ms(now_ms + 2_000) == 0


def test_an_answer_older_than_its_lease_still_lets_pass_what_came_before_it_was_asked_for() -> None:
    row = Row()
    instance = Instance(row, "a", 10)
    instance.ask(T0)
    late_ms = T0 + LEASE_MS + 50
    assert instance.window.admit(T0, late_ms) is Verdict.ASK
    assert instance.window.admit(T0, late_ms, is_fresh=True) is Verdict.PASS


def test_chunks_that_were_held_up_are_counted_when_they_came() -> None:
    row = Row()
    instance = Instance(row, "a", 50)
    held_ms = T0 + 5_000
    passed = [t for n in range(400) if instance.take(t := T0 + n * 10, held_ms + n * 2)]
    assert _most_in_a_window([t for t in passed if t > T0 + 2_000], WINDOW_MS - 1) <= 50
