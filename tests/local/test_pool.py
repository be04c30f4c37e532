from __future__ import annotations

import asyncio
import os

import pytest

from local.pool import Pool, PoolFull, connect


class Engine:
    def __init__(self) -> None:
        self.alive = True
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


class Factory:
    def __init__(self) -> None:
        self.engines: list[Engine] = []

    async def make(self) -> Engine:
        self.engines.append(Engine())
        return self.engines[-1]


def pool_of(factory: Factory, size: int = 2, max_waiting: int = 1) -> Pool[Engine]:
    return Pool(factory.make, size=size, max_waiting=max_waiting)


async def test_members_are_made_on_demand_and_used_again() -> None:
    factory = Factory()
    pool = pool_of(factory)
    for _ in range(3):
        async with pool.lease():
            pass
    assert len(factory.engines) == pool.made == 1
    async with pool.lease() as first, pool.lease() as second:
        assert first is not second
    assert pool.made == 2


async def test_full() -> None:
    pool = pool_of(Factory(), size=1, max_waiting=1)
    order: list[str] = []

    async def wait() -> None:
        async with pool.lease():
            order.append("waited")

    async with pool.lease():
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        with pytest.raises(PoolFull, match="all 1 engines are busy and 1 requests are waiting"):
            await pool.warm()
        order.append("worked")
    await waiting
    assert order == ["worked", "waited"]
    await pool.warm()


async def test_no_queue_at_all() -> None:
    pool = pool_of(Factory(), size=1, max_waiting=0)
    async with pool.lease():
        with pytest.raises(PoolFull):
            await pool.warm()
    await pool.warm()


async def test_who_gives_up_waiting_leaves_its_place() -> None:
    pool = pool_of(Factory(), size=1, max_waiting=1)
    async with pool.lease():
        waiting = asyncio.create_task(pool.warm())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        another = asyncio.create_task(pool.warm())
        await asyncio.sleep(0)
    await another


async def test_the_dead_are_closed_and_replaced() -> None:
    factory = Factory()
    pool = pool_of(factory)
    async with pool.lease() as engine:
        engine.alive = False
    assert engine.closed == 1
    async with pool.lease() as engine:
        assert engine.alive
    engine.alive = False  # it dies while idle
    async with pool.lease() as another:
        assert another is not engine
    assert engine.closed == 1


async def test_a_failing_request_gives_its_member_back() -> None:
    factory = Factory()
    pool = pool_of(factory, size=1)
    with pytest.raises(ValueError, match="no"):
        async with pool.lease():
            raise ValueError("no")
    await pool.warm()
    assert pool.made == 1


async def test_a_failing_start_frees_its_place() -> None:
    async def fail() -> Engine:
        raise OSError("no")

    pool = Pool(fail, size=1, max_waiting=0)
    for _ in range(2):
        with pytest.raises(OSError, match="no"):
            await pool.warm()


async def test_close() -> None:
    factory = Factory()
    pool = pool_of(factory)
    await pool.warm()
    async with pool.lease() as busy:
        await pool.close()
        assert busy.closed == 0
    assert [engine.closed for engine in factory.engines] == [1]


async def test_connect_reads_and_writes() -> None:
    source, sink = os.pipe()
    reader, writer = await connect(os.fdopen(source, "rb", buffering=0), os.fdopen(sink, "wb", buffering=0))
    writer.write(b"hello\n")
    assert await reader.readline() == b"hello\n"
    writer.close()
    assert await reader.read() == b""
