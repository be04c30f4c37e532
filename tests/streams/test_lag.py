"""What is too late, and since when."""

import pytest

from streams import times
from streams.lag import PARTIALS_S, RESUME_S, SPEECH_S, LagBudget, Lateness, lag_ms

BUDGET = LagBudget.of(5, 45, 10)


@pytest.mark.parametrize(
    ("late_ms", "behind", "left_out"),
    [
        (45_000, False, False),
        (45_001, False, True),
        (45_001, True, True),
        (10_001, True, True),
        (10_000, True, False),
        (10_001, False, False),
    ],
)
def test_what_was_left_out_stays_out_until_the_speaker_is_near(late_ms: int, behind: bool, left_out: bool) -> None:
    lateness = Lateness(BUDGET, behind=behind)
    assert lateness.leaves_out(late_ms, 0) is left_out
    assert lateness.behind is left_out


def test_a_backlog_is_caught_up_with_to_the_end_however_slowly() -> None:
    lateness = Lateness(BUDGET)
    late_ms, now_ms = 300_000.0, 0
    while lateness.leaves_out(late_ms, now_ms):
        now_ms += 1_000
        late_ms -= 200
    assert late_ms <= 10_000


def test_where_lateness_falls_no_further_speech_goes_on() -> None:
    lateness = Lateness(BUDGET)
    assert lateness.leaves_out(60_000, 0)
    assert lateness.leaves_out(30_000, 5_000)
    said = [lateness.leaves_out(29_000, now_ms) for now_ms in range(6_000, 40_000, 1_000)]
    assert said == [True] * 19 + [False] * 15
    assert not lateness.leaves_out(44_000, 41_000)
    assert lateness.leaves_out(46_000, 42_000)


def test_nobody_resumes_later_than_they_leave_out() -> None:
    assert LagBudget.of(5, 20, 30) == LagBudget(5_000, 20_000, 20_000)


def test_lateness_is_counted_from_the_sound_by_our_own_clocks() -> None:
    hops = {times.CAPTURED: 1, times.SPOKEN: 100, times.ADMITTED: 200}
    assert lag_ms(hops, 300, 1_000) == 900
    assert lag_ms({times.CAPTURED: 1, times.ADMITTED: 200}, 300, 1_000) == 800
    assert lag_ms({times.CAPTURED: 1}, 300, 1_000) == 700


def test_the_defaults_lie_between_a_restart_and_an_open_breaker() -> None:
    assert PARTIALS_S < RESUME_S < 30 < SPEECH_S < 60
