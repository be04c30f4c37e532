import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ops.commands import run
from ops.environment import Environment
from streams.records import encode
from tests.ops.audit import talk
from tests.ops.dlq.test_redrive import bury, records

LETTER = encode(talk.clause(0))


async def herald_dlq(*argv: str) -> int:
    """A command has an event loop of its own."""
    return await asyncio.to_thread(run, ["dlq", *argv])


async def fill(herald: Environment) -> list[str]:
    async with herald.client("dynamodb") as dynamo:
        first = await bury(dynamo, herald, 1, talk.SESSION, LETTER, "translate")
        second = await bury(dynamo, herald, 2, "other", b"rubbish", "transcribe")
    return [first.id, second.id]


async def test_they_are_listed(herald: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    ids = await fill(herald)
    assert await herald_dlq("ls") == 0
    out = capsys.readouterr().out
    assert all(its_id in out for its_id in ids)
    assert "2 dead letters in AWS us-east-1" in out
    assert await herald_dlq("ls", "--json", "--stage", "translate", "--since", "1h") == 0
    (letter,) = json.loads(capsys.readouterr().out)["letters"]
    assert (letter["session"], letter["state"], letter["attempts"]) == (talk.SESSION, "kept", 1)
    assert await herald_dlq("ls", "--json", "--session", "nobody") == 0
    assert json.loads(capsys.readouterr().out)["letters"] == []


async def test_one_is_shown_without_what_was_said(
    herald: Environment, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, _ = await fill(herald)
    file = tmp_path / "letter"
    assert await herald_dlq("show", first, "--bytes", str(file)) == 0
    out = capsys.readouterr().out
    assert "record transcript has version 2" in out
    assert talk.clause(0).transcript_text not in out
    assert file.read_bytes() == LETTER
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await herald_dlq("show", first, "--json") == 0
    assert json.loads(capsys.readouterr().out)["record"]["kind"] == "transcript"
    assert await herald_dlq("show", first, "--bytes", str(file)) == 1
    assert "is there already" in capsys.readouterr().err


async def test_one_that_is_not_there(herald: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    assert await herald_dlq("show", "nothing") == 1
    assert "there is no dead letter nothing" in capsys.readouterr().err
    assert await herald_dlq("redrive", "nothing") == 1
    assert "nothing was sent" in capsys.readouterr().err


async def test_all_are_sent_back_once(herald: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = await fill(herald)
    assert await herald_dlq("redrive", "--all") == 0
    out = capsys.readouterr().out
    assert "2 records sent back, 0 not" in out
    assert "1 of them: no record that this release can read" in out
    assert await herald_dlq("redrive", "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out)["sent"] == []
    assert await herald_dlq("redrive", first, "--json") == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["not_sent"] == [{"ids": [first], "why": "it was sent back before; ask for it with --again"}]
    assert await herald_dlq("redrive", second, "--again") == 0
    async with herald.client("kinesis") as kinesis:
        assert [one.data for one in await records(kinesis, herald.physical("transcripts"))] == [LETTER]
        assert [one.data for one in await records(kinesis, herald.physical("audio"))] == [b"rubbish"] * 2


@pytest.mark.parametrize("argv", [["redrive"], ["redrive", "--all", "some-id"]])
async def test_which_ones_must_be_said(
    herald: Environment, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    assert await herald_dlq(*argv) == 1
    assert "name the letters to send back, or say --all" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["dlq"], ["dlq", "ls", "--stage", "nobody"], ["dlq", "ls", "--since", "soon"]])
def test_a_wrong_command_line(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(argv)
    assert ended.value.code == 2


async def test_an_environment_without_herald(
    herald: Environment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HERALD_PREFIX", "nobody")
    assert await herald_dlq("ls") == 1
    assert "has no Herald, or not under this prefix" in capsys.readouterr().err
