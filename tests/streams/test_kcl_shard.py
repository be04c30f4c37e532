"""A shard's process under the KCL knows by itself when it must be quiet."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from streams.claims import Claims
from streams.dead_letters import DeadLetters
from streams.embedded import Options
from streams.errors import LeaseLost
from streams.journal import Journal
from streams.kcl_shard import KclShard
from streams.kinesis import OrderedWriter, Shard, StoredRecord, list_shards
from streams.records import AudioChunk, decode, encode
from streams.runtime import Equipment
from streams.snapshots import Snapshots
from streams.stage import Position
from streams.telemetry import Log, Metrics
from tests.streams.conftest import make_stream
from tests.streams.test_kinesis import read_all
from tests.support.copy_stage import CopyStage

FAILOVER_S = 3.0
PARENT = "shardId-000000000000"


class Rig:
    """A copying stage's surroundings. The test is every worker's daemon: it gives leases, renews them, or does not."""

    def __init__(self, kinesis: Any, dynamo: Any, prefix: str) -> None:
        self.kinesis = kinesis
        self.dynamo = dynamo
        self.prefix = prefix
        self.ended = asyncio.Event()

    def claims(self, worker_id: str) -> Claims:
        return Claims(self.dynamo, f"{self.prefix}-leases-copy", worker_id)

    def equipment(self) -> Equipment:
        log = Log("copy")
        return Equipment(
            stage="copy",
            build=CopyStage,
            services=[],
            breakers={},
            writer=OrderedWriter(self.kinesis, f"{self.prefix}-out"),
            snapshots=Snapshots(self.dynamo, f"{self.prefix}-Snapshots", "copy"),
            dead_letters=DeadLetters(self.dynamo, f"{self.prefix}-DeadLetters", "copy", "in"),
            journal=Journal(None, "copy", "w", "0", log),
            log=log,
            metrics=Metrics("copy"),
        )

    async def shards(self) -> list[Shard]:
        return await list_shards(self.kinesis, f"{self.prefix}-in")

    @contextlib.asynccontextmanager
    async def process(self, worker_id: str = "a", shard_id: str = PARENT, take: bool = True) -> AsyncIterator[KclShard]:
        """A process on a shard, whose lease its worker was given. take: False when its worker has it already."""
        claims = self.claims(worker_id)
        for shard in await self.shards():
            await claims.create(shard)
        lease = (await claims.list())[shard_id]
        if take:
            lease = await claims.take(lease)
        options = Options(f"{self.prefix}-in", f"{self.prefix}-out", 0.25, failover_s=FAILOVER_S)
        shard = await KclShard.begin(
            self.kinesis, claims, self.equipment(), options, shard_id, lease.checkpoint, lambda _: self.ended.set()
        )
        try:
            yield shard
        finally:
            await shard.stop()

    async def renew(self, worker_id: str = "a") -> None:
        claims = self.claims(worker_id)
        await claims.renew((await claims.list())[PARENT])

    async def copied(self) -> list[int | None]:
        rows = (await read_all(self.kinesis, f"{self.prefix}-out")).get("s", [])
        return [record.sequence for row in rows if isinstance(record := decode(row), AudioChunk)]

    async def until_copied(self, numbers: list[int]) -> None:
        await until(lambda: self.copied_is(numbers))

    async def copied_is(self, numbers: list[int]) -> bool:
        return await self.copied() == numbers

    async def renewed_and(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        await self.renew()
        return await condition()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(4 * FAILOVER_S):
        while not await condition():
            await asyncio.sleep(0.1)


@pytest.fixture
async def rig(
    kinesis: Any, dynamo: Any, prefix: str, snapshots_table: str, dead_letters_table: str, leases_table: str
) -> Rig:
    for name in ("in", "out"):
        await make_stream(kinesis, f"{prefix}-{name}")
    return Rig(kinesis, dynamo, prefix)


def chunk(number: int) -> AudioChunk:
    return AudioChunk(session_id="s", connection="c", admitted_at_ms=0, pcm=b"", sequence=number)


def stored(number: int, shard_id: str = PARENT, after: int = 0) -> StoredRecord:
    return StoredRecord(Position(shard_id, after + 1 + number), "s", encode(chunk(number)), 0)


async def is_quiet(shard: KclShard) -> bool:
    return shard.is_quiet


async def test_with_its_lease_renewed_it_works_on(rig: Rig) -> None:
    async with rig.process() as shard:
        for number in range(6):
            await shard.take([stored(number)], 0)
            await rig.renew()
            await asyncio.sleep(FAILOVER_S / 4)
        assert not shard.is_quiet
        await rig.until_copied(list(range(6)))
        assert not rig.ended.is_set()


async def test_with_a_frozen_daemon_it_does_nothing_until_a_renewal_is_seen(rig: Rig) -> None:
    async with rig.process() as shard:
        await shard.take([stored(0)], 0)
        await rig.until_copied([0])
        await until(lambda: is_closed(shard))
        await shard.take([stored(1)], 0)
        await asyncio.sleep(FAILOVER_S / 2)
        assert await rig.copied() == [0]
        await until(lambda: rig.renewed_and(lambda: rig.copied_is([0, 1])))
        assert not shard.is_quiet


async def test_waiting_for_a_renewal_in_vain_it_lets_go_of_the_daemons_call(rig: Rig) -> None:
    """The daemon, which could not renew, says so only when its call has returned."""
    async with rig.process() as shard:
        await until(lambda: is_closed(shard))
        async with asyncio.timeout(4 * FAILOVER_S):
            await shard.take([stored(0)], 0)
        assert shard.is_quiet
        assert shard.watermark() is None
        assert await rig.copied() == []


async def is_closed(shard: KclShard) -> bool:
    return not shard._fence.holds(time.monotonic())


async def test_another_owner_ends_its_work(rig: Rig) -> None:
    async with rig.process("a") as old:
        await old.take([stored(0)], 0)
        await rig.until_copied([0])
        async with rig.process("b") as new:
            await until(lambda: is_quiet(old))
            await old.take([stored(1)], 0)
            assert old.watermark() is None
            await new.take([stored(1)], 0)
            await rig.until_copied([0, 1])
            assert not new.is_quiet
            assert not rig.ended.is_set()
            with pytest.raises(LeaseLost):
                await old.leave_rest()
            async with asyncio.timeout(2 * FAILOVER_S):
                await rig.ended.wait()  # its daemon has not said that the lease is lost


async def test_another_process_of_its_own_worker_ends_its_work(rig: Rig) -> None:
    async with rig.process("a") as old:
        await old.take([stored(0)], 0)
        async with rig.process("a", take=False) as new:
            await until(lambda: is_quiet(old))
            assert not new.is_quiet


async def test_without_the_lease_it_does_not_begin(rig: Rig) -> None:
    async with rig.process("a"):
        with pytest.raises(LeaseLost):
            async with rig.process("b", take=False):
                pass


async def test_a_child_reads_its_parent_s_rest_before_anything_of_its_own(rig: Rig) -> None:
    writer = OrderedWriter(rig.kinesis, f"{rig.prefix}-in")
    for number in range(3):
        await writer.put("s", encode(chunk(number)))
    await writer.close()
    async with rig.process() as parent:
        await parent.leave_rest()  # it was given nothing: all of it is the rest
        claims = rig.claims("a")
        lease = (await claims.list())[PARENT]
        await claims.checkpoint(lease, "SHARD_END")
    await rig.kinesis.split_shard(StreamName=f"{rig.prefix}-in", ShardToSplit=PARENT, NewStartingHashKey=str(2**127))
    await until(lambda: _three(rig))
    child = next(shard for shard in await rig.shards() if PARENT in shard.parents and shard.holds("s"))
    async with rig.process("a", child.shard_id) as shard:
        await shard.take([stored(3, child.shard_id, after=10**60)], 0)
        await rig.until_copied([0, 1, 2, 3])


async def _three(rig: Rig) -> bool:
    return len(await rig.shards()) == 3
