"""At most so many in any window of time, decided by one conditional write to a row. Pure: what to write, what it means.

A row keeps, for each rate, when the latest ones passed: `control0` the latest, `control1` the one before, and so on to
as many as may pass in a window. One more passes on condition that the oldest of them has left the window; the same
expression moves all times on by one place and writes the newest. DynamoDB carries out the writes of a row one after
the other, so this holds for any number of function instances at once; what is refused writes nothing, so that a flood
gets as much as the rate allows and does not shut itself out.

    SET control0=:now, control1=if_not_exists(control0,:zero), ...     if control9 <= :before

How exact that is: with up to MAX_PLACES per window, exact. A higher rate is kept in groups of `per_place`: each group
counts as if all of it had passed when its last did. Never more than the rate passes in a window, and under a flood at
least the rate less 2 * per_place - 1.

Times are the caller's. Where they are not in the order of the writes (clocks of two machines, messages that overtake
each other), a window is that much shorter.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple

MAX_PLACES: Final = 50
"""Two rates of so many places fit DynamoDB's expression of 4,096 bytes."""


class Rate(NamedTuple):
    """most: how many may pass in any window of window_ms. name: for clients and metrics, and before the place's number
    that of its attributes."""

    name: str
    most: int
    window_ms: int

    @property
    def per_place(self) -> int:
        """How many share a place."""
        return -(-self.most // MAX_PLACES)

    @property
    def places(self) -> int:
        """How many places a row has."""
        return self.most // self.per_place

    def place(self, number: int) -> str:
        """The attribute of a place; 0 is the newest."""
        return f"{self.name}{number}"

    @property
    def used(self) -> str:
        """The attribute that counts how many share the newest place, where more than one may."""
        return f"{self.name}Used"


class Way(Enum):
    """How one passes. MOVE: into a place of its own, all others move on; SHARE: into the newest, which has room."""

    MOVE = "move"
    SHARE = "share"


class Write(NamedTuple):
    """The parts of an UpdateItem: assignments of its SET, terms of its condition (all must hold), their values."""

    assignments: tuple[str, ...]
    terms: tuple[str, ...]
    values: dict[str, Any]


def first_way(rate: Rate) -> Way:
    """What is tried when nothing is known of the row: right for all but one in per_place."""
    return Way.MOVE if rate.per_place == 1 else Way.SHARE


def way(rate: Rate, row: Mapping[str, Any], now_ms: int) -> Way | None:
    """How one can pass, by the row as it is; None if it can't. `first_way` has failed with this row, or another did."""
    if rate.per_place > 1 and 0 < _number(row, rate.used) < rate.per_place:
        return Way.SHARE
    return Way.MOVE if wait_ms(rate, row, now_ms) <= 0 else None


def wait_ms(rate: Rate, row: Mapping[str, Any], now_ms: int) -> int:
    """How long until the oldest leaves the window, by the row as it is."""
    return _number(row, rate.place(rate.places - 1)) + rate.window_ms - now_ms


def write(rates: Sequence[tuple[Rate, Way]], now_ms: int) -> Write:
    """What lets one pass by all these rates at once, or by none."""
    assignments: list[str] = []
    terms: list[str] = []
    values: dict[str, Any] = {":now": {"N": str(now_ms)}}
    for rate, chosen in rates:
        if chosen is Way.SHARE:
            assignments += [f"{rate.place(0)}=:now", f"{rate.used}={rate.used}+:one"]
            terms.append(f"{rate.used}<:{rate.name}Room")
        else:
            oldest, before = rate.place(rate.places - 1), f":{rate.name}Before"
            assignments.append(f"{rate.place(0)}=:now")
            assignments += [
                f"{rate.place(number)}=if_not_exists({rate.place(number - 1)},:zero)"
                for number in range(1, rate.places)
            ]
            terms.append(f"(attribute_not_exists({oldest}) OR {oldest}<={before})")
            values[before] = {"N": str(now_ms - rate.window_ms)}
            if rate.places > 1:
                values[":zero"] = {"N": "0"}  # DynamoDB refuses values that no expression uses
            if rate.per_place > 1:
                assignments.append(f"{rate.used}=:one")
                terms.append(f"(attribute_not_exists({rate.used}) OR {rate.used}>=:{rate.name}Room)")
        if rate.per_place > 1:
            values |= {":one": {"N": "1"}, f":{rate.name}Room": {"N": str(rate.per_place)}}
    return Write(tuple(assignments), tuple(terms), values)


def _number(row: Mapping[str, Any], attribute: str) -> int:
    return int(row.get(attribute, {}).get("N", 0))
