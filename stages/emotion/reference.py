"""The reference engine: every figure by librosa, over a sliding window, again with every push. Pure.

The only file that imports librosa; nobody imports this one but who chose it.
"""

from typing import Any, Final

import librosa
import numpy as np

from stages.emotion.engine import (
    HOP_SAMPLES,
    LAG_HOPS,
    MEAN_HOPS,
    MELS,
    MIN_FLOOR,
    PEAK_DELTA_DB,
    PEAK_HOPS,
    WINDOW_SAMPLES,
    Floats,
    Hops,
    hop_count,
)
from streams.records import SAMPLE_RATE_HZ

_HOPPING: Final[dict[str, Any]] = {"hop_length": HOP_SAMPLES, "center": False}
_PICKING: Final[dict[str, Any]] = {
    "pre_max": PEAK_HOPS,
    "post_max": PEAK_HOPS + 1,
    "pre_avg": MEAN_HOPS,
    "post_avg": PEAK_HOPS + 1,
    "delta": PEAK_DELTA_DB,
    "wait": PEAK_HOPS,
}
_NOTHING: Final = np.empty(0)

CONTEXT_HOPS: Final = 300
"""3 s: the sliding window."""


class LibrosaEngine:
    """An `Engine`."""

    def __init__(self) -> None:
        self._samples: Floats = _NOTHING  # of the window, from hop `_first` on
        self._first = 0
        self._strength: Floats = _NOTHING  # of the window's hops, as they were when they came
        self._decided = 0

    def push(self, samples: Floats, floor: float) -> Hops:
        """Take the next samples, and measure the window that they end."""
        self._samples = np.concatenate([self._samples, samples])
        known = self._first + len(self._strength)
        ahead = hop_count(len(self._samples)) - CONTEXT_HOPS
        if ahead > 0:
            self._samples = self._samples[ahead * HOP_SAMPLES :]
            self._first += ahead
            self._strength = self._strength[ahead:]
        count = hop_count(len(self._samples))
        new = self._first + count - known
        if new <= 0:
            return Hops(_NOTHING, _NOTHING, [], self._decided)
        window = self._samples
        rms = librosa.feature.rms(y=window, frame_length=WINDOW_SAMPLES, **_HOPPING)[0]
        spectrum = librosa.stft(window, n_fft=WINDOW_SAMPLES, **_HOPPING)
        centroid_hz = librosa.feature.spectral_centroid(S=np.abs(spectrum), sr=SAMPLE_RATE_HZ, n_fft=WINDOW_SAMPLES)[0]
        bands = librosa.feature.melspectrogram(
            y=window, sr=SAMPLE_RATE_HZ, n_fft=WINDOW_SAMPLES, n_mels=MELS, **_HOPPING
        )
        bands_db = librosa.power_to_db(bands, amin=floor, top_db=None)
        strength = librosa.onset.onset_strength(S=bands_db, sr=SAMPLE_RATE_HZ, lag=LAG_HOPS, **_HOPPING)
        self._strength = np.concatenate([self._strength, strength[-new:]])
        onsets = self._decide(self._first + count - PEAK_HOPS)
        return Hops(np.square(rms[-new:]), np.asarray(centroid_hz[-new:]), onsets, self._decided)

    def finish(self) -> Hops:
        """Nothing follows: decide on the last hops."""
        return Hops(_NOTHING, _NOTHING, self._decide(self._first + len(self._strength)), self._decided)

    def _decide(self, upto: int) -> list[int]:
        peaks = librosa.onset.onset_detect(
            onset_envelope=self._strength, sr=SAMPLE_RATE_HZ, hop_length=HOP_SAMPLES, normalize=False, **_PICKING
        )
        onsets = [hop for hop in (peaks + self._first).tolist() if self._decided <= hop < upto]
        self._decided = max(self._decided, upto)
        return onsets


def warm_up() -> None:
    """Have librosa compile what it compiles on first use, some seconds, before audio waits for it."""
    engine = LibrosaEngine()
    engine.push(np.random.default_rng(0).normal(0.0, 0.1, SAMPLE_RATE_HZ), MIN_FLOOR)
    engine.finish()
