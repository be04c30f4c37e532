"""Recordings, as the protocol takes them: 16 kHz, mono, PCM16LE. What can be converted is, and said; what cannot is
refused with the file's name and a remedy.

WAV only, read here: PCM of 8, 16, 24 and 32 bits and float of 32 and 64, also in the extensible form.
"""

import random
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ops.errors import CommandError

SAMPLE_RATE_HZ: Final = 16_000
MIN_RATE_HZ: Final = 4_000
MAX_RATE_HZ: Final = 384_000
"""Rates outside are no recordings but broken headers."""
MAX_SECONDS: Final = 4 * 3600
MAX_CHANNELS: Final = 32
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN_SIZES: Final = (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000, 0x7FFFFFB2)
"""What programs write that cannot go back to the header; then the data goes on to the file's end."""
_RESAMPLING_PAD_S: Final = 0.05

Pcm = NDArray[np.int16]
Samples = NDArray[np.float64]


class Recording(NamedTuple):
    """A file's sound. converted: what had to be done to it, in words; empty when nothing had."""

    file: str
    pcm: Pcm
    converted: list[str]

    @property
    def duration_ms(self) -> int:
        """How long it is."""
        return len(self.pcm) * 1000 // SAMPLE_RATE_HZ


class _Format(NamedTuple):
    tag: int
    channels: int
    rate_hz: int
    bits: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def read(path: Path) -> Recording:
    """A recording. Raises CommandError, naming the file and the remedy, for what is no readable WAV."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}; name a WAV file that can be read") from error
    try:
        found, sound, notes = _parse(data)
    except ValueError as error:
        remedy = "make a new WAV of it (for instance: ffmpeg -i FILE -ac 1 -ar 16000 NEW.wav)"
        raise CommandError(f"{path}: {error}; {remedy}") from error
    if found == _Format(_PCM, 1, SAMPLE_RATE_HZ, 16):
        return Recording(str(path), np.frombuffer(sound, "<i2").astype(np.int16), notes)
    samples = _as_float(sound, found)
    if found.bits != 16 or found.tag != _PCM:
        notes.append(f"{found.bits}-bit {'float' if found.tag == _FLOAT else 'integers'} to 16-bit")
    if found.channels > 1:
        samples = samples.mean(axis=1)
        notes.append(f"{found.channels} channels to one")
    else:
        samples = samples[:, 0]
    if found.rate_hz != SAMPLE_RATE_HZ:
        samples = resample(samples, found.rate_hz, SAMPLE_RATE_HZ)
        notes.append(f"{found.rate_hz} Hz to {SAMPLE_RATE_HZ} Hz")
    return Recording(str(path), _as_pcm(samples), notes)


def _parse(data: bytes) -> tuple[_Format, bytes, list[str]]:
    if len(data) < 12 or data[:4] not in (b"RIFF", b"RF64") or data[8:12] != b"WAVE":
        raise ValueError("is no WAV file")
    found: _Format | None = None
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        body = at + 8
        if name == b"fmt ":
            found = _parse_format(data[body : body + size], size)
        elif name == b"data":
            if found is None:
                raise ValueError("has its sound before its format")
            return found, *_sound(data[body:], size, found)
        at = body + size + size % 2
    raise ValueError("has no sound: its data chunk is missing" if found else "has no format: its header is broken")


def _parse_format(body: bytes, size: int) -> _Format:
    if len(body) < size or size < 16:
        raise ValueError("has a broken header: its format chunk is cut off")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and size >= 26:
        tag = struct.unpack_from("<H", body, 24)[0]
    if (tag, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}:
        raise ValueError(f"is coded in a way that is not known here (format {tag}, {bits} bits)")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ or not 1 <= channels <= MAX_CHANNELS:
        raise ValueError(f"has a broken header ({rate_hz} Hz, {channels} channels)")
    return _Format(tag, channels, rate_hz, bits)


def _sound(rest: bytes, size: int, found: _Format) -> tuple[bytes, list[str]]:
    notes = []
    if size > len(rest) and size not in _UNKNOWN_SIZES:
        notes.append(f"cut off: {len(rest)} of {size} bytes of sound are there")
    sound = rest[:size]
    sound = sound[: len(sound) // found.frame_bytes * found.frame_bytes]
    if not sound:
        raise ValueError("has no sound in it")
    if len(sound) / found.frame_bytes / found.rate_hz > MAX_SECONDS:
        raise ValueError(f"is longer than {MAX_SECONDS // 3600} hours")
    return sound, notes


def _as_float(sound: bytes, found: _Format) -> Samples:
    """Shape (frames, channels), full scale 1."""
    if found.tag == _FLOAT:
        samples = np.frombuffer(sound, f"<f{found.bits // 8}").astype(np.float64)
        samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    elif found.bits == 8:
        samples = (np.frombuffer(sound, np.uint8).astype(np.float64) - 128) / 128
    elif found.bits == 24:
        raw = np.frombuffer(sound, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(raw), 4), np.uint8)
        wide[:, 1:] = raw
        samples = wide.view("<i4")[:, 0] / 2.0**31
    else:
        samples = np.frombuffer(sound, f"<i{found.bits // 8}") / 2.0 ** (found.bits - 1)
    return samples.reshape(-1, found.channels)


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Band-limited resampling of a whole recording by its spectrum; the ends are padded against wrapping around."""
    divisor = int(np.gcd(from_hz, to_hz))
    step = from_hz // divisor  # a length of whole steps has a whole number of samples at the other rate
    pad = -(-int(from_hz * _RESAMPLING_PAD_S) // step) * step
    length = len(samples) + 2 * pad
    padded = np.pad(samples, (pad, pad + -length % step))
    target = len(padded) // step * (to_hz // divisor)
    spectrum = np.fft.rfft(padded)
    kept = np.zeros(target // 2 + 1, np.complex128)
    common = min(len(spectrum), len(kept))
    kept[:common] = spectrum[:common]
    wide = np.fft.irfft(kept, target) * (target / len(padded))
    start = pad * to_hz // from_hz
    return np.asarray(wide[start : start + round(len(samples) * to_hz / from_hz)], np.float64)


def _as_pcm(samples: Samples) -> Pcm:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)


class Talk(NamedTuple):
    """Recordings joined. starts_ms: where each begins."""

    pcm: Pcm
    starts_ms: list[int]


def join(recordings: Sequence[Recording], gap_s: float | None = None, seed: int = 1) -> Talk:
    """A talk of the recordings with a pause after each: of gap_s, or of 0.3 to 3 s, drawn from `seed`."""
    draw = random.Random(seed)
    pieces: list[NDArray[Any]] = []
    starts: list[int] = []
    at = 0
    for recording in recordings:
        starts.append(at * 1000 // SAMPLE_RATE_HZ)
        pause_s = gap_s if gap_s is not None else draw.uniform(0.3, 3.0)
        pieces += [recording.pcm, np.zeros(int(pause_s * SAMPLE_RATE_HZ), np.int16)]
        at += len(pieces[-2]) + len(pieces[-1])
    return Talk(np.concatenate(pieces[:-1]), starts)


def wav(pcm: Pcm, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """A mono PCM16 WAV file."""
    data = pcm.astype("<i2").tobytes()
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, _PCM, 1, rate_hz,
                       rate_hz * 2, 2, 16, b"data", len(data))  # fmt: skip
    return head + data
