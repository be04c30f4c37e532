"""The mel filters of librosa's default (Slaney's Auditory Toolbox), in NumPy. Pure."""

import numpy as np
from numpy.typing import NDArray

LINEAR_HZ_PER_MEL = 200.0 / 3.0
LOG_FROM_HZ = 1_000.0
LOG_FROM_MEL = LOG_FROM_HZ / LINEAR_HZ_PER_MEL
LOG_STEP = np.log(6.4) / 27.0
"""Linear to 1 kHz, then 27 mels for a factor of 6.4 (Slaney 1998)."""


def filters(sample_rate_hz: int, window_samples: int, mels: int) -> NDArray[np.float32]:
    """Triangles of equal area over the bins of a power spectrum, shape (mels, window_samples // 2 + 1), as
    `librosa.filters.mel` makes them: from 0 Hz to half the sampling rate, in single precision.
    """
    bins_hz = np.fft.rfftfreq(window_samples, 1.0 / sample_rate_hz)
    edges_hz = _to_hz(np.linspace(0.0, _to_mel(sample_rate_hz / 2), mels + 2))
    widths_hz = np.diff(edges_hz)
    slopes = edges_hz[:, None] - bins_hz[None, :]
    rising = -slopes[:-2] / widths_hz[:-1, None]
    falling = slopes[2:] / widths_hz[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)
    areas = (2.0 / (edges_hz[2:] - edges_hz[:-2])).astype(np.float32)
    weighted: NDArray[np.float32] = triangles * areas[:, None]
    return weighted


def _to_mel(hz: float) -> float:
    """Of a frequency of 1 kHz or more."""
    return float(LOG_FROM_MEL + np.log(hz / LOG_FROM_HZ) / LOG_STEP)


def _to_hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithmic = LOG_FROM_HZ * np.exp(LOG_STEP * (np.maximum(mels, LOG_FROM_MEL) - LOG_FROM_MEL))
    return np.where(mels < LOG_FROM_MEL, LINEAR_HZ_PER_MEL * mels, logarithmic)
