from ops.chaos.account import (
    Arrival,
    Lost,
    arrivals,
    judge,
    longest_pause_ms,
    normal,
    numbers_in,
    recoveries_ms,
)
from ops.chaos.deeds import Deed
from ops.chaos.plan import Fault
from ops.listener import ClauseHeard

SPOKEN = [(1, 0), (2, 400), (3, 800), (4, 1200)]
SAID = [1, 2, 3, 4, 5]


def clause(text: str, start_ms: int = 0, parts: int = 1, of_parts: int = 1, at_ms: int = 0) -> ClauseHeard:
    return ClauseHeard(
        utterance_id=f"s:{start_ms}",
        clause=0,
        sequence=0,
        text=text,
        start_ms=start_ms,
        end_ms=start_ms + 100,
        at_unix_ms=at_ms,
        rate_hz=16_000,
        parts=dict.fromkeys(range(parts), b""),
        of_parts=of_parts,
    )


def verdict(*texts: str) -> tuple[list[int], list[tuple[str, int]]]:
    found = judge("s", "es", SPOKEN, SAID, [clause(text, 10 * n) for n, text in enumerate(texts)])
    return [one.number for one in found.lost], [(one.what, one.number) for one in found.odd]


def test_every_word_once_and_in_order_is_nothing() -> None:
    assert verdict("W000001 w000002", "w000003, w000004.") == ([], [])


def test_a_word_that_was_not_acknowledged_may_be_heard_or_not() -> None:
    assert verdict("w000001 w000002 w000003 w000004 w000005") == ([], [])


def test_each_thing_that_can_be_off_is_told_apart() -> None:
    assert verdict("w000001", "w000003 w000004") == ([2], [])
    assert verdict("w000001 w000002", "w000002 w000003 w000004") == ([], [("duplicated", 2)])
    assert verdict("w000001 w000003", "w000002 w000004") == ([], [("reordered", 2)])
    assert verdict("w000001 w000002 w000003 w000004 w000777") == ([], [("unspoken", 777)])


def test_a_clause_without_all_its_parts_was_not_heard() -> None:
    found = judge("s", "es", SPOKEN[:2], SAID, [clause("w000001"), clause("w000002", 10, parts=2, of_parts=3)])
    assert found.lost == [Lost("s", "es", 2, 400, parts_missing=1)]
    assert found.heard == 1


def test_what_is_left_unspoken_on_purpose_is_not_lost() -> None:
    found = judge("s", "es", SPOKEN, SAID, [clause("w000001 w000002")], ["w000003"])
    assert [one.number for one in found.lost] == [4]
    assert found.skipped == 1


def test_numbers_are_read_from_whatever_a_translator_makes_of_the_text() -> None:
    assert numbers_in("W000012, i el w000013. xw000014 w00001 w0000155") == [12, 13]


def deed(began_ms: int, ended_ms: int, kind: str = "kill") -> Deed:
    return Deed(Fault(0, kind, "translate"), began_ms, ended_ms)


def test_arrivals_are_counted_from_the_last_sound_of_the_words() -> None:
    assert arrivals(1_000_000, [clause("w000001", 500, at_ms=1_002_000)]) == [Arrival(1_000_600, 1_002_000)]
    assert arrivals(1_000_000, [clause("w000001", 500, at_ms=1_002_000)])[0].delay_ms == 1_400


def test_what_is_normal_is_known_from_before_the_first_fault() -> None:
    found = [Arrival(0, 1_000), Arrival(1_000, 2_200), Arrival(2_000, 3_400), Arrival(9_000, 30_000)]
    assert normal(found, before_ms=5_000) == (1_200, 1_200)
    assert normal(found[3:], before_ms=5_000) == (21_000, 21_000)
    assert normal([], before_ms=5_000) == (0, 0)
    assert normal([Arrival(0, n) for n in range(101)], before_ms=5_000) == (50, 95)


def test_recovery_lasts_until_the_last_late_clause_and_belongs_to_the_fault_that_held_it_up() -> None:
    deeds = [deed(10_000, 13_000), deed(60_000, 61_000), deed(90_000, 90_000)]
    listener = [
        Arrival(5_000, 6_500),
        Arrival(10_500, 15_000),  # late by the first
        Arrival(12_000, 16_500),  # late by the first, and the last to be so
        Arrival(15_500, 17_000),
        Arrival(60_000, 60_990),  # on time: the second held up nothing before its end
        Arrival(58_900, 60_900),  # late, though a little: within what is tolerated
    ]
    assert recoveries_ms(deeds, [listener, []], usual_ms=1_000) == [3_500, 0, 0]


def test_a_late_clause_before_any_fault_is_no_faults() -> None:
    assert recoveries_ms([deed(50_000, 51_000)], [[Arrival(1_000, 9_000)]], usual_ms=1_000) == [0]


def test_the_longest_pause_lies_between_sounds() -> None:
    assert longest_pause_ms([1_000, 1_200, 9_200, 9_300]) == 8_000
    assert longest_pause_ms([1_000]) == 0
