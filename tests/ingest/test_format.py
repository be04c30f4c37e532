from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ingest.format import HEARD_ENOUGH_SAMPLES, Fault, FormatCheck
from local.tones import Script

RECORDINGS = sorted((Path(__file__).parents[1] / "recordings").glob("*.wav"))
CHUNK_BYTES = (640, 3_200, 6_400, 32_000)
"""20 ms to 1 s."""

Pcm = NDArray[np.int16]


def _read(path: Path) -> Pcm:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def _scaled(pcm: Pcm, gain_db: float) -> bytes:
    scaled = pcm.astype(np.float64) * 10 ** (gain_db / 20)
    return np.clip(np.rint(scaled), -32768, 32767).astype("<i2").tobytes()


def _verdict(data: bytes, chunk_bytes: int) -> Fault | None:
    check = FormatCheck()
    for start in range(0, len(data) - chunk_bytes + 1, chunk_bytes):
        fault = check.check(data[start : start + chunk_bytes])
        if fault is not None:
            return fault
    return None


@pytest.mark.parametrize("chunk_bytes", CHUNK_BYTES)
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_no_recording_is_refused_wherever_it_begins_and_however_loud_it_is(path: Path, chunk_bytes: int) -> None:
    pcm = _read(path)
    for start in range(0, len(pcm), 4_800):
        for gain_db in (0, -24, -48, 12, 26):
            data = _scaled(pcm[start : start + 2 * HEARD_ENOUGH_SAMPLES], gain_db)
            assert _verdict(data, chunk_bytes) is None, (start, gain_db)


@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(48_000, "<i2"),
        np.full(48_000, 3, "<i2"),
        np.random.default_rng(1).integers(-1, 2, 48_000).astype("<i2"),
        np.random.default_rng(1).normal(0, 300, 48_000).astype("<i2"),
        Script([[1, 2, 3, 4, 5, 6]]).render(),
        np.where(np.arange(48_000) // 40 % 2, 32767, -32768).astype("<i2"),
    ],
    ids=["silence", "offset", "dither", "hiss", "tones", "square"],
)
def test_what_is_no_speech_but_sound_is_not_refused(pcm: Pcm) -> None:
    for chunk_bytes in CHUNK_BYTES:
        assert _verdict(pcm.tobytes(), chunk_bytes) is None


def _long(path: Path) -> bool:
    return path.stem.startswith("austen")


@pytest.mark.parametrize("chunk_bytes", CHUNK_BYTES)
@pytest.mark.parametrize("path", [path for path in RECORDINGS if _long(path)], ids=lambda path: path.stem)
def test_other_formats_are_told_within_the_first_second_of_sound(path: Path, chunk_bytes: int) -> None:
    pcm = _read(path)[: 3 * HEARD_ENOUGH_SAMPLES]
    rng = np.random.default_rng(2)
    eight_bits = ((pcm.astype(np.int32) >> 8) + 128).astype(np.uint8)
    wrong = {
        "swapped": (pcm.byteswap().tobytes(), {Fault.BYTE_SWAPPED}),
        "shifted": (pcm.tobytes()[1:] + b"\0", {Fault.BYTE_SWAPPED}),
        "stereo, the same twice": (np.repeat(pcm, 2).tobytes(), {Fault.STEREO}),
        "stereo, one silent": (np.stack([pcm, np.zeros_like(pcm)], 1).tobytes(), {Fault.STEREO}),
        "float": ((pcm.astype("<f4") / 32768).tobytes(), {Fault.NOT_PCM16, Fault.STEREO}),
        "compressed": (rng.integers(0, 256, len(pcm) * 2, dtype=np.uint8).tobytes(), {Fault.NOT_PCM16}),
        "eight bits": (np.tile(eight_bits, 2).tobytes(), {Fault.NOT_PCM16}),
    }
    for name, (data, faults) in wrong.items():
        assert _verdict(data, chunk_bytes) in faults, name


@pytest.mark.parametrize(
    "head",
    [b"RIFF\x24\x08\0\0WAVE", b"OggS\0\2", b"fLaC", b"ID3\4", b"\x1aE\xdf\xa3", b"\0\0\0\x20ftypM4A ", b"caff\0\1"],
)
def test_containers_are_refused_by_their_first_bytes(head: bytes) -> None:
    check = FormatCheck()
    assert check.check(head + bytes(3_200 - len(head))) is Fault.CONTAINER
    assert check.check(head + bytes(3_201 - len(head))) is Fault.CONTAINER
    assert check.check(bytes(3_200)) is None
    assert check.check(head + bytes(3_200 - len(head))) is None, "in the middle of sound it is no magic"


def test_length_and_parity_count_for_every_chunk_and_harm_no_other() -> None:
    check = FormatCheck()
    for _ in range(2):
        assert check.check(b"") is Fault.EMPTY
        assert check.check(bytes(3_201)) is Fault.ODD_LENGTH
        assert check.check(bytes(3_200)) is None
        assert check.check(bytes(2)) is None


def test_a_verdict_stays() -> None:
    check = FormatCheck()
    pcm = _read(next(path for path in RECORDINGS if _long(path)))
    stereo = np.repeat(pcm, 2).tobytes()
    faults = [check.check(stereo[n : n + 3_200]) for n in range(0, 64_000, 3_200)]
    assert faults[-1] is Fault.STEREO
    assert check.check(bytes(3_200)) is Fault.STEREO


def test_once_settled_nothing_is_measured() -> None:
    check = FormatCheck()
    pcm = _read(next(path for path in RECORDINGS if _long(path)))
    assert _verdict_of(check, pcm.tobytes()) is None
    assert check.check(pcm.byteswap().tobytes()[:32_000]) is None


def _verdict_of(check: FormatCheck, data: bytes) -> Fault | None:
    for start in range(0, len(data) - 3_200, 3_200):
        if (fault := check.check(data[start : start + 3_200])) is not None:
            return fault
    return None
