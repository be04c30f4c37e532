import librosa
import numpy as np
import pytest

from stages.emotion.mel import filters


@pytest.mark.parametrize(
    ("sample_rate_hz", "window", "mels"), [(16_000, 512, 40), (16_000, 2_048, 128), (22_050, 1_024, 20)]
)
def test_the_filters_are_librosa_s(sample_rate_hz: int, window: int, mels: int) -> None:
    ours = filters(sample_rate_hz, window, mels)
    theirs = librosa.filters.mel(sr=sample_rate_hz, n_fft=window, n_mels=mels)
    assert ours.dtype == theirs.dtype
    assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-9)


def test_every_band_hears_something() -> None:
    assert np.all(filters(16_000, 512, 40).sum(axis=1) > 0)
