"""How a span was said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.dynamics import dynamics
from streams.records import NEUTRAL, EmotionFrame
from tests.stages.translate.transcripts import frame


def test_one_frame_is_its_own_dynamics() -> None:
    found = dynamics([frame(0, level_db=-23.0, onsets=2)], 0, 500)
    assert (found.volume, found.rate, found.energy) == pytest.approx((0.4, 1.2, 0.3))
    assert found.level_db == pytest.approx(-23.0)
    assert found.onsets_per_minute == pytest.approx(240.0)


def test_levels_are_averaged_in_power_and_weighted_by_speech() -> None:
    found = dynamics([frame(0, level_db=-10.0), frame(500, level_db=-40.0)], 0, 1_000)
    assert found.level_db == pytest.approx(-13.01, abs=0.01)
    found = dynamics([frame(0, level_db=-10.0, voiced_ms=0), frame(500, level_db=-40.0)], 0, 1_000)
    assert found.level_db == pytest.approx(-40.0)


def test_frames_count_by_their_overlap() -> None:
    found = dynamics([frame(0, level_db=-20.0, onsets=5), frame(500, level_db=-60.0, onsets=0)], 250, 625)
    assert found.level_db == pytest.approx(-21.76, abs=0.01)
    assert found.onsets_per_minute == pytest.approx(2 * 60_000 / 375)


def test_too_little_speech_has_no_rate() -> None:
    assert dynamics([frame(0, voiced_ms=150)], 0, 500).onsets_per_minute is None


@pytest.mark.parametrize("frames", [[], [frame(0, voiced_ms=0)], [frame(5_000)]])
def test_nothing_known_is_neutral(frames: list[EmotionFrame]) -> None:
    assert dynamics(frames, 0, 500) == NEUTRAL


@given(st.permutations([frame(i * 500, level_db=-10.0 * i - 5) for i in range(4)]))
def test_the_order_of_frames_does_not_matter(frames: list[EmotionFrame]) -> None:
    found = dynamics(frames, 100, 1_900)
    assert found.level_db == pytest.approx(dynamics(sorted(frames, key=lambda f: f.start_ms), 100, 1_900).level_db)
