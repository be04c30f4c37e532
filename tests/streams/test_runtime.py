"""The driver's shell: rubbish is kept, covered inputs are passed over, a newer owner ends the work."""

import asyncio
import time
from typing import Any
from unittest.mock import patch

import pytest

from streams import catch_up
from streams.catch_up import InputLog
from streams.dead_letters import DeadLetters
from streams.driver import MAX_HELD_BYTES
from streams.errors import Failure, LeaseLost
from streams.fence import Fence
from streams.journal import Journal
from streams.kinesis import OrderedWriter, StoredRecord
from streams.policy import Breaker
from streams.records import AudioChunk, SessionEvent, decode, encode
from streams.recovery import Emitted
from streams.runtime import HELD_UP_S, MAX_WAITING_BYTES, Equipment, ShardRuntime
from streams.snapshots import Snapshot, Snapshots
from streams.stage import Effect, Position, StageBuilder
from streams.telemetry import Log, Metrics
from tests.streams.conftest import make_stream
from tests.streams.test_kinesis import read_all
from tests.support.asking_stage import AskingStage, Patient
from tests.support.copy_stage import CopyStage

SHARD = "shardId-000000000000"


def stored(sequence: int, data: bytes | None = None, key: str = "s", shard_id: str = SHARD) -> StoredRecord:
    chunk = AudioChunk(session_id="s", connection="c", admitted_at_ms=0, pcm=b"", sequence=sequence)
    return StoredRecord(Position(shard_id, sequence), key, encode(chunk) if data is None else data, 0)


class Bench:
    def __init__(self, kinesis: Any, dynamo: Any, prefix: str) -> None:
        log = Log("copy")
        self.kinesis = kinesis
        self.output = f"{prefix}-out"
        self.snapshots = Snapshots(dynamo, f"{prefix}-Snapshots", "copy")
        self.dead_letters = DeadLetters(dynamo, f"{prefix}-DeadLetters", "copy", "in")
        self.breakers: dict[str, Breaker] = {}
        self.equipment = Equipment(
            stage="copy",
            build=CopyStage,
            services=[],
            breakers=self.breakers,
            writer=OrderedWriter(kinesis, self.output),
            snapshots=self.snapshots,
            dead_letters=self.dead_letters,
            journal=Journal(None, "copy", "w", "0", log),
            log=log,
            metrics=Metrics("copy"),
        )

    def open(
        self,
        epoch: int = 1,
        shard_id: str = SHARD,
        emitted: dict[str, list[Emitted]] | None = None,
        build: StageBuilder = CopyStage,
    ) -> ShardRuntime:
        return ShardRuntime(self.equipment._replace(build=build), shard_id, epoch, emitted or {}, lambda: 0.5)

    async def copied(self, session_id: str = "s") -> list[int | None]:
        rows = (await read_all(self.kinesis, self.output)).get(session_id, [])
        records = [decode(row) for row in rows]
        return [record.sequence for record in records if isinstance(record, AudioChunk)]


@pytest.fixture
async def bench(kinesis: Any, dynamo: Any, prefix: str, snapshots_table: str, dead_letters_table: str) -> Bench:
    await make_stream(kinesis, f"{prefix}-out")
    return Bench(kinesis, dynamo, prefix)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


async def test_what_cannot_be_read_is_kept_with_its_reason_and_the_shard_goes_on(bench: Bench) -> None:
    runtime = bench.open()
    await runtime.give([stored(0), stored(1, b"rubbish"), stored(2, key="t"), stored(3)])
    await until(lambda: runtime.checkpoint() == Position(SHARD, 3))
    await runtime.stop()
    rubbish = await bench.dead_letters.read(f"copy.{SHARD}.1")
    wrong_key = await bench.dead_letters.read(f"copy.{SHARD}.2")
    assert rubbish is not None
    assert (rubbish.data, rubbish.failure.code) == (b"rubbish", "BadRecord")
    assert wrong_key is not None
    assert wrong_key.failure.code == "WrongKey"
    assert await bench.copied() == [0, 3]


async def test_rubbish_that_the_store_cannot_keep_yet_does_not_fill_the_memory(bench: Bench) -> None:
    runtime = bench.open()
    goes_on = asyncio.Event()
    bury = bench.dead_letters.bury

    async def bury_late(*arguments: Any, **named: Any) -> str:
        await goes_on.wait()
        return await bury(*arguments, **named)

    bench.dead_letters.bury = bury_late  # type: ignore[method-assign]
    rubbish = b"\xc1" * 300_000
    count = MAX_WAITING_BYTES // len(rubbish)
    await runtime.give([stored(n, rubbish) for n in range(count)])
    assert runtime.wants_input()
    await runtime.give([stored(count, rubbish)])
    assert not runtime.wants_input()
    goes_on.set()
    await until(runtime.wants_input)
    await runtime.stop()


async def test_what_the_output_cannot_take_yet_does_not_fill_the_memory(bench: Bench) -> None:
    runtime = bench.open()
    goes_on = asyncio.Event()
    put_records = bench.kinesis.put_records

    async def put_late(**arguments: Any) -> Any:
        await goes_on.wait()
        return await put_records(**arguments)

    with patch.object(bench.kinesis, "put_records", put_late), patch("streams.runtime.MAX_WAITING_BYTES", 500_000):
        for number in range(5):
            await runtime.give([stored(number, encode(chunk_of(f"s{number}", 100_000)), key=f"s{number}")])
            assert runtime.wants_input() == (number < 4)
        goes_on.set()
        await until(runtime.wants_input)
    await runtime.stop()


def chunk_of(session_id: str, pcm_bytes: int) -> AudioChunk:
    return AudioChunk(session_id=session_id, connection="c", admitted_at_ms=0, pcm=bytes(pcm_bytes), sequence=0)


async def test_rubbish_at_the_end_of_a_batch_is_not_ahead_of_what_stands_before_it(bench: Bench) -> None:
    runtime = bench.open()
    await runtime.give([stored(0), stored(1), stored(2, b"rubbish")])
    seen = []
    async with asyncio.timeout(10):
        while (checkpoint := runtime.checkpoint()) != Position(SHARD, 2):
            seen.append(checkpoint)
            await asyncio.sleep(0.01)
    await runtime.stop()
    assert set(seen) <= {None, Position(SHARD, 1)}  # one snapshot covers both
    assert await bench.copied() == [0, 1]


async def test_an_input_that_its_stage_cannot_stand_is_kept_with_its_bytes(bench: Bench) -> None:
    event = encode(SessionEvent(session_id="s", event="paused", timestamp=1))
    runtime = bench.open()
    await runtime.give([stored(0), stored(1, event), stored(2)])
    await until(lambda: runtime.checkpoint() == Position(SHARD, 2))
    await runtime.stop()
    letter = await bench.dead_letters.read(f"copy.{SHARD}.1")
    assert letter is not None
    assert letter.data == event
    assert letter.failure == Failure("StageError", letter.failure.message, retryable=False)
    assert await bench.copied() == [0, 2]


async def test_inputs_that_the_snapshot_holds_are_passed_over(bench: Bench) -> None:
    await bench.snapshots.save("s", Snapshot(Position(SHARD, 2), None, b"\x02"), SHARD, 0, 1)
    runtime = bench.open()
    await runtime.give([stored(n) for n in range(5)])
    await until(lambda: runtime.checkpoint() == Position(SHARD, 4))
    await runtime.stop()
    assert await bench.copied() == [3, 4]


async def test_a_snapshot_of_the_child_covers_all_of_the_parent(bench: Bench) -> None:
    child = "shardId-000000000001"
    await bench.snapshots.save("s", Snapshot(Position(child, 1), None, b"\x06"), child, 0, 1)
    runtime = bench.open(shard_id=child)
    await runtime.give([stored(n) for n in range(5)])
    await runtime.give([stored(n, shard_id=child) for n in range(3)])
    await runtime.give([StoredRecord(Position(child, 3), "s", stored(7).data, 0)])
    await until(lambda: runtime.checkpoint() == Position(child, 3))
    await runtime.stop()
    assert await bench.copied() == [7]


async def test_what_was_emitted_since_the_snapshot_is_not_emitted_again(bench: Bench) -> None:
    place = Position("out", 10)
    await bench.snapshots.save("s", Snapshot(Position(SHARD, 0), place, b"\x00"), SHARD, 0, 1)
    emitted = [Emitted(Position("out", 10 + n), decode(stored(n).data)) for n in range(3)]
    runtime = bench.open(emitted={"s": emitted})
    await runtime.give([stored(n) for n in range(5)])
    await until(lambda: runtime.checkpoint() == Position(SHARD, 4))
    await runtime.stop()
    assert await bench.copied() == [3, 4]


async def test_a_newer_owner_s_snapshot_ends_the_work(bench: Bench) -> None:
    old, new = bench.open(epoch=1), bench.open(epoch=2)
    await new.give([stored(0)])
    await until(lambda: new.checkpoint() is not None)
    await old.give([stored(1)])
    async with asyncio.timeout(10):
        with pytest.raises(LeaseLost):
            await asyncio.shield(old.failed)
    await old.stop()
    await new.stop()


class HeavyStage(AskingStage):
    """Each chunk fills it."""

    def held_bytes(self) -> int:
        return MAX_HELD_BYTES + 1 if self._open else 0


async def test_a_parked_session_is_read_again_and_the_others_do_not_wait(
    bench: Bench, kinesis: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "READ_EVERY_S", 0.25)
    oracle = Patient()
    oracle.hanging.add("slow")
    source = InputLog(kinesis, await make_stream(kinesis, f"{prefix}-in"))
    bench.equipment = bench.equipment._replace(services=[oracle], source=source)
    writer = OrderedWriter(kinesis, source.stream)
    keys = ["slow", "good"] * 6
    chunks = [
        AudioChunk(session_id=k, connection="", admitted_at_ms=0, pcm=b"", sequence=n) for n, k in enumerate(keys)
    ]
    places = await asyncio.gather(*[writer.put(chunk.session_id, encode(chunk)) for chunk in chunks])
    await writer.close()
    records = [StoredRecord(p, c.session_id, encode(c), 0) for p, c in sorted(zip(places, chunks, strict=True))]
    runtime = bench.open(build=HeavyStage)

    await runtime.give(records)
    assert runtime.wants_input()
    good = [c.sequence for c in chunks if c.session_id == "good"]
    async with asyncio.timeout(10):
        while await bench.copied("good") != good:
            await asyncio.sleep(0.1)
    assert await bench.copied("slow") == []
    assert runtime.anyone_parked()
    oracle.hanging.clear()
    await until(lambda: not runtime.anyone_parked())
    await until(lambda: runtime.checkpoint() == records[-1].position)
    await runtime.stop()
    assert await bench.copied("slow") == [c.sequence for c in chunks if c.session_id == "slow"]
    assert await bench.copied("good") == good


async def test_an_owner_that_is_not_certain_of_its_lease_emits_buries_and_saves_nothing(bench: Bench) -> None:
    fence = Fence(valid_s=2, confirmed_s=time.monotonic())
    runtime = ShardRuntime(bench.equipment, SHARD, 1, {}, lambda: 0.5, fence)
    await runtime.give([stored(0)])
    await until(lambda: runtime.checkpoint() == Position(SHARD, 0))
    await until(lambda: not fence.holds(time.monotonic()))
    await runtime.give([stored(1), stored(2, b"rubbish")])
    await asyncio.sleep(0.5)
    assert await bench.copied() == [0]
    assert await bench.dead_letters.read(f"copy.{SHARD}.2") is None
    assert (await bench.snapshots.load(["s"]))["s"].upto == Position(SHARD, 0)
    fence.confirm(time.monotonic() + 60)
    await until(lambda: runtime.checkpoint() == Position(SHARD, 2))
    await runtime.stop()
    assert await bench.copied() == [0, 1]


async def test_when_the_process_was_held_up_stages_are_told_before_any_timer(bench: Bench) -> None:
    steps: list[str] = []

    class Waiting(CopyStage):
        def on_held_up(self, now_ms: int) -> None:
            steps.append("held up")

        def wake_at_ms(self) -> int | None:
            return time.time_ns() // 1_000_000 if not steps else None

        def on_timer(self, now_ms: int) -> list[Effect]:
            steps.append("timer")
            return []

    runtime = bench.open(build=Waiting)
    await runtime.give([stored(0)])
    time.sleep(2 * HELD_UP_S)  # noqa: ASYNC251 - this is what is tested: the loop stands still
    await until(lambda: steps)
    assert steps[0] == "held up"
    await runtime.stop()


async def test_while_the_stream_cannot_be_read_stages_are_told(bench: Bench) -> None:
    """What is missing may be in what waits there, for as long as it may be: nobody may conclude silence from it."""
    told: list[int] = []

    class Waiting(CopyStage):
        def on_held_up(self, now_ms: int) -> None:
            told.append(now_ms)

    runtime = bench.open(build=Waiting)
    runtime.reading = Fence(0.3, time.monotonic())
    await runtime.give([stored(0)])
    for _ in range(30):
        runtime.reading.confirm(time.monotonic())
        await asyncio.sleep(0.02)
    assert told == []
    await until(lambda: len(told) > 1)
    await runtime.stop()


async def test_nothing_starts_after_a_stop(bench: Bench) -> None:
    runtime = bench.open()
    await runtime.stop()
    await runtime.give([stored(0)])
    assert await bench.copied() == []
    assert runtime.checkpoint() is None


async def test_an_open_breaker_stops_reading(bench: Bench) -> None:
    runtime = bench.open()
    bench.breakers["oracle"] = Breaker(failures_to_open=1)
    assert runtime.wants_input()
    bench.breakers["oracle"].failed(time.time_ns() // 1_000_000)
    assert not runtime.wants_input()
    bench.breakers["oracle"].succeeded()
    assert runtime.wants_input()
    await runtime.stop()


async def test_drain_waits_for_what_is_under_way(bench: Bench) -> None:
    runtime = bench.open()
    await runtime.give([stored(n) for n in range(20)])
    await runtime.drain(5)
    assert await bench.copied() == list(range(20))
    await runtime.stop()
