import struct
from pathlib import Path

import numpy as np
import pytest

from ops.audio_files import Pcm, Recording, join, read, resample, wav
from ops.errors import CommandError
from ops.paths import PROJECT

RECORDINGS = PROJECT / "tests" / "recordings"


def tone(rate_hz: int, seconds: float = 0.5, hz: float = 440) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)


def write(path: Path, tag: int, channels: int, rate_hz: int, bits: int, data: bytes) -> Path:
    form = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + form + b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return path


def likeness(one: Pcm, other: Pcm) -> float:
    length = min(len(one), len(other))
    return float(np.corrcoef(one[:length], other[:length])[0, 1])


def test_what_the_protocol_takes_is_left_as_it_is() -> None:
    recording = read(RECORDINGS / "sentence-1.wav")
    assert recording.converted == []
    assert recording.duration_ms == 2870


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_other_rates(tmp_path: Path, rate_hz: int) -> None:
    data = (tone(rate_hz) * 32767).astype("<i2").tobytes()
    recording = read(write(tmp_path / "a.wav", 1, 1, rate_hz, 16, data))
    assert recording.converted == [f"{rate_hz} Hz to 16000 Hz"]
    assert recording.duration_ms == pytest.approx(500, abs=1)
    assert likeness(recording.pcm, (tone(16_000) * 32767).astype(np.int16)) > 0.999


@pytest.mark.parametrize(("tag", "bits"), [(1, 8), (1, 24), (1, 32), (3, 32), (3, 64)])
def test_other_widths(tmp_path: Path, tag: int, bits: int) -> None:
    sound = tone(16_000)
    if tag == 3:
        data = sound.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        data = np.rint(sound * 127 + 128).astype(np.uint8).tobytes()
    else:
        whole = np.rint(sound * (2 ** (bits - 1) - 1)).astype("<i4")
        data = whole.tobytes() if bits == 32 else whole.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    recording = read(write(tmp_path / "a.wav", tag, 1, 16_000, bits, data))
    assert len(recording.converted) == 1
    assert likeness(recording.pcm, (sound * 32767).astype(np.int16)) > 0.999


def test_stereo_is_mixed(tmp_path: Path) -> None:
    left = (tone(16_000) * 32767).astype("<i2")
    data = np.stack([left, np.zeros_like(left)], axis=1).tobytes()
    recording = read(write(tmp_path / "a.wav", 1, 2, 16_000, 16, data))
    assert recording.converted == ["2 channels to one"]
    assert int(np.abs(recording.pcm).max()) == pytest.approx(32767 / 4, rel=0.01)


def test_a_recording_cut_off_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.wav", 1, 1, 16_000, 16, bytes(32_000))
    whole.write_bytes(whole.read_bytes()[:-16_000])
    recording = read(whole)
    assert recording.duration_ms == 500
    assert "cut off" in recording.converted[0]


@pytest.mark.parametrize("name", ["awful.wav", "bad.wav", "evil.wav", "null.wav"])
def test_a_broken_file_is_named_with_a_remedy(name: str) -> None:
    with pytest.raises(CommandError, match=rf"{name}: .*make a new WAV"):
        read(RECORDINGS / "malformed" / name)


def test_no_wav_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("hello")
    with pytest.raises(CommandError, match="is no WAV file"):
        read(tmp_path / "a.wav")
    with pytest.raises(CommandError, match="No such file"):
        read(tmp_path / "none.wav")


def test_resampling_removes_what_the_lower_rate_cannot_hold() -> None:
    assert np.abs(resample(tone(48_000, hz=12_000), 48_000, 16_000)[500:-500]).max() < 0.001


def test_a_talk_is_the_same_each_time_with_pauses_between() -> None:
    recordings = [Recording("a", np.ones(1600, np.int16), []), Recording("b", np.ones(1600, np.int16), [])]
    talk = join(recordings)
    assert np.array_equal(talk.pcm, join(recordings).pcm)
    assert 100 + 300 <= talk.starts_ms[1] <= 100 + 3000
    assert join(recordings, gap_s=1).starts_ms == [0, 1100]


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    pcm = np.arange(-100, 100, dtype=np.int16)
    (tmp_path / "a.wav").write_bytes(wav(pcm))
    assert np.array_equal(read(tmp_path / "a.wav").pcm, pcm)
