"""A schedule's course, whatever the world: fleets are started, the plan's deeds done, all is settled, or is not."""

import asyncio
import traceback
from collections.abc import Coroutine, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from local.kinesis.model import MAX_HASH_KEY, Merge, Shard, Split
from tests.simulation.fleet import Fleet, Life
from tests.simulation.ground import PATIENCE_S, Ground, Outcome
from tests.simulation.loop import Deadlock, Process
from tests.simulation.network import FINE, Network, Strike
from tests.simulation.plan import Event

MAX_SHARDS = 5
STAYS_S = 1.5
EVERYTHING = "whatever is read"


class Course(Protocol):
    """What makes a world. fleets: by the name of their stage."""

    ground: Ground
    fleets: dict[str, Fleet]
    workers: dict[str, int]
    events: list[Event]
    check_idle: bool

    async def produce(self) -> None:
        """Send what the plan says."""

    def do(self, event: Event) -> Coroutine[Any, Any, None] | None:
        """A deed of this world's own."""

    def unsettled(self) -> list[str]:
        """What has not come to its end."""

    def check_end(self) -> None:
        """All is settled: is it right?"""

    def repeats(self) -> int:
        """What was on the wire twice."""


def play(course: Course, settings: AbstractContextManager[None]) -> Outcome:
    """A schedule from its beginning to its end. settings: the simulation's clock and the like."""
    ground = course.ground
    try:
        with settings:
            return ground.loop.run_until_complete(World(course).run())
    except Deadlock:
        ground.breach("everybody waits for somebody else")
    except Exception as error:  # noqa: BLE001 - whatever it is, the seed must be named
        ground.breach(f"the schedule broke off: {traceback.format_exc()}" if ground.is_watched else repr(error))
    finally:
        ground.loop.close()
    return Outcome(ground.seed, ground.breaches, 0, 0, ground.loop.time(), {}, 0)


class World:
    """See the module."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._ground = course.ground
        self._fleets = list(course.fleets.values())
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers = {fleet.place.output: fleet for fleet in self._fleets}
        self._ground.kinesis.on_start = self._on_start

    def _on_start(self, stream: str, keys: list[str], process: Process) -> None:
        for key in keys:
            self._writers[stream].check_lease(key, process)

    async def run(self) -> Outcome:
        """Let it happen."""
        ground, course = self._ground, self._course
        for name, count in course.workers.items():
            for _ in range(count):
                course.fleets[name].start()
        producer = ground.loop.create_task(course.produce())
        for event in course.events:
            await self._until(event.at_s)
            self._do(event)
        await producer
        while self._tasks:
            await asyncio.wait(self._tasks)
        for network in (ground.to_streams, ground.to_tables):
            network.strikes.clear()
        while self._tasks:  # whom the last strike hit
            await asyncio.wait(self._tasks)
        for fleet in self._fleets:
            if not fleet.alive():
                fleet.start()
        await self._until(max((event.at_s + event.lasts_s for event in course.events), default=0.0))
        await self._until(max(network.latest_s for network in (ground.to_streams, ground.to_tables)))
        late = await self._settle()
        for what in late:
            ground.breach(what)
        if not ground.breaches:
            course.check_end()
        if not ground.breaches:
            for fleet in self._fleets:
                await fleet.stop_all()
        for fleet in self._fleets:
            await fleet.kill_all()
        for context in ground.loop.errors:
            ground.breach(f"in a callback: {context.get('exception')!r}")
        faults = ground.faults + ground.to_streams.faults + ground.to_tables.faults
        requests = ground.to_streams.requests + ground.to_tables.requests
        trace = hash((requests, ground.loop.time(), course.repeats()))
        return Outcome(
            ground.seed, ground.breaches, course.repeats(), requests, ground.loop.time(), dict(faults), trace
        )

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self._ground.loop.time()))

    # --- what the plan says --------------------------------------------------------------------------------------

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._ground.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _do(self, event: Event) -> None:
        ground, course = self._ground, self._course
        ground.faults[event.deed] += 1
        ground.note(f"--- {event.deed} {event.where} for {event.lasts_s:.1f} s, size {event.size:.2f}")
        fleet = course.fleets.get(event.where, self._fleets[0])
        life = fleet.pick(event.size)
        match event.deed:
            case "kill" | "stop" | "rename" | "pause":
                if life is not None:
                    self._later((fleet.pause if event.deed == "pause" else fleet.end_and_start)(event, life))
            case "kill at" | "pause at":
                self._strike(event)
            case "join":
                fleet.start()
            case "downtime":
                self._later(fleet.downtime())
            case "deploy":
                self._later(fleet.deploy(event.lasts_s))
            case "split" | "split output":
                self._split(fleet.place.input if event.deed == "split" else fleet.place.output, event.size)
            case "merge" | "merge output":
                self._merge(fleet.place.input if event.deed == "merge" else fleet.place.output, event.size)
            case "expire":
                self._expire(fleet, event)
            case "kinesis":
                self._later(self._trouble(ground.to_streams, event))
            case "tables":
                self._later(self._trouble(ground.to_tables, event))
            case "refuse":
                self._later(self._refuse(event))
            case _:
                own = course.do(event)
                if own is not None:
                    self._later(own)

    def _strike(self, event: Event) -> None:
        """Kill or pause whoever makes the next request of a kind, in its midst."""
        network = self._ground.to_tables if "Item" in event.where or event.where == "Scan" else self._ground.to_streams

        def strike(process: Process) -> None:
            for fleet in self._fleets:
                for life in fleet.alive():
                    if life.process in (process, process.parent):
                        self._later(self._struck(event, fleet, life))

        network.strikes.append(Strike(event.where, event.size < 0.5, strike))

    async def _struck(self, event: Event, fleet: Fleet, life: Life) -> None:
        self._ground.note(f"{life.worker_id} is struck at {event.where}")
        event = event._replace(deed=event.deed.partition(" ")[0], size=0.3 + 0.7 * event.size)
        await (fleet.end_and_start if event.deed == "kill" else fleet.pause)(event, life)

    async def _trouble(self, network: Network, event: Event) -> None:
        network.trouble = event.trouble
        await asyncio.sleep(event.lasts_s)
        network.trouble = FINE

    async def _refuse(self, event: Event) -> None:
        self._ground.kinesis.refusing = event.size
        await asyncio.sleep(event.lasts_s)
        self._ground.kinesis.refusing = 0.0

    def _split(self, name: str, size: float) -> None:
        shards = self._ground.kinesis.streams[name].open_shards
        shard = shards[int(size * len(shards))]
        middle = shard.start + (shard.end - shard.start) // 2
        if len(shards) < MAX_SHARDS and shard.end - shard.start < MAX_HASH_KEY + 1:
            self._ground.kinesis.change(name, Split(shard.index, str(middle)))

    def _merge(self, name: str, size: float) -> None:
        shards = self._ground.kinesis.streams[name].open_shards
        if len(shards) > 1:
            first = int(size * (len(shards) - 1))
            self._ground.kinesis.change(name, Merge(shards[first].index, shards[first + 1].index))

    def _expire(self, fleet: Fleet, event: Event) -> None:
        """Closed shards are gone: those that all have gone past, or, if the plan says so, all."""
        if event.where == EVERYTHING:
            self._ground.kinesis.expire(fleet.place.input)
        elif not any(one.process.paused for one in fleet.alive()):
            self._ground.kinesis.expire(fleet.place.input, lambda shard: self._is_left_behind(fleet, shard))

    def _is_left_behind(self, fleet: Fleet, shard: Shard) -> bool:
        """Whether a closed shard has been worked off, and its children's owners have gone on past it."""
        rows = self._ground.tables.rows.get(f"leases-{fleet.place.name}", {})
        row = rows.get((shard.shard_id, ""))
        if row is None or row["checkpoint"]["S"] != "SHARD_END":
            return False
        for child in self._children(fleet, shard):
            row = rows.get((child.shard_id, ""))
            if row is None or not (row["checkpoint"]["S"].isdigit() or self._is_left_behind(fleet, child)):
                return False
        return True

    def _children(self, fleet: Fleet, shard: Shard) -> Iterable[Shard]:
        shards = self._ground.kinesis.streams[fleet.place.input].shards
        return (one for one in shards if shard.shard_id in one.parent_ids)

    # --- in the end ----------------------------------------------------------------------------------------------

    async def _settle(self) -> list[str]:
        """Wait until nothing is left to do; what is, when patience is over or a breach is found."""
        deadline = self._ground.loop.time() + PATIENCE_S
        while not self._ground.breaches:
            left = self._left()
            if not left:
                await asyncio.sleep(STAYS_S)  # and it stays so
                left = self._left()
            if not left or self._ground.loop.time() > deadline:
                return left
            await asyncio.sleep(1.0)
        return []

    def _left(self) -> list[str]:
        left = [f"never settled: {what}" for what in self._course.unsettled()]
        for fleet in self._fleets:
            left += fleet.left(self._course.check_idle)
        return left
