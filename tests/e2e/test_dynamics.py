"""Softer where the speaker was softer, slower where slower: measured on the sound that listeners get."""

import wave
from pathlib import Path
from typing import Any

import numpy as np

from ops.audio_files import read, wav
from ops.paths import PROJECT
from tests.e2e.whole_stack import WholeStack, finished, tone_talk
from tests.support.stretch import stretch

RECORDING = PROJECT / "tests" / "recordings" / "sentence-1.wav"


def level_db(path: str) -> float:
    with wave.open(path) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
    loud = sound[np.abs(sound) > 50]
    return 20 * float(np.log10(np.sqrt(np.mean(loud**2))))


def ms_per_letter(heard: dict[str, Any]) -> float:
    clauses = heard["heard"]
    return float(sum(one["audio_ms"] for one in clauses) / sum(len(one["text"]) for one in clauses))


def both(stack: WholeStack, one: Path, other: Path, language: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is heard in this language of two talks, spoken at the same time."""
    talks = [stack.start_demo("--audio", str(path), "--to", language) for path in (one, other)]
    first, second = (finished(talk)["languages"][language] for talk in talks)
    return first, second


def test_a_recording_12_db_quieter_is_spoken_softer(tone_stack: WholeStack, tmp_path: Path) -> None:
    tone_talk(tmp_path / "loud.wav", 7000, 2)
    tone_talk(tmp_path / "soft.wav", 7000, 2, level_db=-12)

    loud, soft = both(tone_stack, tmp_path / "loud.wav", tmp_path / "soft.wav", "es")

    assert level_db(soft["wav"]) < level_db(loud["wav"]) - 2


def test_speech_12_db_quieter_is_spoken_softer(speech_stack: WholeStack, tmp_path: Path) -> None:
    soft = read(RECORDING).pcm * 10 ** (-12 / 20)
    (tmp_path / "soft.wav").write_bytes(wav(np.rint(soft).astype(np.int16)))

    loud, soft = both(speech_stack, RECORDING, tmp_path / "soft.wav", "es")

    assert level_db(soft["wav"]) <= level_db(loud["wav"]) - 3


def test_speech_stretched_by_1_3_is_spoken_slower(speech_stack: WholeStack, tmp_path: Path) -> None:
    (tmp_path / "slow.wav").write_bytes(wav(stretch(read(RECORDING).pcm, 1.3)))

    quick, slow = both(speech_stack, RECORDING, tmp_path / "slow.wav", "en")

    assert ms_per_letter(slow) > 1.08 * ms_per_letter(quick)
