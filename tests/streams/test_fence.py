"""A lease is certainly ours for as long as others wait, from the moment at which its renewal was sent.

And with real processes: one that was stopped for longer, and wakes up, does nothing more.
"""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.fence import Fence
from streams.kinesis import OrderedWriter
from streams.records import AudioChunk, decode, encode
from tests.streams.test_kinesis import read_all
from tests.streams.test_program import environment, provide
from tests.support.services import running

PROGRAM = """
import asyncio, sys, os, time
import msgspec
from streams.program import StageDefinition, main
from streams.resources import StageSpec
from tests.support.asking_stage import AskingStage, Patient

class Settings(msgspec.Struct, frozen=True):
    calls_file: str = ""
    herald_worker_id: str = ""

class Oracle(Patient):
    async def perform(self, session_id, request, replies):
        await super().perform(session_id, request, replies)
        await asyncio.sleep(0.05)  # so that something is under way at any moment

async def services(settings, clients, context):
    calls = open(settings.calls_file, "a", buffering=1)
    return [Oracle(lambda: print(settings.herald_worker_id, file=calls))]

def build(settings):
    return lambda session_id, snapshot: AskingStage(settings.herald_worker_id, snapshot)

sys.exit(main(StageDefinition(StageSpec("copy", "audio", "transcripts"), Settings, build, services)))
"""
LEASE_S = 2.0
SESSIONS = 6


def test_it_holds_until_others_may_take_the_lease() -> None:
    fence = Fence(valid_s=10, confirmed_s=100)
    assert fence.holds(109.9)
    assert not fence.holds(110)


def test_a_renewal_counts_from_when_it_was_sent_and_an_older_one_takes_nothing_back() -> None:
    fence = Fence(valid_s=10, confirmed_s=100)
    fence.confirm(105)
    fence.confirm(103)
    assert fence.holds(114.9)
    assert not fence.holds(115)


def test_without_a_lease_it_always_holds() -> None:
    assert Fence().holds(1e9)


class Talk:
    """Chunks of several sessions, until it is told to stop."""

    def __init__(self, kinesis: Any, stream: str) -> None:
        self._writer = OrderedWriter(kinesis, stream)
        self.sent = 0
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while True:
            for session in range(SESSIONS):
                chunk = AudioChunk(
                    session_id=f"s{session}", connection="", admitted_at_ms=0, pcm=b"", sequence=self.sent
                )
                await self._writer.put(chunk.session_id, encode(chunk))
            self.sent += 1
            await asyncio.sleep(0.03)

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._writer.close()


async def emitted(kinesis: Any, stream: str) -> dict[str, list[tuple[int, str]]]:
    """By session: number and author."""
    found = {}
    for key, rows in (await read_all(kinesis, stream)).items():
        chunks = [chunk for row in rows if isinstance(chunk := decode(row), AudioChunk)]
        found[key] = [(chunk.sequence or 0, chunk.connection) for chunk in chunks]
    return found


async def test_a_process_that_was_stopped_for_twice_its_lease_does_nothing_more_when_it_wakes(
    kinesis: Any, dynamo: Any, prefix: str, kinesis_url: str, dynamodb_url: str, tmp_path: Path
) -> None:
    await provide(kinesis, dynamo, prefix)
    script, calls = tmp_path / "asker.py", tmp_path / "calls"
    script.write_text(PROGRAM)
    more = {"CALLS_FILE": str(calls), "LEASE_FAILOVER_S": str(LEASE_S)}
    output = f"{prefix}-transcripts"

    def by(author: str) -> int:
        return calls.read_text().split().count(author)

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.02)

    @contextmanager
    def program(worker_id: str) -> Iterator[subprocess.Popen[str]]:
        environ = environment(prefix, worker_id, kinesis_url, dynamodb_url, **more)
        with (
            (tmp_path / worker_id).open("w") as log,
            running([sys.executable, str(script)], environ, stdout=subprocess.DEVNULL, stderr=log) as process,
        ):
            yield process

    async def emits() -> int:
        return sum(author == "zombie" for rows in (await emitted(kinesis, output)).values() for _, author in rows)

    talk = Talk(kinesis, f"{prefix}-audio")
    with program("zombie") as zombie:
        await until(lambda: calls.exists() and by("zombie") > 20)
        zombie.send_signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        with program("heir"):
            await until(lambda: by("heir") > 20 and time.monotonic() - stopped_at > 2 * LEASE_S)
            calls_before, emits_before = by("zombie"), await emits()
            zombie.send_signal(signal.SIGCONT)
            await until(lambda: '"message":"lost"' in (tmp_path / "zombie").read_text())
            await talk.end()
            async with asyncio.timeout(20):
                while any(rows[-1][0] < talk.sent - 1 for rows in (await emitted(kinesis, output)).values()):
                    await asyncio.sleep(0.2)
            leases = (await dynamo.scan(TableName=f"{prefix}-leases-copy"))["Items"]
    assert by("zombie") == calls_before
    # A request that was on its way when the process was stopped may arrive. It has one record of a session at the most,
    # which the heir has written too: readers know it.
    assert await emits() - emits_before <= SESSIONS
    for rows in (await emitted(kinesis, output)).values():
        numbers = list(dict.fromkeys(number for number, _ in rows))
        assert numbers == list(range(len(numbers)))
        by_heir = [number for number, author in rows if author == "heir"]
        assert len(set(by_heir)) == len(by_heir)
        assert len(rows) - len(numbers) <= 1
    assert [lease["leaseOwner"]["S"] for lease in leases] == ["heir"]
