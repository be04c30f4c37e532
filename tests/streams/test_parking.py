"""Parked sessions, as tables of reads; and that in any order of reads each gets all of its inputs, in order."""

import random

import pytest

from streams.parking import Parking, Place
from streams.stage import Position

PARENT, CHILD = "shardId-000000000001", "shardId-000000000002"


def at(sequence: int, shard_id: str = PARENT) -> Position:
    return Position(shard_id, sequence)


def after(sequence: int) -> Place:
    return Place(at(sequence), after=True)


def everybody(session_id: str) -> bool:
    return True


def parked(*inputs: tuple[str, int]) -> Parking:
    parking = Parking()
    for session_id, sequence in inputs:
        parking.park(session_id, at(sequence), at(sequence - 1))
    return parking


def test_a_parked_session_is_read_on_from_its_first_input_to_its_last() -> None:
    parking = parked(("s", 5), ("s", 8))
    start = parking.read_on_from(everybody)
    assert start == Place(at(5), after=False)
    assert parking.is_next("s", start, at(5))
    assert not parking.on_given("s", at(5))
    assert parking.on_read(start, at(6)) == []
    assert parking.read_on_from(everybody) == after(6)
    assert parking.on_given("s", at(8))
    assert "s" not in parking
    assert parking.read_on_from(everybody) is None


def test_no_checkpoint_passes_what_was_passed_by() -> None:
    parking = parked(("s", 5), ("t", 7))
    assert parking.low(at(9)) == at(4)
    assert parking.low(at(3)) == at(3)
    parking.on_given("s", at(5))
    assert parking.low(at(9)) == at(6)
    assert parking.low(None) is None


def test_before_the_first_input_of_all_there_is_no_checkpoint() -> None:
    parking = Parking()
    parking.park("s", at(1), None)
    assert parking.low(at(9)) is None


def test_who_has_no_room_is_not_read_for_and_the_others_take_turns() -> None:
    parking = parked(("full", 1), ("s", 2), ("t", 3))
    for session_id in ("full", "s", "t"):
        parking.park(session_id, at(9), at(8))
    starts = [parking.read_on_from(lambda session_id: session_id != "full") for _ in range(3)]
    assert [start.position.sequence for start in starts if start is not None] == [2, 3, 2]


def test_nobody_is_given_an_input_while_an_earlier_one_was_not_read() -> None:
    parking = parked(("s", 5), ("t", 7))
    assert not parking.is_next("s", after(6), at(8))
    assert parking.is_next("t", after(6), at(7))
    assert not parking.is_next("t", after(7), at(8))
    assert not parking.is_next("nobody", after(6), at(7))


def test_a_read_that_began_after_an_input_does_not_count_as_having_read_it() -> None:
    parking = parked(("s", 5), ("s", 9))
    assert parking.on_read(after(5), at(8)) == []
    assert parking.read_on_from(everybody) == Place(at(5), after=False)


def test_who_was_refused_in_the_middle_of_a_read_goes_on_there() -> None:
    parking = parked(("s", 5), ("s", 6))
    start = parking.read_on_from(everybody)
    assert start is not None
    parking.on_given("s", at(5))
    parking.refuse("s")
    assert not parking.is_next("s", start, at(6))
    parking.on_read(start, at(9))
    assert parking.read_on_from(everybody) == after(5)
    assert parking.is_next("s", after(5), at(6))


def test_an_input_that_is_not_there_any_more_is_not_waited_for() -> None:
    parking = parked(("s", 5), ("s", 6))
    start = parking.read_on_from(everybody)
    assert start is not None
    assert parking.on_read(start, at(7)) == ["s"]


def test_after_the_end_of_a_shard_the_next_one_is_read() -> None:
    parking = parked(("s", 5), ("gone", 5))
    parking.park("s", at(2, CHILD), at(1, CHILD))
    start = parking.read_on_from(everybody)
    assert start is not None
    assert parking.on_end(start, at(1, CHILD)) == ["gone"]
    assert parking.read_on_from(everybody) == Place(at(1, CHILD), after=False)
    assert parking.low(at(9, CHILD)) == at(4)


@pytest.mark.parametrize("seed", range(200))
def test_each_session_gets_all_of_its_inputs_in_order(seed: int) -> None:
    """A reader of pages of any size, and sessions that have room now and then."""
    rng = random.Random(seed)
    log = [(at(n + 1), rng.choice("abc")) for n in range(40)]
    parking, given = Parking(), {session_id: list[Position]() for session_id in "abc"}
    for n, (position, session_id) in enumerate(log):
        if session_id in parking or rng.random() < 0.2:
            parking.park(session_id, position, log[n - 1][0] if n else None)
        else:
            given[session_id].append(position)
        for _ in range(rng.randrange(2)):
            read(parking, log[: n + 1 + rng.randrange(3)], given, rng)
    while len(parking):
        low = parking.low(log[-1][0])
        assert all(position in given[session_id] for position, session_id in log if low is not None and position <= low)
        read(parking, log, given, rng)
    assert given == {name: [position for position, session_id in log if session_id == name] for name in "abc"}


def read(
    parking: Parking, log: list[tuple[Position, str]], given: dict[str, list[Position]], rng: random.Random
) -> None:
    start = parking.read_on_from(lambda _: rng.random() < 0.7)
    if start is None:
        return
    page = [item for item in log if start <= Place(item[0], after=False)][: rng.randrange(1, 12)]
    for position, session_id in page:
        if parking.is_next(session_id, start, position):
            if rng.random() < 0.2:
                parking.refuse(session_id)
            else:
                given[session_id].append(position)
                parking.on_given(session_id, position)
        parking.on_read(start, position)
