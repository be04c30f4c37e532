"""What an engine measures, and the definition that all engines share (rows E1, E2).

Audio is cut into *hops*: windows of 32 ms, one every 10 ms, none padded. Of each, an engine measures the power, the
spectral centroid, and whether a syllable begins there. The definition is put in librosa's terms, so that librosa itself
can be the reference:

- `power`: the square of `feature.rms` (frame_length 512, hop_length 160, center False);
- `centroid_hz`: `feature.spectral_centroid` of the magnitudes of `stft` (Hann, center False);
- strength: `onset.onset_strength` (lag 3) of a `feature.melspectrogram` of 40 bands in dB: by how many dB the bands
  rose in the last 30 ms, the length of a window, on average, counting those that rose. Decibels make it blind to the
  level of the voice but for the floor (`power_to_db(amin=...)`), below which nothing counts; so the floor is given
  with every push, and follows the voice;
- onsets: `util.peak_pick` of the strength, in dB and not normalised. librosa's own detector divides by the window's
  largest strength first, so that one slammed door would hide the syllables around it.

A peak is the largest of the five hops on either side and PEAK_DELTA_DB over the mean of its surroundings, so an onset
is known 50 ms after it: late enough to be sure, early enough for a live use. As the wait between peaks is no longer
than the span in which a peak is the largest, whether a hop is an onset depends on its surroundings only.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]

HOP_SAMPLES: Final = 160
WINDOW_SAMPLES: Final = 512
MELS: Final = 40
MIN_FLOOR: Final = 1e-10
"""Of a mel band's power: below what 16 bits resolve. librosa's own `amin`."""

LAG_HOPS: Final = 3
PEAK_HOPS: Final = 5
"""An onset is the strongest of so many hops before and after it: syllables last 100 ms and more."""
MEAN_HOPS: Final = 20
"""So many hops before it, and PEAK_HOPS after it, are its surroundings."""
PEAK_DELTA_DB: Final = 2.5
"""Chosen on recorded read speech: 109 onsets for 103 syllables in eight recordings, correlation of the counts 0.98; the
rate falls to 0.82 of it when the speech is stretched by 1.3, and to 0.97 in noise at 20 or 10 dB."""

EngineName = Literal["incremental", "librosa"]


class Hops(NamedTuple):
    """What a step of an engine found.

    power: shape (n,), mean square of samples in -1..1. centroid_hz: shape (n,). Both of the hops that have become
    complete. onsets: indices of hops, counted from the stretch's first. decided: for so many hops it is now known
    whether they are onsets.
    """

    power: Floats
    centroid_hz: Floats
    onsets: list[int]
    decided: int


class Engine(Protocol):
    """Measures one stretch of audio without gaps; hop 0 begins at its first sample.

    However the stretch is cut into pushes (with the same floor), the figures are the same, but for rounding.
    """

    def push(self, samples: Floats, floor: float) -> Hops:
        """Take the next samples, shape (n,), in -1..1. floor: the least power of a mel band that counts, MIN_FLOOR or
        more.
        """

    def finish(self) -> Hops:
        """Nothing follows: decide on the last hops."""


EngineFactory: TypeAlias = Callable[[], Engine]


def engine_factory(name: EngineName) -> EngineFactory:
    """What makes the engine of this name. librosa is imported only if it is asked for."""
    if name == "librosa":
        from stages.emotion.reference import LibrosaEngine, warm_up

        warm_up()
        return LibrosaEngine
    from stages.emotion.incremental import IncrementalEngine

    return IncrementalEngine


def hop_count(samples: int) -> int:
    """How many whole hops are in so many samples."""
    return max(0, (samples - WINDOW_SAMPLES) // HOP_SAMPLES + 1)
