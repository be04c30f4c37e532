"""The protocol of the Kinesis Client Library's daemon, line by line, with the shard's work on real twins behind it."""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import msgspec
import pytest

from streams.claims import Claims
from streams.kcl import Host, jars
from streams.kinesis import list_shards
from streams.program import ProgramSettings, StageDefinition
from streams.records import AudioChunk, decode, encode
from streams.resources import StageSpec
from streams.snapshots import Snapshots
from streams.stage import Effect, Input
from streams.telemetry import Log
from tests.streams.conftest import make_stream
from tests.streams.test_kinesis import read_all
from tests.support.copy_stage import CopyStage

SHARD = "shardId-000000000000"
FIRST = 49_000_000_000
INITIALIZE = json.dumps(
    {"action": "initialize", "shardId": SHARD, "sequenceNumber": "TRIM_HORIZON", "subSequenceNumber": 0}
)
LEASE_LOST = '{"action":"leaseLost"}'
SHUTDOWN_REQUESTED = '{"action":"shutdownRequested"}'
SHARD_ENDED = '{"action":"shardEnded"}'
NOTHING = '{"action":"processRecords","records":[],"millisBehindLatest":0}'
PATIENCE_S = 10.0


def records(*numbers: int, session: str = "s") -> str:
    """What the daemon says when it has read chunks with these numbers."""
    rows = [
        {
            "action": "record",
            "sequenceNumber": str(FIRST + number),
            "subSequenceNumber": 0,
            "approximateArrivalTimestamp": int(time.time() * 1000),
            "partitionKey": session,
            "data": base64.b64encode(encode(chunk(number, session))).decode(),
        }
        for number in numbers
    ]
    return json.dumps({"action": "processRecords", "records": rows, "millisBehindLatest": 0})


def chunk(number: int, session: str = "s") -> AudioChunk:
    return AudioChunk(session_id=session, connection="c", admitted_at_ms=0, pcm=b"", sequence=number)


class Daemon:
    """The daemon's end of both pipes. lines: what it says; checkpoint: its answer to each checkpoint, as an error.

    The protocol strictly alternates: a line is read only when the one before was answered, by a status or a checkpoint.
    """

    def __init__(self, lines: Iterable[str], checkpoint: Callable[[str | None], str | None] = lambda _: None) -> None:
        self.said: list[dict[str, Any]] = []
        self._lines = iter(lines)
        self._checkpoint = checkpoint

    def readline(self) -> str:
        last = self.said[-1] if self.said else {}
        if last.get("action") != "checkpoint" or "answered" in last:
            return next(self._lines, "")
        last["answered"] = True
        error = self._checkpoint(last["sequenceNumber"])
        if error == "":
            return ""  # gone, in the middle of it
        return json.dumps(
            {
                "action": "checkpoint",
                "sequenceNumber": last["sequenceNumber"],
                "subSequenceNumber": None,
                "error": error,
            }
        )

    def write(self, text: str) -> None:
        self.said += [json.loads(line) for line in text.split("\n") if line]

    def flush(self) -> None:
        return

    @property
    def statuses(self) -> list[str]:
        return [line["responseFor"] for line in self.said if line["action"] == "status"]

    @property
    def checkpoints(self) -> list[str | None]:
        return [line["sequenceNumber"] for line in self.said if line["action"] == "checkpoint"]

    def until_checkpoint(self, sequence: str) -> Iterator[str]:
        """Nothing to read, again and again, until the checkpoint there has been written."""
        deadline = time.monotonic() + PATIENCE_S
        while sequence not in self.checkpoints:
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)
            yield NOTHING


class Settings(msgspec.Struct, frozen=True):
    """None."""


class Rig:
    """A stage's surroundings, with one lease, which `w` holds; and the process of a shard."""

    def __init__(self, kinesis: Any, dynamo: Any, prefix: str) -> None:
        self.kinesis = kinesis
        self.dynamo = dynamo
        self.prefix = prefix
        self.claims = Claims(dynamo, f"{prefix}-leases-copy", "w")
        self.others = Claims(dynamo, f"{prefix}-leases-copy", "other")
        self.ended: list[int] = []
        self.build: Callable[[str, bytes | None], CopyStage] = CopyStage
        self.failover_s = 10.0

    async def run(self, daemon: Daemon) -> None:
        """Until the daemon closes its end. Raises what ends the process."""
        await asyncio.to_thread(self._run, daemon)

    def _run(self, daemon: Daemon) -> None:
        async def services(*_: Any) -> list[Any]:
            return []

        spec = StageSpec("copy", "audio", "transcripts")  # type: ignore[arg-type]
        definition = StageDefinition(spec, Settings, lambda _: self.build, services)
        program = ProgramSettings(
            herald_prefix=self.prefix, herald_worker_id="w", herald_journal="off", lease_failover_s=self.failover_s
        )
        with Host(definition, program, Settings(), Log("copy"), self.ended.append) as host:
            host.work(daemon, daemon)  # type: ignore[arg-type]

    async def copied(self, session: str = "s") -> list[int | None]:
        rows = (await read_all(self.kinesis, f"{self.prefix}-transcripts")).get(session, [])
        return [record.sequence for row in rows if isinstance(record := decode(row), AudioChunk)]

    async def give_lease_to(self, claims: Claims) -> None:
        await claims.take((await claims.claims())[SHARD].lease)


@pytest.fixture
async def rig(
    kinesis: Any, dynamo: Any, prefix: str, snapshots_table: str, dead_letters_table: str, leases_table: str
) -> Rig:
    for name in ("audio", "transcripts"):
        await make_stream(kinesis, f"{prefix}-{name}")
    found = Rig(kinesis, dynamo, prefix)
    for shard in await list_shards(kinesis, f"{prefix}-audio"):
        await found.claims.create(shard)
    await found.give_lease_to(found.claims)
    return found


async def test_records_are_worked_and_checkpoints_name_the_watermark(rig: Rig) -> None:
    def lines() -> Iterator[str]:
        yield INITIALIZE
        yield records(0, 1)
        yield records(2)
        yield from daemon.until_checkpoint(str(FIRST + 2))
        yield LEASE_LOST

    daemon = Daemon(lines())
    await rig.run(daemon)
    assert await rig.copied() == [0, 1, 2]
    assert daemon.statuses[:3] == ["initialize", "processRecords", "processRecords"]
    assert daemon.statuses[-1] == "leaseLost"
    assert set(daemon.checkpoints) <= {str(FIRST + number) for number in range(3)}
    assert rig.ended == []


async def test_a_worker_that_stops_says_how_far_it_was(rig: Rig) -> None:
    daemon = Daemon([INITIALIZE, records(0, 1, 2), SHUTDOWN_REQUESTED, LEASE_LOST])
    await rig.run(daemon)
    assert await rig.copied() == [0, 1, 2]
    assert daemon.checkpoints == [str(FIRST + 2)]
    assert daemon.statuses == ["initialize", "processRecords", "shutdownRequested", "leaseLost"]


async def test_a_shard_s_end_leaves_the_rest_before_it_is_checkpointed(rig: Rig) -> None:
    snapshots = Snapshots(rig.dynamo, f"{rig.prefix}-Snapshots", "copy")

    def lines() -> Iterator[str]:
        yield INITIALIZE
        yield records(0, 1)
        yield from daemon.until_checkpoint(str(FIRST + 1))
        yield SHARD_ENDED

    daemon = Daemon(lines())
    await rig.run(daemon)
    assert daemon.checkpoints[-1] is None
    assert daemon.statuses[-1] == "shardEnded"
    assert await snapshots.load_rest(SHARD) == {SHARD: FIRST + 1}


@pytest.mark.parametrize("error", ["ThrottlingException", "KinesisClientLibDependencyException", "SdkClientException"])
async def test_the_last_checkpoint_is_tried_again_when_it_fails_in_passing(rig: Rig, error: str) -> None:
    tries = count()
    daemon = Daemon(
        [INITIALIZE, records(0), SHUTDOWN_REQUESTED, LEASE_LOST],
        checkpoint=lambda _: error if next(tries) == 0 else None,
    )
    await rig.run(daemon)
    assert daemon.checkpoints == [str(FIRST), str(FIRST)]


async def test_a_shard_s_end_without_the_lease_ends_the_process_unanswered(rig: Rig) -> None:
    await rig.give_lease_to(rig.others)
    daemon = Daemon([INITIALIZE, SHARD_ENDED])
    with pytest.raises(SystemExit):
        await rig.run(daemon)
    assert daemon.statuses == ["initialize"]
    assert rig.ended == [1]


async def test_a_lost_lease_is_no_error_of_a_checkpoint(rig: Rig) -> None:
    daemon = Daemon([INITIALIZE, records(0), SHUTDOWN_REQUESTED, LEASE_LOST], checkpoint=lambda _: "ShutdownException")
    await rig.run(daemon)
    assert daemon.statuses[-1] == "leaseLost"
    assert rig.ended == []


async def test_what_a_callback_raises_ends_the_process_unanswered(rig: Rig) -> None:
    daemon = Daemon([INITIALIZE, records(0).replace(str(FIRST), "no number")])
    with pytest.raises(SystemExit):
        await rig.run(daemon)
    assert daemon.statuses == ["initialize"]
    assert rig.ended == [1]


async def test_a_daemon_that_goes_away_during_a_checkpoint_ends_the_process(rig: Rig) -> None:
    daemon = Daemon([INITIALIZE, records(0), SHUTDOWN_REQUESTED], checkpoint=lambda _: "")
    with pytest.raises(SystemExit):
        await rig.run(daemon)
    assert daemon.statuses == ["initialize", "processRecords"]
    assert rig.ended == [1]


async def test_a_daemon_that_goes_away_without_a_word_ends_the_process(rig: Rig) -> None:
    with pytest.raises(EOFError):
        await rig.run(Daemon([INITIALIZE, records(0)]))
    assert rig.ended == [1]


async def test_nothing_is_done_with_another_s_lease(rig: Rig) -> None:
    await rig.give_lease_to(rig.others)
    daemon = Daemon([INITIALIZE, records(0), SHUTDOWN_REQUESTED, LEASE_LOST])
    await rig.run(daemon)
    assert daemon.statuses == ["initialize", "processRecords", "shutdownRequested", "leaseLost"]
    assert daemon.checkpoints == []
    assert await rig.copied() == []


async def test_a_daemon_that_goes_on_with_another_s_lease_is_left(rig: Rig) -> None:
    await rig.give_lease_to(rig.others)
    rig.failover_s = 1.0
    started = time.monotonic()

    def lines() -> Iterator[str]:
        yield INITIALIZE
        while time.monotonic() < started + PATIENCE_S:
            time.sleep(0.05)
            yield records(0)

    daemon = Daemon(lines())
    with pytest.raises(SystemExit):
        await rig.run(daemon)
    assert daemon.checkpoints == []
    assert await rig.copied() == []


async def test_a_lease_that_is_taken_meanwhile_ends_all_work(rig: Rig) -> None:
    loop = asyncio.get_running_loop()

    def lines() -> Iterator[str]:
        yield INITIALIZE
        yield records(0)
        yield from daemon.until_checkpoint(str(FIRST))
        asyncio.run_coroutine_threadsafe(rig.give_lease_to(rig.others), loop).result(PATIENCE_S)
        time.sleep(rig.failover_s / 5)  # two looks at the lease
        yield records(1)
        yield SHUTDOWN_REQUESTED
        yield LEASE_LOST

    rig.failover_s = 4.0
    daemon = Daemon(lines())
    await rig.run(daemon)
    assert await rig.copied() == [0]
    assert daemon.checkpoints == [str(FIRST)]


class SlowStage(CopyStage):
    """Takes its time over each of the session `slow`."""

    TAKES_MS = 2_500

    def __init__(self, session_id: str, snapshot: bytes | None) -> None:
        super().__init__(session_id, snapshot)
        self._is_slow = session_id == "slow"
        self._waiting: tuple[int, Input] | None = None

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        if not self._is_slow:
            return super().on_record(received, now_ms)
        self._waiting = (now_ms + self.TAKES_MS, received)
        return []

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        assert self._waiting is not None
        received, self._waiting = self._waiting[1], None
        return super().on_record(received, now_ms)

    def wake_at_ms(self) -> int | None:
        return self._waiting[0] if self._waiting else None


async def test_a_full_driver_holds_up_reading_but_not_checkpoints(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.driver.MAX_OPEN_RECORDS", 1)
    rig.build = SlowStage
    daemon = Daemon([INITIALIZE, records(0), records(1, session="slow"), records(2), SHUTDOWN_REQUESTED, LEASE_LOST])
    await rig.run(daemon)
    assert (await rig.copied(), await rig.copied("slow")) == ([0, 2], [1])
    third_status = [n for n, line in enumerate(daemon.said) if line.get("responseFor") == "processRecords"][2]
    asked = [line["sequenceNumber"] for line in daemon.said[:third_status] if line["action"] == "checkpoint"]
    assert asked == [str(FIRST)]


def test_the_jars_are_those_of_the_package() -> None:
    assert jars().endswith("amazon_kclpy/jars")
