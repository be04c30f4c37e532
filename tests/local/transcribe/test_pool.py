"""What the pool adds to the contract of an engine: processes that die, and take turns."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import psutil  # type: ignore[import-untyped]  # it has no stubs here
import pytest
from amazon_transcribe import exceptions

from local.transcribe.engine import EngineFailed
from local.transcribe.pool import PoolOptions, SphinxEngine
from local.transcribe.recognise import read_wav
from local.transcribe.request import StreamRequest
from tests.local.transcribe.client import Heard, read, send, start, transcribe
from tests.local.transcribe.conftest import Start
from tests.support.wer import RECORDINGS

REQUEST = StreamRequest("0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0", "en-US", "high")
SPEECH = read_wav(RECORDINGS / "go-somewhere.wav") + bytes(32_000)
SPOKEN = ["go", "somewhere", "and", "do", "something"]


@pytest.fixture
async def engine() -> AsyncIterator[SphinxEngine]:
    made = await SphinxEngine.start(PoolOptions(workers=2, streams_per_worker=2))
    yield made
    pids = made.process_ids()
    await made.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def replaced(engine: SphinxEngine, killed: int) -> None:
    async with asyncio.timeout(20):
        while len(engine.process_ids()) < 2 or killed in engine.process_ids():
            await asyncio.sleep(0.05)


async def test_streams_are_spread_over_the_processes(engine: SphinxEngine) -> None:
    streams = [await engine.open(REQUEST) for _ in range(2)]
    assert streams[0].process_id != streams[1].process_id
    for stream in streams:
        stream.close()


async def test_a_killed_process_fails_its_streams_and_is_replaced(engine: SphinxEngine) -> None:
    doomed, other = [await engine.open(REQUEST) for _ in range(2)]
    killed = doomed.process_id
    waiting = asyncio.create_task(doomed.feed(SPEECH * 3))
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(EngineFailed):
        await waiting
    with pytest.raises(EngineFailed):
        await doomed.finish()
    doomed.close()
    results = await other.feed(SPEECH)
    assert [word.text for word in results[-1].words] == SPOKEN
    other.close()
    await replaced(engine, killed)
    assert len(set(engine.process_ids())) == 2


async def test_a_client_of_a_killed_process_gets_an_internal_failure(engine: SphinxEngine, start_twin: Start) -> None:
    twin = await start_twin(engine)
    client = twin.client()
    stream, heard = await start(client), Heard()
    reading = asyncio.create_task(read(stream, heard))
    await send(stream, SPEECH[: 32 * 1500])
    await twin.until(lambda counts: counts.get("partial_results", 0) > 0)
    before = engine.process_ids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    await send(stream, SPEECH[32 * 1500 : 32 * 2000])
    await asyncio.wait_for(reading, 10)
    assert isinstance(heard.error, exceptions.InternalFailureException)
    async with asyncio.timeout(20):
        while len(engine.process_ids()) < 2 or set(before) & set(engine.process_ids()):
            await asyncio.sleep(0.05)
    assert (await transcribe(client, SPEECH)).words == SPOKEN


async def test_streams_of_one_process_take_turns(engine: SphinxEngine) -> None:
    streams = [await engine.open(REQUEST) for _ in range(4)]
    answers = await asyncio.gather(*(stream.feed(SPEECH) for stream in streams))
    for results in answers:
        assert [word.text for word in results[-1].words] == SPOKEN
    for stream in streams:
        stream.close()


PROGRAM = """
import asyncio
from local.transcribe.pool import PoolOptions, SphinxEngine

async def main():
    engine = await SphinxEngine.start(PoolOptions(workers=1, streams_per_worker=1))
    print(*engine.process_ids(), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_processes_end_with_the_pool_s_process_however_it_dies() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            ended = os.pidfd_open(int(program.stdout.readline()))
        finally:
            program.kill()
    try:
        assert select.select([ended], [], [], 10)[0], "a recogniser process outlived its pool"
    finally:
        os.close(ended)
