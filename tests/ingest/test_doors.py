from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.admission import Connection
from gateway.messages import BroadcastState
from gateway.tables import Tables
from ingest.admission import Door
from ingest.doors import LEDGER, MAX_ASKS, MAX_ENTRIES, QUIET_KEPT_MS, STALE_LEDGER_MS, Doors, Entry
from ingest.rate import LEASE_MS, Verdict, Window
from streams.errors import HeraldError, TimedOut, Unavailable

T0 = 1_700_000_000_000
SPEAKER = Connection("c1", "golden-eagle-427", "speaker")


class Instance:
    """One instance of the function: its doors, its clock, and how often it asked."""

    def __init__(self, client: Any, prefix: str, limit: int = 50, name: str = "a") -> None:
        self._client = client
        self.now_ms = T0
        self.trips = self.failures = 0
        self._is_failing = False
        self.doors = Doors(self, f"{prefix}-Connections", limit, name, lambda: self.now_ms, self._note_failure)

    def fail_once(self) -> None:
        self._is_failing = True

    def _note_failure(self) -> None:
        self.failures += 1

    async def update_item(self, **arguments: Any) -> Any:
        self.trips += 1
        if self._is_failing:
            self._is_failing = False
            await asyncio.sleep(0)
            raise TimeoutError
        return await self._client.update_item(**arguments)

    async def take(self, connection_id: str = "c1") -> bool:
        async with self.doors.visit(connection_id) as visit:
            assert visit.entry.door is not None
            return await self.doors.admit(connection_id, visit, self.now_ms)


async def entry_of(doors: Doors, connection_id: str) -> Entry:
    async with doors.visit(connection_id) as visit:
        return visit.entry


@pytest.fixture
async def instance(dynamo: Any, prefix: str, tables: Tables) -> Instance:
    await tables.add_speaker(SPEAKER, T0, acknowledge=False)
    return Instance(dynamo, prefix)


async def test_what_the_row_says(instance: Instance, tables: Tables) -> None:
    await tables.add_listener(Connection("l1", "golden-eagle-427", "listener"), T0)
    assert (await entry_of(instance.doors, "c1")).door == Door("golden-eagle-427", "speaker", True, acknowledge=False)
    listener = (await entry_of(instance.doors, "l1")).door
    assert listener is not None
    assert listener.role == "listener"
    assert (await entry_of(instance.doors, "nobody")).door is None


async def test_one_round_trip_reads_the_door_and_counts_the_chunk(instance: Instance) -> None:
    assert await instance.take()
    assert instance.trips == 1


async def test_a_shut_door_is_seen_within_the_bound(instance: Instance, tables: Tables) -> None:
    await instance.take()
    await tables.close_door("c1")
    instance.now_ms += LEASE_MS - 1
    assert (await entry_of(instance.doors, "c1")).door == Door("golden-eagle-427", "speaker", True, acknowledge=False)
    instance.now_ms += 1
    door = (await entry_of(instance.doors, "c1")).door
    assert door is not None
    assert not door.is_active
    assert instance.trips == 2


async def test_one_that_is_refused_for_being_muted_is_refused_by_what_is_so_now(
    instance: Instance, tables: Tables
) -> None:
    """Row W4: a speaker that unmutes is heard at once. What one sends in spite of it costs a round trip per 20 ms."""

    async def is_muted() -> bool:
        async with instance.doors.visit("c1") as visit:
            await instance.doors.look_again("c1", visit)
            assert visit.entry.door is not None
            return visit.entry.door.is_muted

    await tables.set_door("c1", BroadcastState(is_muted=True), 1)
    assert await is_muted()
    instance.now_ms += QUIET_KEPT_MS - 1
    assert await is_muted()
    assert instance.trips == 1
    await tables.set_door("c1", BroadcastState(), 2)
    instance.now_ms += 1
    assert not await is_muted()
    instance.now_ms += QUIET_KEPT_MS
    assert not await is_muted()
    assert instance.trips == 2  # one that may speak is not looked for again


async def speak(instance: Instance) -> int:
    """A chunk, and the answer to what it had asked ahead; how often the chunk itself had to ask."""
    trips = instance.trips
    entry = await entry_of(instance.doors, "c1")
    waited_for = instance.trips - trips
    instance.doors.refresh_ahead("c1", entry)
    if entry.asking is not None:
        await entry.asking
    return waited_for


@pytest.mark.parametrize("interval_ms", [20, 50, 100, 200])
async def test_at_any_even_pace_no_chunk_waits(instance: Instance, interval_ms: int) -> None:
    waited_for = []
    for _ in range(50):
        waited_for.append(await speak(instance))
        instance.now_ms += interval_ms
    assert not any(waited_for[3:])  # by then the pace is known
    asked_each_ms = LEASE_MS - LEASE_MS % interval_ms
    assert instance.trips <= 50 * interval_ms / asked_each_ms + 4


async def test_chunks_that_come_unevenly_do_not_wait_either(instance: Instance) -> None:
    waited_for = []
    for gap_ms in [100, 80, 120, 95, 105, 70, 130, 100] * 5:
        instance.now_ms += gap_ms
        waited_for.append(await speak(instance))
    assert not any(waited_for[3:])


async def test_one_who_speaks_rarely_is_not_asked_for_twice(instance: Instance) -> None:
    for _ in range(5):
        assert await speak(instance) == 1
        instance.now_ms += LEASE_MS + 1
    assert instance.trips == 5


async def test_a_question_on_its_way_is_not_asked_again(instance: Instance) -> None:
    for _ in range(2):
        await speak(instance)
        instance.now_ms += 100
    entry, trips = await entry_of(instance.doors, "c1"), instance.trips
    for _ in range(3):
        instance.doors.refresh_ahead("c1", entry)
    assert entry.asking is not None
    await entry.asking
    assert instance.trips == trips + 1


async def test_what_failed_on_its_way_is_asked_again_by_whoever_needs_it(instance: Instance) -> None:
    """An instance may have been frozen with a question on its way, which then has failed for long."""
    for _ in range(2):
        await speak(instance)
        instance.now_ms += 100
    entry = await entry_of(instance.doors, "c1")
    instance.fail_once()
    instance.doors.refresh_ahead("c1", entry)
    instance.now_ms += LEASE_MS
    assert entry.is_asking
    assert await instance.take()
    assert instance.failures == 1


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
        await entry_of(doors, f"c{n}")
    assert len(doors._entries) == MAX_ENTRIES
    doors.forget("c20")
    assert len(doors._entries) == MAX_ENTRIES - 1


async def test_a_failure_is_ours_and_the_next_asks_again(dynamo: Any, prefix: str, tables: Tables) -> None:
    missing = Instance(dynamo, "nowhere")
    with pytest.raises(HeraldError):
        await entry_of(missing.doors, "c1")
    with pytest.raises(HeraldError):
        await entry_of(missing.doors, "c1")
    assert missing.trips == 2


class SlowTable:
    """A table with one active speaker that answers `delay_s` after it was asked; all clocks are the loop's."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.trips = 0
        self.doors = Doors(self, "t", 50, "a", self.now_ms)

    @staticmethod
    def now_ms() -> int:
        return round(asyncio.get_running_loop().time() * 1000)

    async def update_item(self, **arguments: Any) -> Any:
        self.trips += 1
        await asyncio.sleep(self.delay_s)
        door = {"isActive": {"BOOL": True}}
        return {"Attributes": {"sessionId": {"S": "s"}, "role": {"S": "speaker"}, "door": {"M": door}}}

    async def take(self) -> bool:
        arrived_ms = self.now_ms()
        async with self.doors.visit("c1") as visit:
            return await self.doors.admit("c1", visit, arrived_ms)


async def test_a_table_slower_than_the_lease_slows_audio_and_stops_none() -> None:
    table = SlowTable(LEASE_MS / 1000 + 0.05)
    async with asyncio.timeout(20):
        for _ in range(3):
            assert all(await asyncio.gather(*(table.take() for _ in range(16))))
    assert table.trips <= 3 * 2


async def test_the_loop_goes_on_whenever_chunks_come_to_a_slow_table() -> None:
    table = SlowTable(LEASE_MS / 1000 + 0.01)
    chunks = []
    async with asyncio.timeout(20):
        for _ in range(40):
            chunks.append(asyncio.ensure_future(table.take()))
            await asyncio.sleep(0.0005)
        # Chunks that come while the answer to an earlier one is on its way, and just as it arrives.
        while not chunks[0].done():
            await asyncio.sleep(0)
        chunks += [asyncio.ensure_future(table.take()) for _ in range(5)]
        assert all(await asyncio.gather(*chunks))
    assert table.trips <= 4


async def test_an_answer_that_was_asked_for_before_a_chunk_came_may_be_too_old_for_it() -> None:
    table = SlowTable(LEASE_MS / 1000 + 0.05)
    async with asyncio.timeout(20):
        first = asyncio.ensure_future(table.take())
        while not table.trips:
            await asyncio.sleep(0)
        second = asyncio.ensure_future(table.take())
        assert await first
        assert not second.done()
        assert await second
    assert table.trips == 2


async def test_no_answer_in_time_is_told_and_harms_no_later_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.doors.ASK_WITHIN_S", 0.05)
    table = SlowTable(30.0)
    with pytest.raises(TimedOut):
        await table.take()
    assert table.doors._entries["c1"].asking is not None
    table.doors._entries["c1"].asking.cancel()
    table.delay_s = 0.0
    await asyncio.sleep(0)
    assert await table.take()


async def test_chunks_pass_in_the_order_in_which_they_came_also_when_an_answer_comes_just_then() -> None:
    table = SlowTable(LEASE_MS / 1000 - 0.05)
    passed: list[int] = []

    async def take(number: int) -> None:
        async with table.doors.visit("c1") as visit:
            assert await table.doors.admit("c1", visit, table.now_ms())
            passed.append(number)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(take(number))
        while not passed:
            await asyncio.sleep(0)
        for number in range(10, 15):
            group.create_task(take(number))
    assert passed == list(range(15))


async def test_what_stands_behind_a_chunk_that_is_refused_in_passing_is_refused_with_it() -> None:
    table = SlowTable(0.0)
    at_the_door = asyncio.Event()
    refusing = asyncio.Event()

    async def refused() -> None:
        async with table.doors.visit("c1"):
            at_the_door.set()
            await refusing.wait()
            raise TimedOut("no answer")

    first = asyncio.ensure_future(refused())
    await at_the_door.wait()
    behind = [asyncio.ensure_future(table.take()) for _ in range(3)]
    await asyncio.sleep(0)
    refusing.set()
    results = await asyncio.gather(first, *behind, return_exceptions=True)
    assert [type(result) for result in results] == [TimedOut, Unavailable, Unavailable, Unavailable]
    assert await table.take()  # what comes later is let in


async def test_a_chunk_for_which_there_is_never_room_is_given_up() -> None:
    table = SlowTable(0.0)

    class Full(Window):
        def admit(self, arrived_ms: float, now_ms: float, *, is_fresh: bool = False) -> Verdict:
            return Verdict.ASK

    (await entry_of(table.doors, "c1")).window = Full(50)
    with pytest.raises(TimedOut):
        await table.take()
    assert table.trips == 1 + MAX_ASKS
