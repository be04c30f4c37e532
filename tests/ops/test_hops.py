from itertools import pairwise

from ops.hops import END_TO_END, HOPS, PIPELINE_OWN, spent, spreads
from streams import times

NAMES = [HOPS[0].start, *(hop.end for hop in HOPS)]


def test_the_hops_are_one_way_without_gaps() -> None:
    assert all(before.end == after.start for before, after in pairwise(HOPS))
    assert NAMES[0] == times.CAPTURED
    assert NAMES[-1] == times.POSTED


def test_a_way_is_the_sum_of_its_hops() -> None:
    row = spent({name: 10 * number for number, name in enumerate(NAMES)})
    assert sum(row[hop.name] for hop in HOPS) == row[END_TO_END] == 130
    assert row[PIPELINE_OWN] == 10 * sum(hop.kind == "own" for hop in HOPS)


def test_without_a_translation_nothing_is_left_out() -> None:
    moments = {name: 10 * number for number, name in enumerate(NAMES)}
    for name in (times.TRANSLATION_CALLED, times.TRANSLATION_ANSWERED):
        del moments[name]
    row = spent(moments)
    assert "translation" not in row
    assert row["translate"] == 30


def test_spreads() -> None:
    found = spreads([{times.CAPTURED: 0, times.ADMITTED: ms} for ms in (1, 2, 3)])
    assert found["capture"].p50 == 2
    assert found["capture"].max == 3
    assert list(found) == ["capture"]
