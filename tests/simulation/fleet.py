"""The workers of one stage: how they are started, stopped, killed and paused, and what is left of them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, NamedTuple

from streams.breakers import OUTPUT, OUTPUT_OPEN_MS, Guard
from streams.catch_up import InputLog
from streams.dead_letters import DeadLetters
from streams.embedded import Options, Worker
from streams.errors import DuplicateWorker, NewerVersion
from streams.journal import Journal
from streams.kinesis import OrderedWriter
from streams.leases import Leases
from streams.policy import Breaker
from streams.runtime import Equipment, ShardRuntime
from streams.snapshots import Snapshots
from streams.stage import Service, StageBuilder
from tests.simulation.ground import FAILOVER_S, OPEN_MS, Ground
from tests.simulation.kcl import ChildGone, Daemon
from tests.simulation.loop import Process, run_in
from tests.simulation.plan import Event

DOWNTIME_S = 100.0
"""Longer than recovery looks back."""
STOP_S = 20.0
POLL_S = 0.4


async def _nothing() -> None:
    return


class Life(NamedTuple):
    """One life of a worker. release: which version of the stage it runs."""

    worker_id: str
    process: Process
    worker: Worker | Daemon
    task: "asyncio.Task[None]"
    release: int


class StagePlace(NamedTuple):
    """A stage and its streams."""

    name: str
    input: str
    output: str


Close = Callable[[], Coroutine[Any, Any, None]]
Equip = Callable[[Process, int], tuple[StageBuilder, Sequence[Service]]]
"""Makes the builder and the services of a release, in the worker's process."""


class Fleet:
    """See the module."""

    def __init__(self, ground: Ground, place: StagePlace, equip: Equip, runner: str = "embedded") -> None:
        self._runner = runner
        self.ground = ground
        self.place = place
        self._equip = equip
        self._names = self._starts = 0
        self._lives: list[Life] = []
        self._youngest: dict[str, Process] = {}  # by worker id
        self.release = 1
        self._is_over = False

    def start(self, worker_id: str | None = None) -> None:
        """Start a worker, under a new id or one from before."""
        if worker_id is None:
            self._names += 1
            worker_id = f"{self.place.name}-{self._names}"
        self._starts += 1
        process = self._youngest[worker_id] = Process(worker_id)
        ground, place, release = self.ground, self.place, self.release
        ground.note(f"{worker_id} starts, release {release}")
        options = Options(place.input, place.output, poll_s=POLL_S, failover_s=FAILOVER_S)
        table = f"leases-{place.name}"
        worker: Worker | Daemon
        if self._runner == "kcl":
            worker = Daemon(
                ground, process, table, worker_id, options, lambda child: self._equipment(child, worker_id, release)
            )
            close = _nothing
        else:
            equipment, close = self._equipment(process, worker_id, release)
            leases = Leases(ground.tables, table, worker_id, run=f"{self._starts:06d}")
            worker = Worker(ground.kinesis, leases, equipment, worker_id, options)

        async def work() -> None:
            try:
                await worker.run(lambda: None)
            finally:
                await close()

        task = run_in(process, work)
        task.add_done_callback(lambda task: self._ended(worker_id, process, task, release))
        self._lives = [life for life in self._lives if not life.process.dead and not life.task.done()]
        self._lives.append(Life(worker_id, process, worker, task, release))

    def _equipment(self, process: Process, worker_id: str, release: int) -> tuple[Equipment, Close]:
        ground, place, silent = self.ground, self.place, self.ground.log
        build, services = self._equip(process, release)
        breakers = {service.name: Breaker(open_ms=OPEN_MS) for service in services}
        breakers[OUTPUT] = Breaker(open_ms=OUTPUT_OPEN_MS)
        guard = Guard(OUTPUT, breakers[OUTPUT], silent, silent)
        writer = OrderedWriter(ground.kinesis, place.output, guard=guard)
        equipment = Equipment(
            stage=place.name,
            build=build,
            services=services,
            breakers=breakers,
            writer=writer,
            snapshots=Snapshots(ground.tables, "Snapshots", place.name),
            dead_letters=DeadLetters(ground.tables, "DeadLetters", place.name, place.input),
            journal=Journal(None, place.name, worker_id, "0", silent),
            log=silent,
            metrics=silent,
            source=InputLog(ground.kinesis, place.input),
        )

        async def close() -> None:
            await writer.close()
            for service in services:
                await service.close()

        return equipment, close

    def _ended(self, worker_id: str, process: Process, task: "asyncio.Task[None]", release: int) -> None:
        if task.cancelled() or process.dead or (error := task.exception()) is None:
            return
        self.ground.note(f"{process.name} ends with {error!r}")
        self.ground.loop.create_task(self.ground.loop.kill(process))  # a program ends with its worker
        if isinstance(error, ChildGone):  # its supervisor starts it again
            self.ground.faults["a child took its daemon with it"] += 1
            self.ground.loop.call_later(FAILOVER_S / 3, self._start_again, worker_id)
            return
        if isinstance(error, DuplicateWorker):
            self.ground.faults["of two under one id, the older ended"] += 1
            return
        if isinstance(error, NewerVersion) and release < self.release:
            self.ground.faults["newer snapshot refused"] += 1
            self.start()  # its supervisor has the new release by now
            return
        self.ground.breach(f"{process.name} ended with {error!r} at {self.ground.loop.time():.1f} s")

    def _start_again(self, worker_id: str) -> None:
        if not self._is_over:
            self.start(worker_id)

    def alive(self) -> list[Life]:
        """The workers at work, paused ones too."""
        return [life for life in self._lives if not life.process.dead and not life.task.done()]

    def check_lease(self, key: str, process: Process) -> None:
        """Who begins to write for a key must not begin when its lease is another's: its fence should be closed.

        Of two processes under one id the older does not know before its next renewal that the younger has taken its
        lease, or has passed it on by now; what it writes until then readers drop.
        """
        program = process.parent or process
        worker_id = program.name
        if self._youngest[worker_id] is not program:
            return
        rows = self.ground.tables.rows.get(f"leases-{self.place.name}", {})
        owners = [
            rows[shard.shard_id, ""].get("leaseOwner", {"S": worker_id})["S"]
            for shard in self.ground.kinesis.shards_of(self.place.input, key)
            if (shard.shard_id, "") in rows
        ]
        if owners and worker_id not in owners:
            self.ground.breach(f"{process.name} begins to write for {key} when the lease is {owners[-1]}'s")

    # --- what the plan does to them ------------------------------------------------------------------------------

    def pick(self, size: float) -> Life | None:
        """One of those alive."""
        alive = self.alive()
        return alive[int(size * len(alive))] if alive else None

    async def end_and_start(self, event: Event, life: Life) -> None:
        """Kill or stop a worker; after a while another comes, or the same again."""
        if event.deed == "stop":
            life.worker.stop()
            await asyncio.wait([life.task])
        else:
            hit = self._hit(event, life)
            for process in hit:
                await self.ground.loop.kill(process)
            if life.process not in hit:
                return  # the daemon follows its child, and its supervisor starts it again
        await asyncio.sleep(event.lasts_s * event.size)
        self.start(None if event.deed == "rename" else life.worker_id)

    async def pause(self, event: Event, life: Life) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        hit = self._hit(event, life)
        for process in hit:
            self.ground.loop.pause(process)
        if event.size < 0.3:  # the lowest: by one with its own id, as a supervisor would that thinks it dead
            self.start(life.worker_id if event.size < 0.1 else None)
        await asyncio.sleep(event.lasts_s)
        for process in hit:
            self.ground.loop.resume(process)

    @staticmethod
    def _hit(event: Event, life: Life) -> list[Process]:
        """Who gets the signal."""
        return life.worker.processes(event.size) if isinstance(life.worker, Daemon) else [life.process]

    async def downtime(self) -> None:
        """All are dead for a long time."""
        for life in self.alive():
            await self.ground.loop.kill(life.process)
        await asyncio.sleep(DOWNTIME_S)
        self.start()

    async def deploy(self, pause_s: float) -> None:
        """A rolling deploy: each worker in turn is stopped and started with the next release."""
        before = self.alive()
        self.release = 2
        for life in before:
            life.worker.stop()
            await asyncio.wait([life.task])
            self.start(life.worker_id)
            await asyncio.sleep(pause_s)

    # --- in the end ----------------------------------------------------------------------------------------------

    def left(self, check_idle: bool) -> Iterator[str]:
        """Shards that nobody reads, and what runtimes still hold."""
        rows = self.ground.tables.rows.get(f"leases-{self.place.name}", {})
        tasks = [item for life in self.alive() for item in life.worker._tasks.items()]
        at_work = {shard_id for shard_id, task in tasks if not task.done()}
        for shard in self.ground.kinesis.streams[self.place.input].shards:
            row = rows.get((shard.shard_id, ""))
            ended = row is not None and row["checkpoint"]["S"] == "SHARD_END"
            if shard.uid not in self.ground.kinesis.expired and not (
                shard.shard_id in at_work if shard.is_open else ended
            ):
                yield f"{self.place.name}: {shard.shard_id} is {'not read' if shard.is_open else 'not ended'}"
        for process, one in self.ground.runtimes:
            if not process.dead and not one._stopped and one._equipment.stage == self.place.name:
                yield from leaks(one, check_idle)

    async def stop_all(self) -> None:
        """SIGTERM to all: they drain, and let go of their leases."""
        self._is_over = True
        alive = self.alive()
        for life in alive:
            life.worker.stop()
        if alive:
            _, pending = await asyncio.wait([life.task for life in alive], timeout=STOP_S)
            if pending:
                self.ground.breach(f"{self.place.name}: a worker does not stop")
        leases = self.ground.tables.rows[f"leases-{self.place.name}"]
        ids = [shard.shard_id for shard in self.ground.kinesis.streams[self.place.input].open_shards]
        owned = [shard_id for shard_id in ids if "leaseOwner" in leases[shard_id, ""]]
        if owned:
            self.ground.breach(f"{self.place.name}: not released: {owned}")

    async def kill_all(self) -> None:
        """Whatever is left of them."""
        for life in self._lives:
            await self.ground.loop.kill(life.process)


def leaks(one: ShardRuntime, check_idle: bool) -> Iterator[str]:
    """What is still held when all is settled. check_idle: sessions should have left memory too."""
    sizes = {
        "open records": one._driver.open_records(),
        "positions": len(one._driver._covered),
        "open bytes": one._driver._open_bytes,
        "full": len(one._driver._full),
        "parked": len(one._driver.parking),
        "calls": one._driver.open_calls() + len(one._calls._tasks) + len(one._calls._lanes),
        "records": max(0, len(one._records) - 64),
        "tasks": len(one._tasks) - 1,
    }
    if check_idle:
        sizes |= {"sessions": one.sessions(), "covered": len(one._covered)}
    return (f"{size} {name} are left in {one._equipment.stage} {one._shard_id}" for name, size in sizes.items() if size)
