"""The embedded runner on the real twin: crashes, splits and merges lose, repeat and reorder nothing (S3, S7)."""

import asyncio
from collections import defaultdict
from typing import Any

import pytest

from streams.dead_letters import DeadLetters
from streams.embedded import Options, Worker, poll_interval_s
from streams.errors import DuplicateWorker
from streams.journal import Journal
from streams.kinesis import OrderedWriter, list_shards
from streams.leases import Lease, Leases
from streams.records import AudioChunk, decode, encode
from streams.runtime import Equipment
from streams.snapshots import Snapshots
from streams.telemetry import Log, Metrics
from tests.streams.conftest import make_stream
from tests.streams.test_kinesis import read_all
from tests.support.copy_stage import CopyStage

SESSIONS = 8


class Rig:
    """A stage's surroundings, and as many lives of its worker as a test wants."""

    def __init__(self, kinesis: Any, dynamo: Any, prefix: str) -> None:
        self.kinesis = kinesis
        self.dynamo = dynamo
        self.prefix = prefix
        self.input = f"{prefix}-in"
        self.output = f"{prefix}-out"
        self.writer = OrderedWriter(kinesis, self.input)
        self.sent = 0

    def start(self, worker_id: str = "w", failover_s: float = 10.0) -> "Life":
        log = Log("copy")
        equipment = Equipment(
            stage="copy",
            build=CopyStage,
            services=[],
            breakers={},
            writer=OrderedWriter(self.kinesis, self.output),
            snapshots=Snapshots(self.dynamo, f"{self.prefix}-Snapshots", "copy"),
            dead_letters=DeadLetters(self.dynamo, f"{self.prefix}-DeadLetters", "copy", "in"),
            journal=Journal(None, "copy", worker_id, "0", log),
            log=log,
            metrics=Metrics("copy"),
        )
        leases = Leases(self.dynamo, f"{self.prefix}-leases-copy", worker_id)
        options = Options(self.input, self.output, poll_interval_s(1), failover_s=failover_s)
        return Life(Worker(self.kinesis, leases, equipment, worker_id, options), equipment.writer)

    async def send(self, rounds: int) -> None:
        puts = []
        for number in range(self.sent, self.sent + rounds):
            for session in range(SESSIONS):
                chunk = AudioChunk(session_id=f"s{session}", connection="c", admitted_at_ms=0, pcm=b"", sequence=number)
                puts.append(self.writer.put(chunk.session_id, encode(chunk)))
        self.sent += rounds
        await asyncio.gather(*puts)

    async def copied(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(list)
        for key, rows in (await read_all(self.kinesis, self.output)).items():
            for row in rows:
                record = decode(row)
                assert isinstance(record, AudioChunk)
                assert record.sequence is not None
                found[key].append(record.sequence)
        return found

    async def until_all_copied(self) -> dict[str, list[int]]:
        async with asyncio.timeout(40):
            while True:
                found = await self.copied()
                if len(found) == SESSIONS and all(rows and rows[-1] == self.sent - 1 for rows in found.values()):
                    return found
                await asyncio.sleep(0.2)

    async def reshard(self, **call: Any) -> None:
        name = call.pop("do")
        await getattr(self.kinesis, name)(StreamName=self.input, **call)
        waiter = self.kinesis.get_waiter("stream_exists")
        await waiter.wait(StreamName=self.input, WaiterConfig={"Delay": 0.05})


class Life:
    """One life of a worker."""

    def __init__(self, worker: Worker, writer: OrderedWriter) -> None:
        self.ready = asyncio.Event()
        self._worker = worker
        self._writer = writer
        self._task = asyncio.get_running_loop().create_task(worker.run(self.ready.set))

    async def crash(self) -> None:
        """Everything stops where it is: no drain, no checkpoint, no release."""
        for task in [self._task, *self._worker._tasks.values()]:
            task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._writer.close()

    async def end(self) -> None:
        self._worker.stop()
        await self.ended()

    async def ended(self) -> None:
        """Raises what ended it."""
        try:
            await self._task
        finally:
            await self._writer.close()


@pytest.fixture
async def rig(
    kinesis: Any, dynamo: Any, prefix: str, snapshots_table: str, dead_letters_table: str, leases_table: str
) -> Rig:
    await make_stream(kinesis, f"{prefix}-in", 2)
    await make_stream(kinesis, f"{prefix}-out", 2)
    return Rig(kinesis, dynamo, prefix)


def everything(rig: Rig) -> dict[str, list[int]]:
    return {f"s{session}": list(range(rig.sent)) for session in range(SESSIONS)}


async def test_a_clean_stop_hands_over_at_once(rig: Rig) -> None:
    life = rig.start("a")
    await rig.send(30)
    await rig.until_all_copied()
    await life.end()
    await rig.send(30)
    other = rig.start("b")
    assert await rig.until_all_copied() == everything(rig)
    await other.end()


async def test_crash_after_crash_every_record_is_copied_once_and_in_order(rig: Rig) -> None:
    for _ in range(4):
        life = rig.start()
        await life.ready.wait()
        await rig.send(25)
        await rig.send(5)
        await life.crash()
    last = rig.start()
    assert await rig.until_all_copied() == everything(rig)
    await last.end()


async def test_a_dead_worker_s_leases_are_taken_over_when_they_expire(rig: Rig) -> None:
    life = rig.start("a", failover_s=1.5)
    await life.ready.wait()
    await rig.send(20)
    await life.crash()
    other = rig.start("b", failover_s=1.5)
    await rig.send(20)
    assert await rig.until_all_copied() == everything(rig)
    await other.end()


async def test_of_two_workers_with_one_id_the_older_ends_and_says_why(rig: Rig) -> None:
    older = rig.start("w")
    await older.ready.wait()
    newer = rig.start("w")
    with pytest.raises(DuplicateWorker, match=r"another process runs under the worker id w .* the older, ends"):
        await older.ended()
    await rig.send(10)
    assert await rig.until_all_copied() == everything(rig)
    await newer.end()


async def test_a_worker_that_comes_back_under_its_id_takes_its_leases_at_once(rig: Rig) -> None:
    life = rig.start("w", failover_s=60)
    await life.ready.wait()
    await life.crash()
    other = rig.start("w", failover_s=60)
    await rig.send(5)
    assert await rig.until_all_copied() == everything(rig)
    await other.end()


async def test_split_and_merge_under_traffic_with_crashes(rig: Rig) -> None:
    life = rig.start()
    await life.ready.wait()
    await rig.send(20)
    await rig.reshard(do="split_shard", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**126))
    await rig.send(20)
    await life.crash()
    life = rig.start()
    await rig.send(20)
    await rig.reshard(
        do="merge_shards", ShardToMerge="shardId-000000000003", AdjacentShardToMerge="shardId-000000000001"
    )
    await rig.send(20)
    await life.crash()
    life = rig.start()
    assert await rig.until_all_copied() == everything(rig)
    await life.end()
    assert len(await list_shards(rig.kinesis, rig.input)) == 5


def test_the_older_of_two_ends_even_if_the_newer_had_a_lease_before_its_first_look() -> None:
    """Of two that a supervisor started one after the other, the first may look last."""
    nothing: Any = None
    older = Worker(nothing, Leases(nothing, "leases", "w", run="1"), nothing, "w", Options("in", "out", 1.0))
    newer = Lease("shardId-000000000000", "w", 5, "TRIM_HORIZON", (), 0, 1, run="2")
    dead = newer._replace(shard_id="shardId-000000000001", run="9")  # of a life that has ended, whose clock was ahead
    older._look_for_namesakes({lease.shard_id: lease for lease in (newer, dead)})
    older._look_for_namesakes({lease.shard_id: lease for lease in (newer, dead)})
    renewed = newer._replace(counter=6)
    with pytest.raises(DuplicateWorker, match="shardId-000000000000"):
        older._look_for_namesakes({lease.shard_id: lease for lease in (renewed, dead)})
