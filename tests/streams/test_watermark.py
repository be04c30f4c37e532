"""Row S3: a checkpoint never passes the lowest unsettled record."""

from hypothesis import given
from hypothesis import strategies as st

from streams.stage import Position
from streams.watermark import Watermark


def at(sequence: int) -> Position:
    return Position("shard", sequence)


def test_low_stays_below_the_first_open_position() -> None:
    watermark = Watermark()
    for sequence in (1, 2, 3):
        watermark.add(at(sequence))
    watermark.settle(at(2))
    assert watermark.low is None
    watermark.settle(at(1))
    assert watermark.low == at(2)
    assert len(watermark) == 1


def test_unknown_and_repeated_settlements_change_nothing() -> None:
    watermark = Watermark()
    watermark.add(at(1))
    watermark.settle(at(9))
    watermark.settle(at(1))
    watermark.settle(at(1))
    assert watermark.low == at(1)
    assert len(watermark) == 0


def test_what_is_settled_is_not_remembered() -> None:
    watermark = Watermark()
    for sequence in range(1_000):
        watermark.add(at(sequence))
        if sequence:
            watermark.settle(at(sequence))
    assert len(watermark) == 1
    assert watermark.low is None
    watermark.settle(at(0))
    assert watermark.low == at(999)


def test_one_that_was_passed_by_holds_it_when_it_comes() -> None:
    watermark = Watermark()
    for sequence in (1, 2, 4):
        watermark.add(at(sequence)) if sequence != 2 else watermark.pass_by(at(2))
    watermark.settle(at(1))
    watermark.settle(at(4))
    assert watermark.low == at(4)  # who passed 2 by answers for it
    watermark.insert(at(2), at(1))
    assert watermark.low == at(1)
    watermark.settle(at(2))
    assert watermark.low == at(4)


def test_a_position_that_comes_twice_changes_nothing() -> None:
    watermark = Watermark()
    watermark.add(at(1))
    watermark.add(at(2))
    watermark.add(at(1))
    watermark.settle(at(1))
    assert watermark.low == at(1)


@given(st.permutations(range(12)), st.integers(0, 12))
def test_in_any_order_of_settling_low_is_the_end_of_the_settled_beginning(order: list[int], settled: int) -> None:
    watermark = Watermark()
    for sequence in range(12):
        watermark.add(at(sequence))
    done = set(order[:settled])
    for sequence in order[:settled]:
        watermark.settle(at(sequence))
    first_open = next((n for n in range(12) if n not in done), 12)
    assert watermark.low == (at(first_open - 1) if first_open else None)
