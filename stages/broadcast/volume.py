"""The speaker's volume on translated speech (row B3). Pure."""

from typing import Final

import numpy as np

_LEAST: Final = -32_768
_MOST: Final = 32_767


def at_volume(pcm: bytes, volume: float) -> bytes:
    """PCM16LE with each sample times volume, rounded; a product that does not fit stays at full scale, none wraps.

    volume: a factor of the amplitude, 0.0 to 1.0. At 1.0 it is the same object. Half a sample at the end stays.
    """
    if volume == 1.0:
        return pcm
    whole = len(pcm) & ~1
    scaled = np.rint(np.frombuffer(pcm[:whole], "<i2") * volume)
    return np.clip(scaled, _LEAST, _MOST).astype("<i2").tobytes() + pcm[whole:]
