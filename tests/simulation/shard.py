"""The world of shards: a small stage on one stream, dense with faults, and exact about each chunk."""

import asyncio
import random
from collections.abc import Coroutine, Sequence
from typing import Any

from local.kinesis import model
from streams import driver
from streams.records import AudioChunk, Record, SessionEvent, encode
from streams.stage import Service, Stage, StageBuilder
from tests.simulation import kcl
from tests.simulation.checks import Checks
from tests.simulation.fleet import Fleet, StagePlace
from tests.simulation.ground import Diary, Ground, Outcome, simulated
from tests.simulation.kinesis import Kept
from tests.simulation.loop import Process, SimulatedLoop
from tests.simulation.plan import Event, Plan, Send, make_plan
from tests.simulation.stages import HANGS, AskStage, Oracle
from tests.simulation.world import play
from tests.support.copy_stage import CopyStage


class ShardCourse:
    """A `Course`."""

    def __init__(self, plan: Plan, ground: Ground) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed + 6)
        self.ground = ground
        self.checks = Checks(plan, ground.breach)
        self.events = plan.events
        self.check_idle = plan.idle_ms < 10_000
        self.fleets = {"s": Fleet(ground, StagePlace("s", "in", "out"), self._equip, plan.runner)}
        self.workers = {"s": plan.workers}
        self._failing = {"": 0.0}
        ground.kinesis.create("in", plan.input_shards)
        ground.kinesis.create("out", plan.output_shards)
        ground.kinesis.on_put = self._on_put
        ground.tables.on_write = self._on_write

    def _on_put(self, stream: str, shard: model.Shard, kept: Kept) -> None:
        if stream == "out":
            openings = self.ground.openings.get(self.ground.kinesis.putting, {})  # type: ignore[arg-type]
            held = {one.shard_id for one in self.ground.kinesis.shards_of("in", kept.key)}
            known_s = min((at_s for name, at_s in openings.items() if name in held), default=0.0)
            if self.ground.is_watched:
                self.ground.note(f"out {shard.shard_id[-2:]} < {kept.key} {kept.data!r}")
            self.checks.emitted(kept, self.ground.loop.time(), known_s)

    def _on_write(self, table: str, row: dict[str, Any]) -> None:
        if self.ground.is_watched:
            self.ground.note(f"{table}: {row}")
        self.checks.stored(table, row)

    def _equip(self, process: Process, release: int) -> tuple[StageBuilder, Sequence[Service]]:
        oracle = Oracle(self._random, self._failing)

        def build(session_id: str, snapshot: bytes | None) -> Stage:
            if self._plan.stage == "copy":
                return CopyStage(session_id, snapshot)
            return AskStage(session_id, snapshot, release)

        return build, [oracle]

    async def produce(self) -> None:
        for send in self._plan.sends:
            await asyncio.sleep(max(0.0, send.at_s - self.ground.loop.time()))
            shard, kept = self.ground.kinesis.put("in", send.session_id, _bytes(send))
            sequence = send.sequence if send.kind in ("chunk", "repeat") else -1
            self.checks.sent(shard, kept, send.session_id, sequence)

    def do(self, event: Event) -> Coroutine[Any, Any, None] | None:
        assert event.deed in ("oracle", "hang"), event
        return self._oracle_fails(event)

    async def _oracle_fails(self, event: Event) -> None:
        """For all sessions, or for the one at `where`."""
        self._failing[event.where] = HANGS if event.deed == "hang" else 0.3 + event.size
        await asyncio.sleep(event.lasts_s)
        self._failing[event.where] = 0.0

    def unsettled(self) -> list[str]:
        return self.checks.unsettled()

    def check_end(self) -> None:
        """Checked as it happened."""

    def repeats(self) -> int:
        return self.checks.repeats


def _bytes(send: Send) -> bytes:
    if send.kind == "rubbish":
        return b"rubbish"
    record: Record = AudioChunk(
        session_id=send.session_id if send.kind != "wrong key" else "nobody",
        connection="c",
        admitted_at_ms=0,
        pcm=b"",
        sequence=send.sequence,
    )
    if send.kind == "unbearable":  # neither stage knows what to do with an event
        record = SessionEvent(session_id=send.session_id, event="paused", timestamp=0)
    return encode(record)


def run_seed(seed: int, diary: Diary | None = None) -> Outcome:
    """Run one schedule."""
    return run_plan(make_plan(seed), diary)


def run_plan(plan: Plan, diary: Diary | None = None) -> Outcome:
    """Run a schedule."""
    ground = Ground(plan.seed, SimulatedLoop(plan.seed), diary)
    further = [(driver, "MAX_SESSION_RECORDS", plan.session_records), *kcl.SETTINGS]
    return play(ShardCourse(plan, ground), simulated(ground, plan.idle_ms, plan.snapshot_every_ms, further))
