from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import psutil
import pytest

from local.translate.pipeline import Pipeline, PipelineError
from local.translate.routes import Leg, read_modes
from local.translate.text import from_engine, to_engine

(ENGLISH_SPANISH,) = (leg for leg in read_modes() if leg.mode == "eng-spa")
ECHO = Leg("echo", "en", "es", (("cat", "-u"), ("cat", "-u")))
SILENT = Leg("silent", "en", "es", (("sleep", "60"),))


@pytest.fixture
async def pipeline() -> AsyncIterator[Pipeline]:
    pipeline = await Pipeline.start(ENGLISH_SPANISH)
    yield pipeline
    await pipeline.close()


async def translate(pipeline: Pipeline, text: str) -> str:
    prepared, open_end = to_engine(text, "en")
    return from_engine(await pipeline.translate(prepared), open_end).lower()


def gone(pids: tuple[int, ...]) -> bool:
    return not any(psutil.pid_exists(pid) for pid in pids)


async def test_translates_many_texts(pipeline: Pipeline) -> None:
    for _ in range(5):
        assert await translate(pipeline, "the red house") == "la casa roja"
        assert await translate(pipeline, "two cats") == "dos gatos"
    assert len(pipeline.pids) == len(ENGLISH_SPANISH.commands)


@pytest.mark.parametrize(
    "text",
    [
        "I paid $5 ^or^ [some] {money} / <b>bold</b> @home #tag \\ *star* ~tilde + plus",
        "hello\0world",
        "hello 你好 مرحبا 😀 a\u202eb\ufeffc",
        "see [[t:b:abc]]word[[/]] now",
        "hello $ world ^unk$",
        "a\ud83d b",
        "word" * 120,
        "a.",
        "http://example.com/a?b=c&d",
    ],
)
async def test_odd_texts_leave_it_in_step(pipeline: Pipeline, text: str) -> None:
    assert await translate(pipeline, text)
    assert await translate(pipeline, "the red house") == "la casa roja"


async def test_close_leaves_no_process(pipeline: Pipeline) -> None:
    await translate(pipeline, "a house")
    pids = pipeline.pids
    await pipeline.close()
    assert gone(pids)
    assert not pipeline.alive
    await pipeline.close()


@pytest.mark.parametrize("program", range(len(ENGLISH_SPANISH.commands)))
async def test_any_killed_program_is_noticed(pipeline: Pipeline, program: int) -> None:
    """The programs after it see the end of their input, and some then answer an empty text."""
    await translate(pipeline, "a house")
    os.kill(pipeline.pids[program], signal.SIGKILL)
    with pytest.raises(PipelineError):
        await translate(pipeline, "a house")
    assert not pipeline.alive
    assert gone(pipeline.pids)
    with pytest.raises(PipelineError):
        await translate(pipeline, "a house")


async def test_a_hung_program_is_killed(pipeline: Pipeline) -> None:
    await translate(pipeline, "a house")
    os.kill(pipeline.pids[2], signal.SIGSTOP)
    with pytest.raises(PipelineError, match="no answer within"):
        await pipeline.translate(b"a house.[]\n", time_limit_s=0.1)
    assert gone(pipeline.pids)


async def test_a_caller_that_goes_away_takes_it_along() -> None:
    pipeline = await Pipeline.start(SILENT)
    task = asyncio.create_task(pipeline.translate(b"a"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not pipeline.alive
    assert gone(pipeline.pids)
    await pipeline.close()


async def test_frames_end_with_nul() -> None:
    pipeline = await Pipeline.start(ECHO)
    assert await pipeline.translate(b"one[]\n") == b"one[]\n"
    assert await pipeline.translate("zwölf[]\n".encode()) == "zwölf[]\n".encode()
    await pipeline.close()


async def test_a_program_that_is_not_there() -> None:
    pipeline = await Pipeline.start(Leg("none", "en", "es", (("no-such-program-anywhere",),)))
    with pytest.raises(PipelineError):
        await pipeline.translate(b"a")
    await pipeline.close()
