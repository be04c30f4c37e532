from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import psutil
import pytest

from local.polly.score import Job, Utter
from local.polly.synthesizer import Synthesizer, WorkerError


def job(text: str, voice: str = "en-us") -> Job:
    return Job([Utter(text, voice, 1.0, 0.0, 0.0)], 16_000)


@pytest.fixture
async def synthesizer() -> AsyncIterator[Synthesizer]:
    synthesizer = await Synthesizer.start()
    yield synthesizer
    await synthesizer.close()
    assert not psutil.pid_exists(synthesizer.pid)


async def test_speaks_and_repeats_itself_exactly(synthesizer: Synthesizer) -> None:
    first = await synthesizer.speak(job("hello"))
    assert len(first.pcm) > 8_000
    await synthesizer.speak(job("something else", "es"))
    assert await synthesizer.speak(job("hello")) == first


async def test_two_workers_agree(synthesizer: Synthesizer) -> None:
    """Left alone, eSpeak seeds its noise by the second at which it starts: so the second worker starts in another."""
    text = job("hello there, how are you today?")
    first = await synthesizer.speak(text)
    second = int(time.time())
    while int(time.time()) == second:
        await asyncio.sleep(0.05)
    other = await Synthesizer.start()
    try:
        assert await other.speak(text) == first
    finally:
        await other.close()


async def test_a_job_that_fails_does_not_end_it(synthesizer: Synthesizer) -> None:
    with pytest.raises(WorkerError, match="no voice tlh"):
        await synthesizer.speak(job("hello", "tlh"))
    assert synthesizer.alive
    assert (await synthesizer.speak(job("hello"))).pcm


async def test_a_killed_worker(synthesizer: Synthesizer) -> None:
    os.kill(synthesizer.pid, signal.SIGKILL)
    with pytest.raises(WorkerError):
        await synthesizer.speak(job("hello"))
    assert not synthesizer.alive


async def test_a_hung_worker(synthesizer: Synthesizer) -> None:
    os.kill(synthesizer.pid, signal.SIGSTOP)
    with pytest.raises(WorkerError, match="no answer within"):
        await synthesizer.speak(job("hello"), time_limit_s=0.1)
    assert not psutil.pid_exists(synthesizer.pid)


async def test_a_caller_that_goes_away(synthesizer: Synthesizer) -> None:
    task = asyncio.create_task(synthesizer.speak(job("hello " * 500)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not synthesizer.alive
    with pytest.raises(WorkerError, match="dead"):
        await synthesizer.speak(job("hello"))
