from __future__ import annotations

import json
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from local.tones import DecodedWord, Decoder


def said(script: object, path: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "local.say", str(path)]
    return subprocess.run(argv, input=json.dumps(script), capture_output=True, text=True, check=False)


def test_the_file_has_the_words_at_the_times_that_are_answered(tmp_path: Path) -> None:
    script = {"utterances": [[1, 2], [999_999]], "gap_ms": 250, "pauses_ms": [700]}
    done = said(script, tmp_path / "talk.wav")

    with wave.open(str(tmp_path / "talk.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        heard = Decoder().feed(file.readframes(file.getnframes()))
    assert heard == [DecodedWord(**word) for word in json.loads(done.stdout)]
    assert [word.number for word in heard] == [1, 2, 999_999]
    assert heard[2].start_ms - heard[1].end_ms == 700


@pytest.mark.parametrize("script", [{"utterances": [[-1]]}, {"utterances": [[1]], "gap_ms": 1}, {"words": []}, []])
def test_what_cannot_be_said_is_refused_in_a_sentence(tmp_path: Path, script: object) -> None:
    done = said(script, tmp_path / "talk.wav")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
