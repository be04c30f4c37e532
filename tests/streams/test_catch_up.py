"""Reading again, from the real twin: no gap, no input twice, at its pace, across shards and throttles."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from streams import catch_up
from streams.catch_up import CatchUp, InputLog
from streams.errors import Refused
from streams.kinesis import OrderedWriter, StoredRecord, get_page, list_shards
from streams.parking import Place
from streams.stage import Position
from streams.telemetry import Log
from tests.streams.conftest import make_stream


class Wanting:
    """Wants what is there from a place on, until it has had so many."""

    def __init__(self, start: Place, count: int) -> None:
        self.start: Place | None = start
        self.count = count
        self.records: list[StoredRecord] = []
        self.ended: list[str] = []
        self.following: Position | None = None
        self.busy = 0

    def anyone_parked(self) -> bool:
        return len(self.records) < self.count

    def read_on_from(self) -> Place | None:
        if self.busy:
            self.busy -= 1
            return None
        return self.start

    def take_again(self, start: Place, records: Sequence[StoredRecord]) -> bool:
        assert start == self.start
        self.records += records
        if records:
            self.start = Place(records[-1].position, after=True)
        return True

    def on_shard_end(self, start: Place) -> None:
        self.ended.append(start.position.shard_id)
        assert self.following is not None
        self.start = Place(self.following, after=False)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "READ_EVERY_S", 0.25)


async def filled(kinesis: Any, stream: str, count: int) -> list[Position]:
    writer = OrderedWriter(kinesis, stream)
    places = await asyncio.gather(*[writer.put("s", b"%d" % n) for n in range(count)])
    await writer.close()
    return list(places)


def numbers(wanting: Wanting) -> list[int]:
    return [int(stored.data) for stored in wanting.records]


async def run(kinesis: Any, stream: str, wanting: Wanting) -> None:
    async with asyncio.timeout(20):
        await CatchUp(InputLog(kinesis, stream), wanting, Log("test")).run()


async def test_it_reads_from_a_place_on_or_after_it(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, f"{prefix}-in")
    places = await filled(kinesis, stream, 30)
    first, second = Wanting(Place(places[7], after=False), 23), Wanting(Place(places[7], after=True), 22)
    first.busy = 2
    await run(kinesis, stream, first)
    await run(kinesis, stream, second)
    assert numbers(first) == list(range(7, 30))
    assert numbers(second) == list(range(8, 30))


async def test_it_reads_page_after_page_no_faster_than_its_pace(
    kinesis: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "MAX_RECORDS", 10)
    stream = await make_stream(kinesis, f"{prefix}-in")
    places = await filled(kinesis, stream, 40)
    wanting = Wanting(Place(places[0], after=False), 40)
    clock = asyncio.get_running_loop().time
    began = clock()
    await run(kinesis, stream, wanting)
    assert numbers(wanting) == list(range(40))
    assert clock() - began >= 3 * catch_up.READ_EVERY_S


class Sipping(Wanting):
    """Takes a few of what it is offered, as a session with little room does."""

    def take_again(self, start: Place, records: Sequence[StoredRecord]) -> bool:
        return super().take_again(start, records[:3])


async def test_what_was_not_taken_is_offered_again_and_not_read_again(
    kinesis: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "MAX_RECORDS", 10)
    reads: list[str] = []

    async def counted(client: Any, shard_id: str, iterator: str, limit: int) -> Any:
        reads.append(shard_id)
        return await get_page(client, shard_id, iterator, limit)

    monkeypatch.setattr(catch_up, "get_page", counted)
    stream = await make_stream(kinesis, f"{prefix}-in")
    places = await filled(kinesis, stream, 40)
    wanting = Sipping(Place(places[4], after=True), 35)
    await run(kinesis, stream, wanting)
    assert numbers(wanting) == list(range(5, 40))
    assert len(reads) == 4


async def test_after_a_closed_shard_it_goes_on_where_it_is_told(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, f"{prefix}-in")
    places = await filled(kinesis, stream, 5)
    parent = places[0].shard_id
    await kinesis.split_shard(StreamName=stream, ShardToSplit=parent, NewStartingHashKey=str(2**126))
    await kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 0.05})
    assert len(await list_shards(kinesis, stream)) == 3
    later = await filled(kinesis, stream, 3)
    wanting = Wanting(Place(places[2], after=True), 5)
    wanting.following = later[0]
    await run(kinesis, stream, wanting)
    assert numbers(wanting) == [3, 4, 0, 1, 2]
    assert wanting.ended == [parent]


async def test_a_stream_that_refuses_ends_it(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, f"{prefix}-in")
    wanting = Wanting(Place(Position("shardId-000000000000", 5), after=False), 1)
    with pytest.raises(Refused):
        await run(kinesis, stream, wanting)
