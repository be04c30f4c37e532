import asyncio
import json

import pytest

from ops.commands import run
from ops.environment import Environment
from tests.ops.audit import talk
from tests.ops.audit.test_reader import put


async def fill(herald: Environment, *, lost: bool) -> None:
    streams = talk.records()
    if lost:
        streams["speech"] = [r for r in streams["speech"] if r != talk.speech(talk.clause(1), "es", 1)]
    async with herald.client("kinesis") as kinesis:
        for name, rows in streams.items():
            await put(kinesis, herald, name, rows)


async def test_nothing_is_off(herald: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(herald, lost=False)
    assert await in_a_thread("audit", talk.SESSION, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert found["languages"]["es"]["spoken"] == 4
    assert found["state"] == "over"


async def test_a_loss_is_a_sentence_and_an_exit_code(herald: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    await fill(herald, lost=True)
    assert await in_a_thread("audit", talk.SESSION) == 1
    out = capsys.readouterr().out
    assert "was not spoken in es\n      at transcripts / shardId-" in out
    assert "w0010" not in out


async def test_a_session_that_is_nowhere(herald: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    assert await in_a_thread("audit", "nobody-here-100") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("herald: session nobody-here-100 is nowhere in AWS us-east-1, prefix ")


async def in_a_thread(*argv: str) -> int:
    """A command has an event loop of its own."""
    return await asyncio.to_thread(run, argv)
