"""The stage as a program."""

import subprocess
import sys

import pytest

from stages.emotion.definition import DEFINITION
from stages.emotion.logic import Emotion, Off
from stages.emotion.requests import SPEAKER
from stages.emotion.settings import EmotionSettings
from streams.aws import Clients
from streams.program import ProgramContext, main
from streams.telemetry import Log, Metrics


async def test_the_stage_reads_audio_writes_emotions_and_warns_the_speaker() -> None:
    assert (DEFINITION.spec.input, DEFINITION.spec.output) == ("audio", "emotions")
    context = ProgramContext("herald", "worker", Log("test"), Metrics("test"))
    [service] = await DEFINITION.services(EmotionSettings(), Clients(), context)
    assert service.name == SPEAKER
    off = EmotionSettings(enable_emotion_detection="false")
    assert list(await DEFINITION.services(off, Clients(), context)) == []


def test_it_can_be_turned_off() -> None:
    assert isinstance(DEFINITION.build(EmotionSettings())("golden-eagle-427", None), Emotion)
    off = EmotionSettings(enable_emotion_detection="false")
    assert isinstance(DEFINITION.build(off)("golden-eagle-427", None), Off)


def test_a_wrong_setting_ends_the_program_with_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIO_MIN_SNR_DB", "loud")
    assert main(DEFINITION, []) == 2
    assert "AUDIO_MIN_SNR_DB" in capsys.readouterr().err


def test_the_program_keeps_numpy_to_one_thread() -> None:
    """Before NumPy is imported: afterwards it is too late."""
    script = (
        "import os, sys, runpy; os.environ.pop('OPENBLAS_NUM_THREADS', None); os.environ['EMOTION_ENGINE'] = 'none'\n"
        "class Spy:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'numpy': print(os.environ.get('OPENBLAS_NUM_THREADS'))\n"
        "sys.meta_path.insert(0, Spy())\n"
        "runpy.run_module('stages.emotion', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.split()) == (2, ["1"])
