"""The speaker's volume on translated speech (row B3)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.broadcast.volume import at_volume


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def test_full_volume_costs_nothing() -> None:
    sound = pcm(1, 2, 3)
    assert at_volume(sound, 1.0) is sound


def test_samples_are_scaled_and_rounded() -> None:
    assert at_volume(pcm(100, -100, 32_767, -32_768, 3), 0.5) == pcm(50, -50, 16_384, -16_384, 2)
    assert at_volume(pcm(100, -32_768), 0.0) == pcm(0, 0)
    assert at_volume(b"", 0.5) == b""


def test_what_does_not_fit_stays_at_full_scale() -> None:
    assert at_volume(pcm(20_000, -20_000), 2.0) == pcm(32_767, -32_768)


def test_half_a_sample_stays() -> None:
    assert at_volume(pcm(10) + b"\x01", 0.5) == pcm(5) + b"\x01"


@given(st.lists(st.integers(-32_768, 32_767), max_size=200), st.floats(0, 1))
def test_the_level_falls_by_the_factor(samples: list[int], volume: float) -> None:
    scaled = np.frombuffer(at_volume(pcm(*samples), volume), "<i2")
    assert scaled.tolist() == pytest.approx([sample * volume for sample in samples], abs=0.5)
