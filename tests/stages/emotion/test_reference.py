"""The reference is librosa: its figures are those of librosa's own functions on the whole recording."""

import librosa
import numpy as np
import pytest

from stages.emotion.reference import CONTEXT_HOPS, LibrosaEngine, warm_up
from tests.stages.emotion.speech import FLOOR, hops_of, recording


def test_within_one_window_it_is_librosa_s_offline_answer() -> None:
    pcm = recording("go-forward.wav")
    whole = pcm / 32_768.0
    power, centroid_hz, onsets = hops_of(LibrosaEngine(), pcm, step=len(pcm))
    assert len(power) <= CONTEXT_HOPS
    rms = librosa.feature.rms(y=whole, frame_length=512, hop_length=160, center=False)[0]
    assert np.sqrt(power) == pytest.approx(rms, rel=1e-6)
    spectrum = np.abs(librosa.stft(whole, n_fft=512, hop_length=160, center=False))
    assert centroid_hz == pytest.approx(librosa.feature.spectral_centroid(S=spectrum, sr=16_000, n_fft=512)[0])
    bands = librosa.feature.melspectrogram(y=whole, sr=16_000, n_fft=512, hop_length=160, n_mels=40, center=False)
    strength = librosa.onset.onset_strength(
        S=librosa.power_to_db(bands, amin=FLOOR, top_db=None), sr=16_000, lag=3, center=False
    )
    peaks = librosa.util.peak_pick(strength, pre_max=5, post_max=6, pre_avg=20, post_avg=6, delta=2.5, wait=5)
    assert onsets == peaks.tolist()


def test_warming_up_leaves_nothing_behind() -> None:
    warm_up()
    assert LibrosaEngine().finish().onsets == []
