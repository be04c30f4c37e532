from pathlib import Path

import pytest

from ops.main import main


@pytest.fixture(autouse=True)
def no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_DIR", str(tmp_path))


@pytest.mark.parametrize("argv", [["env"], ["token"], ["restart", "kinesis"]])
def test_without_a_stack_the_remedy_is_named(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "herald up" in err


def test_an_unknown_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restart", "none"]) == 1
    assert "there are: dynamodb" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["up", "--port", "70000"], ["up", "--shards", "0"], ["demo", "--gap", "-1"]])
def test_a_wrong_command_line(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2


def test_a_missing_recording_is_named_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--audio", "none.wav"]) == 1
    assert "none.wav: No such file" in capsys.readouterr().err


def test_no_languages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--to", ","]) == 1
    assert "--to" in capsys.readouterr().err
