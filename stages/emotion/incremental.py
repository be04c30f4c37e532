"""The default engine: NumPy only, a small state carried along, each hop transformed once. Pure."""

from typing import Final

import numpy as np

from stages.emotion import mel
from stages.emotion.engine import (
    HOP_SAMPLES,
    LAG_HOPS,
    MEAN_HOPS,
    MELS,
    PEAK_DELTA_DB,
    PEAK_HOPS,
    WINDOW_SAMPLES,
    Floats,
    Hops,
    hop_count,
)
from streams.records import SAMPLE_RATE_HZ

_HANN: Final = np.hanning(WINDOW_SAMPLES + 1)[:-1]
_BINS_HZ: Final = np.fft.rfftfreq(WINDOW_SAMPLES, 1.0 / SAMPLE_RATE_HZ)
_MEL: Final = np.ascontiguousarray(mel.filters(SAMPLE_RATE_HZ, WINDOW_SAMPLES, MELS).T, dtype=np.float64)
_NOTHING: Final = np.empty(0)


class IncrementalEngine:
    """An `Engine`."""

    def __init__(self) -> None:
        self._tail: Floats = _NOTHING  # samples of hops that are not complete
        self._last: Floats = np.empty((0, MELS))  # the last hops' bands, LAG_HOPS of them once there are so many
        self._strength: list[float] = []  # from hop `_first` on
        self._first = 0
        self._decided = 0

    def push(self, samples: Floats, floor: float) -> Hops:
        """Take the next samples."""
        joined = np.concatenate([self._tail, samples])
        count = hop_count(len(joined))
        self._tail = joined[count * HOP_SAMPLES :]
        if count == 0:
            return Hops(_NOTHING, _NOTHING, [], self._decided)
        windows = np.lib.stride_tricks.sliding_window_view(joined, WINDOW_SAMPLES)[::HOP_SAMPLES]
        power = np.einsum("ij,ij->i", windows, windows) / WINDOW_SAMPLES
        spectrum = np.fft.rfft(windows * _HANN, axis=1)
        power_spectrum = spectrum.real**2 + spectrum.imag**2
        self._rise(power_spectrum @ _MEL, floor)
        magnitudes = np.sqrt(power_spectrum)
        total = magnitudes.sum(axis=1)
        centroid_hz = magnitudes @ _BINS_HZ / np.where(total > 0.0, total, 1.0)
        return Hops(power, centroid_hz, self._decide(self._first + len(self._strength) - PEAK_HOPS), self._decided)

    def finish(self) -> Hops:
        """Nothing follows: decide on the last hops."""
        return Hops(_NOTHING, _NOTHING, self._decide(self._first + len(self._strength)), self._decided)

    def _rise(self, bands: Floats, floor: float) -> None:
        rows = np.concatenate([self._last, bands])
        self._last = rows[-LAG_HOPS:]
        rows_db = 10.0 * np.log10(np.maximum(rows, floor))
        rises = np.maximum(rows_db[LAG_HOPS:] - rows_db[:-LAG_HOPS], 0.0).mean(axis=1)
        self._strength += [0.0] * (len(bands) - len(rises))  # the first hops rise out of nothing
        self._strength += rises.tolist()

    def _decide(self, upto: int) -> list[int]:
        onsets = [hop for hop in range(self._decided, upto) if self._is_onset(hop - self._first)]
        self._decided = max(self._decided, upto)
        keep_from = max(self._first, self._decided - MEAN_HOPS)
        del self._strength[: keep_from - self._first]
        self._first = keep_from
        return onsets

    def _is_onset(self, at: int) -> bool:
        strength = self._strength
        here = strength[at]
        if here < PEAK_DELTA_DB or here < max(strength[max(0, at - PEAK_HOPS) : at + PEAK_HOPS + 1]):
            return False
        around = strength[max(0, at - MEAN_HOPS) : at + PEAK_HOPS + 1]
        return here >= sum(around) / len(around) + PEAK_DELTA_DB
