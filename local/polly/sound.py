"""Arithmetic on samples. All pure: float32 arrays of one channel, full scale is 1.0.

No clipping anywhere: what would pass full scale is scaled down as a whole.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Final

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
"""Mono samples, shape (n,), full scale 1.0."""

NOMINAL_GAIN_DB: Final = -3.0
"""On eSpeak at volume 50, which peaks at about -8 dBFS: speech at `medium` then peaks at about -11 dBFS,
which leaves room for `x-loud`."""
CEILING: Final = 0.98
"""Peak of the loudest output, -0.2 dBFS."""

_SILENCE: Final = 10 ** (-50 / 20)
"""Below -50 dBFS nobody hears anything: the same bound as for a silent speaker."""
_LEAD_S: Final = 0.01
_TAIL_S: Final = 0.06
_STOP_BAND_DB: Final = 70.0


def from_pcm16(pcm: npt.NDArray[np.int16]) -> Samples:
    """16-bit samples as floats."""
    return pcm.astype(np.float32) / 32768.0


def to_pcm16(samples: Samples) -> npt.NDArray[np.int16]:
    """Floats as 16-bit samples, rounded; saturates, which `limit` makes needless."""
    saturated: npt.NDArray[np.int16] = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    return saturated


def edges(samples: Samples, rate_hz: int) -> tuple[int, int]:
    """Where speech starts and ends, with 10 ms before and 60 ms after it; (0, 0) if there is only silence."""
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    if not len(loud):
        return 0, 0
    start = max(0, int(loud[0]) - round(_LEAD_S * rate_hz))
    return start, min(len(samples), int(loud[-1]) + 1 + round(_TAIL_S * rate_hz))


def amplify(samples: Samples, gain_db: float | None) -> Samples:
    """Samples times a gain; None is silence."""
    factor = 0.0 if gain_db is None else 10 ** (gain_db / 20)
    return samples * np.float32(factor)


def limit(samples: Samples) -> Samples:
    """The samples, scaled down as a whole if a peak is above `CEILING`: loudness is capped, the wave isn't bent."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    return samples if peak <= CEILING else samples * np.float32(CEILING / peak)


def stretch(samples: Samples, factor: float, rate_hz: int) -> Samples:
    """Make speech `factor` (1 or more) times as long at the same pitch, by overlapping similar waves (WSOLA).

    Frames of 40 ms, half overlapped; each is taken where, within 10 ms of its due place, it continues the
    frame before it best.
    """
    frame = round(0.04 * rate_hz) // 2 * 2
    hop, reach = frame // 2, round(0.01 * rate_hz)
    if factor <= 1.0 or len(samples) < 2 * frame + reach:
        return samples
    padded = np.pad(samples, (reach, frame + reach + hop))
    count = int(len(samples) * factor) // hop
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)).astype(np.float32)
    out = np.zeros(count * hop + frame, np.float32)
    follow = reach
    for i in range(count):
        due = reach + int(i * hop / factor)
        if i == 0:
            best = due
        else:
            target = padded[follow : follow + frame]
            near = padded[due - reach : due + reach + frame]
            best = due - reach + int(np.argmax(np.correlate(near, target, "valid")))
        out[i * hop : i * hop + frame] += padded[best : best + frame] * window
        follow = min(best + hop, len(padded) - frame)
    return out[: int(len(samples) * factor)]


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Change the sample rate, by a Kaiser-windowed sinc of 70 dB stop band, exact in phase.

    Rates have a common block (441 samples at 22,050 Hz are 320 at 16,000 Hz), so that the polyphase filter is
    one matrix product per block, which is what NumPy is fastest at.
    """
    if from_hz == to_hz or not len(samples):
        return samples
    filters, half, block_in, block_out = _filters(from_hz, to_hz)
    blocks = -(-len(samples) // block_in)
    padded = np.pad(samples, (half, blocks * block_in - len(samples) + half))
    frames = np.lib.stride_tricks.sliding_window_view(padded, block_in + 2 * half)[::block_in]
    length = -(-len(samples) * to_hz // from_hz)
    return (frames @ filters).reshape(blocks * block_out)[:length].astype(np.float32)


@lru_cache(maxsize=8)
def _filters(from_hz: int, to_hz: int) -> tuple[Samples, int, int, int]:
    """The matrix of shape (block_in + 2 half, block_out), half the filter's length, and the blocks' sizes."""
    common = gcd(from_hz, to_hz)
    block_in, block_out = from_hz // common, to_hz // common
    nyquist = min(from_hz, to_hz) / 2
    transition = 0.15 * nyquist  # the stop band starts at Nyquist: nothing folds back
    cutoff = (nyquist - transition / 2) / from_hz
    beta = 0.1102 * (_STOP_BAND_DB - 8.7)  # Kaiser's formulae
    half = int(np.ceil((_STOP_BAND_DB - 8) / (2.285 * 2 * np.pi * transition / from_hz) / 2))
    due = np.arange(block_out) * block_in / block_out
    away = due[None, :] - (np.arange(block_in + 2 * half) - half)[:, None]
    inside = np.sqrt(np.clip(1 - (away / half) ** 2, 0, None))
    weights = 2 * cutoff * np.sinc(2 * cutoff * away) * np.i0(beta * inside) / np.i0(beta)
    weights[np.abs(away) > half] = 0.0
    weights /= weights.sum(axis=0)
    return weights.astype(np.float32), half, block_in, block_out


def mu_law(pcm: npt.NDArray[np.int16]) -> bytes:
    """G.711 µ-law, a byte a sample."""
    wide = pcm.astype(np.int32)
    magnitude = np.minimum(np.abs(wide), 32635) + 132
    exponent = np.floor(np.log2(magnitude)).astype(np.int32) - 7
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(wide < 0, 0x80, 0)
    return bytes((~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8))


def a_law(pcm: npt.NDArray[np.int16]) -> bytes:
    """G.711 A-law, a byte a sample."""
    wide = pcm.astype(np.int32)
    magnitude = np.minimum(np.where(wide < 0, ~wide, wide), 32767)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 7, 0)
    mantissa = np.where(exponent == 0, magnitude >> 4, magnitude >> (exponent + 3)) & 0x0F
    sign = np.where(wide < 0, 0, 0x80)
    return bytes(((sign | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8))
