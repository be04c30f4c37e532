"""Whether bytes are the sound that we take: PCM, 16 bits, little-endian, one channel, 16 kHz (row A2). Pure.

Length and parity are checked for every chunk. What the bytes look like is judged over a connection's first second of
sound; what no recording looks like, at once. A verdict on that stays for the connection. Silence and quiet speech say
nothing, and are never refused for it; a sampling rate cannot be told from the samples.

The bounds were measured on the recordings of `tests/recordings` in windows of 20 ms to 1 s: as they are, at -24 dB,
amplified by 26 dB and clipped, and differentiated; against the same as swapped, shifted by a byte, 8-bit,
noise, float, and stereo of several kinds. The test repeats it.
"""

import math
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

HEARD_ENOUGH_SAMPLES: Final = 16_000
"""A second of sound settles the verdict: speech has had its vowels, not only an s, which looks like noise."""
LEAST_SAMPLES: Final = 160
"""10 ms: less says nothing."""
SOUND_RMS: Final = 100.0
"""-50 dBFS, row A5's silence."""

ROUGH: Final = 1.2
"""Energy of the first difference to that of the signal: white noise has 2, a second of speech under 0.75."""
SMOOTH: Final = 0.4
NOISE_RMS: Final = 8_000.0
"""-12 dBFS. No microphone hisses so loudly; bytes that are no samples have 10,000 and more."""
FULL_RMS: Final = 28_500.0
"""-1.2 dBFS. Speech that is clipped throughout stays below; 8-bit samples read as 16 bits do not."""
FULL_ROUGH: Final = 0.4
INTERLEAVED: Final = 0.3
"""How much more a sample is like the one but last than like the last, if they are of two channels."""
ALIKE: Final = 0.6


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


class _Moments:
    """Sums over a connection's sound, from which means, powers and correlations come."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = self._square = self._step = self._next_but_one = 0.0

    def add(self, samples: Samples) -> None:
        x = samples.astype(np.float64)
        self.count += len(x)
        self._sum += float(x.sum())
        self._square += float(x @ x)
        steps = np.diff(x)
        self._step += float(steps @ steps)
        self._next_but_one += float(x[:-2] @ x[2:])

    @property
    def rms(self) -> float:
        return float(np.sqrt(self._square / self.count))

    @property
    def _power(self) -> float:
        """Without the mean; at least that of one bit, so that nothing is divided by zero."""
        return max(self._square / self.count - (self._sum / self.count) ** 2, 1.0)

    @property
    def rough(self) -> float:
        """Energy of the first difference: 2 (1 - r1)."""
        return self._step / self.count / self._power

    @property
    def like_last(self) -> float:
        """Correlation with the sample before."""
        return 1 - self.rough / 2

    @property
    def like_last_but_one(self) -> float:
        """Correlation with the sample before that."""
        return (self._next_but_one / self.count - (self._sum / self.count) ** 2) / self._power


class FormatCheck:
    """One connection's verdict, as it forms."""

    def __init__(self) -> None:
        self._verdict: Fault | None = None
        self._is_settled = False
        self._is_first = True
        self._sound = _Moments()
        self._swapped = _Moments()

    def check(self, pcm: bytes) -> Fault | None:
        """What is wrong with a chunk, or None."""
        if not pcm:
            return Fault.EMPTY
        if self._is_first and _is_container(pcm):
            return Fault.CONTAINER
        if len(pcm) % 2:
            return Fault.ODD_LENGTH
        self._is_first = False
        if not self._is_settled:
            self._listen(np.frombuffer(pcm, "<i2"))
        return self._verdict

    def _listen(self, samples: Samples) -> None:
        if len(samples) < LEAST_SAMPLES or _rms(samples) < SOUND_RMS:
            return
        chunk = _Moments()
        chunk.add(samples)
        swapped = samples.byteswap()
        self._sound.add(samples)
        self._swapped.add(swapped)
        self._verdict = _channels_fault(samples)
        if self._verdict is None and self._sound.count >= HEARD_ENOUGH_SAMPLES:
            self._verdict = _samples_fault(self._sound, self._swapped)
            self._is_settled = True
        elif self._verdict is None:
            chunk_swapped = _Moments()
            chunk_swapped.add(swapped)
            self._verdict = _swapped_fault(chunk, chunk_swapped)
        self._is_settled = self._is_settled or self._verdict is not None


def _rms(samples: Samples) -> float:
    x = samples.astype(np.float32)
    return math.sqrt(float(x @ x) / len(x))


def _is_container(data: bytes) -> bool:
    return data.startswith(_MAGIC) or data[4:8] == b"ftyp"


def _channels_fault(samples: Samples) -> Fault | None:
    """Two channels that are the same, or of which one is silent: no single channel looks so."""
    even, odd = samples[0::2], samples[1::2]
    pairs = min(len(even), len(odd))
    even, odd = even[:pairs], odd[:pairs]
    if np.mean(even == odd) > 0.99 and np.mean(odd[:-1] == even[1:]) < 0.9:
        return Fault.STEREO
    sounding = sorted((np.count_nonzero(even) / pairs, np.count_nonzero(odd) / pairs))
    return Fault.STEREO if sounding[0] < 0.01 and sounding[1] > 0.5 else None


def _swapped_fault(sound: _Moments, swapped: _Moments) -> Fault | None:
    """Loud noise that is smooth, and far less loud, when read the other way round."""
    is_noise = sound.rough > ROUGH and sound.rms > NOISE_RMS
    return Fault.BYTE_SWAPPED if is_noise and swapped.rough < SMOOTH and swapped.rms < sound.rms / 2 else None


def _samples_fault(sound: _Moments, swapped: _Moments) -> Fault | None:
    """The verdict on a second of sound."""
    if sound.rough > ROUGH and sound.rms > NOISE_RMS:
        return Fault.BYTE_SWAPPED if swapped.rough < sound.rough * 0.55 else Fault.NOT_PCM16
    if sound.rough > FULL_ROUGH and sound.rms > FULL_RMS:
        return Fault.NOT_PCM16
    two, one = sound.like_last_but_one, sound.like_last
    return Fault.STEREO if two > ALIKE and -0.2 < one < two - INTERLEAVED else None
