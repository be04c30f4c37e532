from __future__ import annotations

import sys
from pathlib import Path

import pytest

from local.transcribe import recognise
from tests.support.wer import RECORDINGS, word_error_rate, word_errors

SPOKEN = ["go", "somewhere", "and", "do", "something"]
FILE = RECORDINGS / "go-somewhere.wav"


def test_words_of_a_file_in_order() -> None:
    words = recognise.recognise_file(recognise.read_wav(FILE))
    assert [word.text for word in words] == SPOKEN
    assert all(word.start_ms < word.end_ms for word in words)


def test_the_command_prints_words_with_their_times(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["recognise", str(FILE)])
    recognise.main()
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[3] for line in lines] == SPOKEN
    assert {line[0] for line in lines} == {FILE.name}
    assert all(int(line[1]) < int(line[2]) for line in lines)


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="16 kHz"):
        recognise.read_wav(Path(RECORDINGS / "malformed" / "11025-hz.wav"))


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("a b c", "a b c", 0),
        ("a b c", "a c", 1),
        ("a c", "a b c", 1),
        ("a b c", "a x c", 1),
        ("a b", "", 2),
        ("", "a", 1),
    ],
)
def test_word_errors(said: str, heard: str, errors: int) -> None:
    assert word_errors(said.split(), heard.split()) == errors


def test_word_error_rate() -> None:
    assert word_error_rate(["a", "b", "c", "d"], ["a", "c", "d"]) == 0.25
    with pytest.raises(ValueError, match="nothing was said"):
        word_error_rate([], ["a"])
