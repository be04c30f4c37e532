"""Whether bytes are the sound that we take: PCM, 16 bits, little-endian, one channel, 16 kHz (row A2). Pure.

Length and parity are checked for every chunk; what the bytes look like, for a connection's first ones, until a second
of sound has been heard. Silence and quiet speech say nothing, and are never refused for it.
"""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

HEARD_ENOUGH_SAMPLES: Final = 16_000
"""One second of sound settles the verdict."""
LEAST_SAMPLES: Final = 160
"""10 ms: less says nothing about its format."""
SOUND_RMS: Final = 100.0
"""-50 dBFS, row A5's silence."""


class Fault(StrEnum):
    """What the bytes are instead; `details.reason` of INVALID_AUDIO_FORMAT."""

    EMPTY = "empty"
    ODD_LENGTH = "oddLength"
    CONTAINER = "container"
    BYTE_SWAPPED = "byteSwapped"
    STEREO = "stereo"
    NOT_PCM16 = "notPcm16"


_MAGIC: Final = (
    b"RIFF",
    b"RF64",
    b"OggS",
    b"fLaC",
    b"FORM",
    b"caff",
    b"ID3",
    b"#!AMR",
    b".snd",
    b"\x1aE\xdf\xa3",
    b"NIST_1A",
)
"""How WAV, Ogg, FLAC, AIFF, CAF, MP3, AMR, AU, WebM and SPHERE files begin."""

Samples = NDArray[np.int16]


class FormatCheck:
    """One connection's verdict, as it forms."""

    def __init__(self) -> None:
        self._heard = 0
        self._first = True

    def check(self, pcm: bytes) -> Fault | None:
        """What is wrong with a chunk, or None."""
        if not pcm:
            return Fault.EMPTY
        if self._first and _is_container(pcm):
            return Fault.CONTAINER
        if len(pcm) % 2:
            return Fault.ODD_LENGTH
        self._first = False
        return None


def _is_container(data: bytes) -> bool:
    return data.startswith(_MAGIC) or data[4:8] == b"ftyp"
