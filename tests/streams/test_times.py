"""Hops' names are distinct: each is a key in `times_ms`."""

from streams import times


def test_every_hop_has_a_name_of_its_own() -> None:
    names = [value for name, value in vars(times).items() if name.isupper()]
    assert len(names) == len(set(names)) > 10
