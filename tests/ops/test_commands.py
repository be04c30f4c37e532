import asyncio
import os
import signal
from pathlib import Path

import pytest

from ops.commands import run, until_told


@pytest.fixture(autouse=True)
def no_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_DIR", str(tmp_path))


@pytest.mark.parametrize("argv", [["env"], ["token"], ["restart", "kinesis"]])
def test_without_a_stack_the_remedy_is_named(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "herald up" in err


def test_an_unknown_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["restart", "none"]) == 1
    assert "there are: dynamodb" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["up", "--port", "70000"], ["up", "--shards", "0"], ["demo", "--gap", "-1"]])
def test_a_wrong_command_line(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(argv)
    assert ended.value.code == 2


def test_a_missing_recording_is_named_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--audio", "none.wav"]) == 1
    assert "none.wav: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["up", "demo"])
def test_without_java_it_says_what_to_run_before_anything_starts(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert run([command, "--runner", "kcl"]) == 1
    assert "make kcl" in capsys.readouterr().err


def test_no_languages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--to", ","]) == 1
    assert "--to" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_work_after_it_has_cleaned_up(number: signal.Signals) -> None:
    done: list[str] = []

    async def work() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("cleaned up")
        return 0

    assert await until_told(work()) == 128 + number
    assert done == ["cleaned up"]


async def test_work_that_is_not_disturbed_keeps_its_exit_code() -> None:
    async def work() -> int:
        return 3

    assert await until_told(work()) == 3
