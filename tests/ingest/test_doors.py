from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.admission import Connection
from gateway.tables import Tables
from ingest.admission import Door
from ingest.doors import LEDGER, MAX_ENTRIES, REFRESH_AFTER_MS, STALE_LEDGER_MS, Doors
from ingest.rate import LEASE_MS
from streams.errors import HeraldError

T0 = 1_700_000_000_000
SPEAKER = Connection("c1", "golden-eagle-427", "speaker")


class Instance:
    """One instance of the function: its doors, its clock, and how often it asked."""

    def __init__(self, client: Any, prefix: str, limit: int = 50, name: str = "a") -> None:
        self._client = client
        self.now_ms = T0
        self.trips = 0
        self.doors = Doors(self, f"{prefix}-Connections", limit, name, lambda: self.now_ms)

    async def update_item(self, **arguments: Any) -> Any:
        self.trips += 1
        return await self._client.update_item(**arguments)

    async def take(self, connection_id: str = "c1") -> bool:
        entry = await self.doors.entry(connection_id)
        assert entry.door is not None
        return await self.doors.admit(connection_id, entry, self.now_ms)


@pytest.fixture
async def instance(dynamo: Any, prefix: str, tables: Tables) -> Instance:
    await tables.add_speaker(SPEAKER, T0, acknowledge=False)
    return Instance(dynamo, prefix)


async def test_what_the_row_says(instance: Instance, tables: Tables) -> None:
    await tables.add_listener(Connection("l1", "golden-eagle-427", "listener"), T0)
    assert (await instance.doors.entry("c1")).door == Door("golden-eagle-427", "speaker", True, acknowledge=False)
    listener = (await instance.doors.entry("l1")).door
    assert listener is not None
    assert listener.role == "listener"
    assert (await instance.doors.entry("nobody")).door is None


async def test_one_round_trip_reads_the_door_and_counts_the_chunk(instance: Instance) -> None:
    assert await instance.take()
    assert instance.trips == 1


async def test_a_shut_door_is_seen_within_the_bound(instance: Instance, tables: Tables) -> None:
    await instance.take()
    await tables.close_door("c1")
    instance.now_ms += LEASE_MS - 1
    assert (await instance.doors.entry("c1")).door == Door("golden-eagle-427", "speaker", True, acknowledge=False)
    instance.now_ms += 1
    door = (await instance.doors.entry("c1")).door
    assert door is not None
    assert not door.is_active
    assert instance.trips == 2


async def test_refreshed_ahead_no_chunk_waits(instance: Instance) -> None:
    await instance.take()
    entry = await instance.doors.entry("c1")
    assert instance.doors.refresh_ahead("c1", entry) is None
    instance.now_ms += REFRESH_AFTER_MS
    refresh = instance.doors.refresh_ahead("c1", entry)
    assert refresh is not None
    assert instance.doors.refresh_ahead("c1", entry) is not refresh
    await refresh
    trips = instance.trips
    instance.now_ms += LEASE_MS - 1
    await instance.doors.entry("c1")
    assert instance.trips == trips


async def test_chunks_at_once_share_a_round_trip(instance: Instance) -> None:
    assert all(await asyncio.gather(*(instance.take() for _ in range(20))))
    assert instance.trips <= 3


async def test_two_instances_racing_keep_the_limit(instance: Instance, dynamo: Any, prefix: str) -> None:
    other = Instance(dynamo, prefix, name="b")
    passed = await asyncio.gather(*(one.take() for _ in range(40) for one in (instance, other)))
    assert passed.count(True) == 50


async def test_ledgers_of_instances_that_ended_are_swept(instance: Instance, dynamo: Any, prefix: str) -> None:
    await instance.take()
    later = Instance(dynamo, prefix, name="b")
    later.now_ms += STALE_LEDGER_MS + LEASE_MS + 1
    await later.take()
    later.now_ms += LEASE_MS
    await later.take()
    row = (await dynamo.get_item(TableName=f"{prefix}-Connections", Key={"connectionId": {"S": "c1"}}))["Item"]
    assert [name for name in row if name.startswith(LEDGER)] == [f"{LEDGER}b"]


async def test_it_remembers_a_bounded_number(instance: Instance) -> None:
    class Nobody:
        async def update_item(self, **arguments: Any) -> Any:
            return {"Attributes": {"sessionId": {"S": "s"}, "role": {"S": "speaker"}}}

    doors = Doors(Nobody(), "t", 50, "a", lambda: T0)
    for n in range(MAX_ENTRIES + 10):
        await doors.entry(f"c{n}")
    assert len(doors._entries) == MAX_ENTRIES
    doors.forget("c20")
    assert len(doors._entries) == MAX_ENTRIES - 1


async def test_a_failure_is_ours_and_the_next_asks_again(dynamo: Any, prefix: str, tables: Tables) -> None:
    missing = Instance(dynamo, "nowhere")
    with pytest.raises(HeraldError):
        await missing.doors.entry("c1")
    with pytest.raises(HeraldError):
        await missing.doors.entry("c1")
    assert missing.trips == 2
