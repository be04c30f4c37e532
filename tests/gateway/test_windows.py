from __future__ import annotations

import re
from bisect import bisect_right, insort
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import windows
from gateway.windows import MAX_PLACES, Rate, Way, Write

EXPRESSION_BYTES = 4096
"""DynamoDB's limit of an expression; 300 operators and functions is the other."""
OPERATORS = 300


class Row:
    """A row, and what DynamoDB does with the expressions of a `Write`: everything goes by the row as it was before."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def update(self, write: Write) -> bool:
        used = " ".join([*write.terms, *write.assignments])
        assert set(re.findall(r":\w+", used)) == set(write.values), "DynamoDB refuses what is missing or not used"
        if not all(self._holds(term, write.values) for term in write.terms):
            return False
        old = dict(self.attributes)
        for assignment in write.assignments:
            name, _, value = assignment.partition("=")
            self.attributes[name] = {"N": str(_value(value, old, write.values))}
        return True

    def _holds(self, term: str, values: dict[str, Any]) -> bool:
        if match := re.fullmatch(r"\(attribute_not_exists\((\w+)\) OR (.*)\)", term):
            return match[1] not in self.attributes or self._holds(match[2], values)
        match = re.fullmatch(r"(\w+)(<=|<|>=)(:\w+)", term)
        assert match
        if match[1] not in self.attributes:
            return False
        found, wanted = int(self.attributes[match[1]]["N"]), int(values[match[3]]["N"])
        return {"<=": found <= wanted, "<": found < wanted, ">=": found >= wanted}[match[2]]


def _value(text: str, old: dict[str, Any], values: dict[str, Any]) -> int:
    if match := re.fullmatch(r"if_not_exists\((\w+),(:\w+)\)", text):
        return int(old.get(match[1], values[match[2]])["N"])
    if match := re.fullmatch(r"(\w+)\+(:\w+)", text):
        return int(old[match[1]]["N"]) + int(values[match[2]]["N"])
    return int(values[text]["N"])


def passes(row: Row, rate: Rate, now_ms: int) -> bool:
    """As the table's shell does it, alone."""
    way: Way | None = windows.first_way(rate)
    while way is not None:
        if row.update(windows.write([(rate, way)], now_ms)):
            return True
        way = windows.way(rate, row.attributes, now_ms)
    return False


def most_in_a_window(times_ms: list[int], window_ms: int) -> int:
    return max((bisect_right(times_ms, at + window_ms - 1) - n for n, at in enumerate(times_ms)), default=0)


gaps = st.lists(st.integers(0, 400), max_size=60)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 12), gaps)
def test_low_rates_are_counted_exactly(most: int, gaps_ms: list[int]) -> None:
    """Row W21: as a log of all that passed would have it."""
    rate, row, now_ms = Rate("control", most, 1_000), Row(), 1_700_000_000_000
    passed: list[int] = []
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        exact = len(passed) - bisect_right(passed, now_ms - 1_000) < most
        assert passes(row, rate, now_ms) == exact
        if exact:
            insort(passed, now_ms)


@settings(deadline=None, max_examples=25)
@given(st.integers(MAX_PLACES + 1, 300), st.lists(st.integers(0, 4), min_size=400, max_size=400))
def test_more_are_counted_in_groups_never_too_many_and_few_too_few(most: int, gaps_ms: list[int]) -> None:
    rate, row, now_ms = Rate("join", most, 200), Row(), 1_700_000_000_000
    times_ms, passed = [], []
    for gap_ms in gaps_ms:
        now_ms += gap_ms
        times_ms.append(now_ms)
        if passes(row, rate, now_ms):
            passed.append(now_ms)
    assert most_in_a_window(passed, 200) <= most
    first = bisect_right(passed, times_ms[0] + 199)
    assert first >= min(most - 2 * rate.per_place + 1, bisect_right(times_ms, times_ms[0] + 199))


def test_a_flood_gets_the_rate_and_no_less() -> None:
    rate, row = Rate("control", 10, 1_000), Row()
    passed = [now_ms for now_ms in range(1_000_000, 1_010_000) if passes(row, rate, now_ms)]
    assert len(passed) == 100
    assert most_in_a_window(passed, 1_000) == 10


def test_a_client_that_keeps_to_the_rate_is_never_refused() -> None:
    rate, row = Rate("control", 10, 1_000), Row()
    assert all(passes(row, rate, 1_000_000 + 100 * n) for n in range(200))


def test_who_is_refused_is_told_when_the_oldest_leaves() -> None:
    rate, row = Rate("status", 2, 1_000), Row()
    assert passes(row, rate, 5_000)
    assert passes(row, rate, 5_400)
    assert not passes(row, rate, 5_700)
    assert windows.wait_ms(rate, row.attributes, 5_700) == 300
    assert passes(row, rate, 6_000)


def test_two_rates_pass_together_or_not_at_all() -> None:
    connect, join, row = Rate("connect", 3, 1_000), Rate("join", 1, 1_000), Row()
    both = [(connect, Way.MOVE), (join, Way.MOVE)]
    assert row.update(windows.write(both, 5_000))
    before = dict(row.attributes)
    assert not row.update(windows.write(both, 5_001))
    assert row.attributes == before
    assert passes(row, connect, 5_001)


@pytest.mark.parametrize("most", [1, 20, 50, 51, 100, 1_000_000])
def test_the_largest_expressions_fit(most: int) -> None:
    rates = [(Rate(name, most, 60_000), Way.MOVE) for name in ("connect", "session")]
    write = windows.write(rates, 1_700_000_000_000)
    assert len("SET " + ",".join([*write.assignments, "expiresAt=:expiresAt"])) <= EXPRESSION_BYTES
    assert sum(text.count("=") + text.count("(") for text in write.assignments) <= OPERATORS
    assert all(rate.places * rate.per_place <= most for rate, _ in rates)
