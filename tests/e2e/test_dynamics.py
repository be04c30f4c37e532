"""Softer where the speaker was softer, slower where slower: measured on the sound that listeners get."""

import wave
from pathlib import Path

import numpy as np

from ops.audio_files import read, wav
from ops.paths import PROJECT
from tests.e2e.whole_stack import WholeStack, tone_talk
from tests.support.stretch import stretch

RECORDING = PROJECT / "tests" / "recordings" / "sentence-1.wav"


def level_db(path: str) -> float:
    with wave.open(path) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    loud = sound[np.abs(sound) > 50]
    return 20 * float(np.log10(np.sqrt(np.mean(loud**2))))


def test_a_recording_12_db_quieter_is_spoken_softer(tone_stack: WholeStack, tmp_path: Path) -> None:
    tone_talk(tmp_path / "loud.wav", 7000, 2)
    tone_talk(tmp_path / "soft.wav", 7000, 2, level_db=-12)

    loud = tone_stack.demo("--audio", str(tmp_path / "loud.wav"), "--to", "es")
    soft = tone_stack.demo("--audio", str(tmp_path / "soft.wav"), "--to", "es")

    assert level_db(soft["languages"]["es"]["wav"]) < level_db(loud["languages"]["es"]["wav"]) - 2


def test_speech_12_db_quieter_is_spoken_softer(speech_stack: WholeStack, tmp_path: Path) -> None:
    soft = read(RECORDING).pcm * 10 ** (-12 / 20)
    (tmp_path / "soft.wav").write_bytes(wav(np.rint(soft).astype(np.int16)))

    def heard_db(path: Path) -> float:
        return level_db(speech_stack.demo("--audio", str(path), "--to", "es")["languages"]["es"]["wav"])

    assert heard_db(tmp_path / "soft.wav") <= heard_db(RECORDING) - 3


def test_speech_stretched_by_1_3_is_spoken_slower(speech_stack: WholeStack, tmp_path: Path) -> None:
    (tmp_path / "slow.wav").write_bytes(wav(stretch(read(RECORDING).pcm, 1.3)))

    def ms_per_letter(path: Path) -> float:
        heard = speech_stack.demo("--audio", str(path), "--to", "en")["languages"]["en"]["heard"]
        return float(sum(h["audio_ms"] for h in heard) / sum(len(h["text"]) for h in heard))

    assert ms_per_letter(tmp_path / "slow.wav") > 1.08 * ms_per_letter(RECORDING)
