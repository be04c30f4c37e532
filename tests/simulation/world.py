"""One schedule: workers of one stage on simulated services, what the plan does to them, and whether all came right."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from local.kinesis.model import MAX_HASH_KEY, Merge, Split
from streams import calls, dead_letters, driver, embedded, kinesis, runtime, snapshots
from streams.catch_up import InputLog
from streams.dead_letters import DeadLetters
from streams.embedded import Options, Worker
from streams.errors import DuplicateWorker
from streams.journal import Journal
from streams.kinesis import OrderedWriter
from streams.leases import Leases
from streams.policy import Breaker
from streams.records import AudioChunk, Record, SessionEvent, encode
from streams.runtime import Equipment, ShardRuntime
from streams.snapshots import Snapshots
from tests.simulation.checks import Checks
from tests.simulation.kinesis import SimulatedKinesis
from tests.simulation.loop import PROCESS, Clock, Deadlock, Process, SimulatedLoop, run_in
from tests.simulation.network import LATE_S, Network, Trouble
from tests.simulation.plan import Event, Plan, Send, make_plan
from tests.simulation.stages import AskStage, Oracle
from tests.simulation.tables import SimulatedTables
from tests.support.copy_stage import CopyStage

FAILOVER_S = 3.0
OPEN_MS = 2_000
PATIENCE_S = 300.0
"""Simulated: how long after the last fault all must be settled. Leases, breakers and backoffs take some 10 s of it."""
DOWNTIME_S = 100.0
"""Longer than recovery looks back."""


class Outcome(NamedTuple):
    """What became of a schedule. trace: equal for two runs of one seed."""

    seed: int
    breaches: list[str]
    repeats: int
    requests: int
    simulated_s: float
    trace: int


class _Silent:
    """A log and metrics that nobody reads."""

    def info(self, *arguments: Any, **metadata: Any) -> None:
        return

    warning = error = add = flush = info


class _Life:
    """One life of a worker."""

    def __init__(self, worker_id: str, process: Process, worker: Worker, task: "asyncio.Task[None]") -> None:
        self.worker_id = worker_id
        self.process = process
        self.worker = worker
        self.task = task


class World:
    """See the module."""

    def __init__(self, plan: Plan, loop: SimulatedLoop) -> None:
        self._plan = plan
        self._loop = loop
        self._random = random.Random(plan.seed + 1)
        self._checks = Checks(plan)
        self._to_streams = Network(loop, random.Random(plan.seed + 2))
        self._to_tables = Network(loop, random.Random(plan.seed + 3))
        self._kinesis = SimulatedKinesis(loop, self._to_streams, random.Random(plan.seed + 4))
        self._kinesis.create("in", plan.input_shards)
        self._kinesis.create("out", plan.output_shards)
        self._kinesis.on_put = lambda stream, _, kept: self._checks.emitted(kept) if stream == "out" else None
        self._tables = SimulatedTables(self._to_tables)
        self._tables.on_write = self._checks.stored
        self._oracles: list[Oracle] = []
        self._failing = 0.0
        self._hanging: set[str] = set()
        self._lives: list[_Life] = []
        self._names = 0
        self._runtimes: list[tuple[Process, ShardRuntime]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.trace = 0

    async def run(self) -> Outcome:
        """Let it happen."""
        for _ in range(self._plan.workers):
            self._start()
        producer = self._loop.create_task(self._produce())
        for event in self._plan.events:
            await self._until(event.at_s)
            self._do(event)
        await producer
        while self._tasks:
            await asyncio.wait(self._tasks)
        if not self._alive():
            self._start()
        await self._until(max((event.at_s + event.lasts_s for event in self._plan.events), default=0.0) + LATE_S)
        breaches = self._checks.breaches
        late = await self._settle()
        breaches += late
        if not breaches:
            await self._stop_all()
        for life in self._lives:
            await self._loop.kill(life.process)
        breaches += [f"in a callback: {context.get('exception')!r}" for context in self._loop.errors]
        requests = self._to_streams.requests + self._to_tables.requests
        self.trace = hash((requests, self._loop.time(), self._checks.repeats))
        return Outcome(self._plan.seed, breaches, self._checks.repeats, requests, self._loop.time(), self.trace)

    # --- workers -------------------------------------------------------------------------------------------------

    def _start(self, worker_id: str | None = None) -> None:
        if worker_id is None:
            self._names += 1
            worker_id = f"worker-{self._names}"
        process = Process(worker_id)
        silent: Any = _Silent()
        oracle = Oracle(self._random)
        oracle.failing, oracle.hanging = self._failing, self._hanging
        self._oracles.append(oracle)
        writer = OrderedWriter(self._kinesis, "out")
        equipment = Equipment(
            stage="s",
            build=CopyStage if self._plan.stage == "copy" else AskStage,
            services=[oracle],
            breakers={oracle.name: Breaker(open_ms=OPEN_MS)},
            writer=writer,
            snapshots=Snapshots(self._tables, "Snapshots", "s"),
            dead_letters=DeadLetters(self._tables, "DeadLetters", "s", "in"),
            journal=Journal(None, "s", worker_id, "0", silent),
            log=silent,
            metrics=silent,
            source=InputLog(self._kinesis, "in"),
        )
        options = Options("in", "out", poll_s=0.3, failover_s=FAILOVER_S)
        worker = Worker(self._kinesis, self._leases(worker_id), equipment, worker_id, options)

        async def work() -> None:
            try:
                await worker.run(lambda: None)
            finally:
                await writer.close()

        task = run_in(process, work)
        task.add_done_callback(lambda task: self._ended(process, task))
        self._lives.append(_Life(worker_id, process, worker, task))

    def _leases(self, worker_id: str) -> Leases:
        return Leases(self._tables, "leases", worker_id, run=f"{len(self._lives):06d}")

    def _ended(self, process: Process, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or process.dead or (error := task.exception()) is None:
            return
        self._loop.create_task(self._loop.kill(process))  # a program ends with its worker
        if not isinstance(error, DuplicateWorker):
            self._checks.breaches.append(f"a worker ended with {error!r} at {self._loop.time():.1f} s")

    def _alive(self) -> list[_Life]:
        return [life for life in self._lives if not life.process.dead and not life.task.done()]

    def register(self, *arguments: Any) -> ShardRuntime:
        """Stands in for ShardRuntime, to look inside later."""
        made = ShardRuntime(*arguments)
        process = PROCESS.get()
        assert process is not None
        self._runtimes.append((process, made))
        return made

    # --- what the plan says --------------------------------------------------------------------------------------

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self._loop.time()))

    async def _produce(self) -> None:
        for send in self._plan.sends:
            await self._until(send.at_s)
            shard, kept = self._kinesis.put("in", send.session_id, _bytes(send))
            sequence = send.sequence if send.kind in ("chunk", "repeat") else -1
            self._checks.sent(shard, kept, send.session_id, sequence)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _do(self, event: Event) -> None:
        alive = self._alive()
        life = alive[int(event.size * len(alive))] if alive else None
        match event.deed:
            case "kill" | "stop" | "rename" if life is not None:
                self._later(self._end_and_start(event, life))
            case "pause" if life is not None:
                self._later(self._pause(event, life))
            case "join":
                self._start()
            case "downtime":
                self._later(self._downtime())
            case "split" | "split output":
                self._split("in" if event.deed == "split" else "out", event.size)
            case "merge" | "merge output":
                self._merge("in" if event.deed == "merge" else "out", event.size)
            case "expire":
                self._kinesis.expire("in")
            case "kinesis":
                self._later(self._trouble(self._to_streams, event))
            case "tables":
                self._later(self._trouble(self._to_tables, event))
            case "refuse":
                self._later(self._refuse(event))
            case "oracle":
                self._later(self._oracle_fails(event))
            case "hang":
                self._later(self._oracle_hangs(event))

    async def _end_and_start(self, event: Event, life: _Life) -> None:
        if event.deed == "stop":
            life.worker.stop()
            await asyncio.wait([life.task])
        else:
            await self._loop.kill(life.process)
        await asyncio.sleep(event.lasts_s * event.size)
        self._start(None if event.deed == "rename" else life.worker_id)

    async def _pause(self, event: Event, life: _Life) -> None:
        self._loop.pause(life.process)
        if event.size < 0.3:  # the lowest: by one with its own id, as a supervisor would that thinks it dead
            self._start(life.worker_id if event.size < 0.1 else None)
        await asyncio.sleep(event.lasts_s)
        self._loop.resume(life.process)

    async def _downtime(self) -> None:
        for life in self._alive():
            await self._loop.kill(life.process)
        await asyncio.sleep(DOWNTIME_S)
        self._start()

    async def _trouble(self, network: Network, event: Event) -> None:
        network.trouble = event.trouble
        await asyncio.sleep(event.lasts_s)
        network.trouble = Trouble()

    async def _refuse(self, event: Event) -> None:
        self._kinesis.refusing = event.size
        await asyncio.sleep(event.lasts_s)
        self._kinesis.refusing = 0.0

    async def _oracle_fails(self, event: Event) -> None:
        self._set_failing(0.3 + event.size)
        await asyncio.sleep(event.lasts_s)
        self._set_failing(0.0)

    async def _oracle_hangs(self, event: Event) -> None:
        names = sorted({send.session_id for send in self._plan.sends})
        session_id = names[int(event.size * len(names))]
        self._hanging.add(session_id)
        await asyncio.sleep(2 * event.lasts_s)
        self._hanging.discard(session_id)

    def _set_failing(self, probability: float) -> None:
        self._failing = probability
        for oracle in self._oracles:
            oracle.failing = probability

    def _split(self, name: str, size: float) -> None:
        shards = self._kinesis.streams[name].open_shards
        shard = shards[int(size * len(shards))]
        middle = shard.start + (shard.end - shard.start) // 2
        if len(shards) < 5 and shard.end - shard.start < MAX_HASH_KEY + 1:
            self._kinesis.change(name, Split(shard.index, str(middle)))

    def _merge(self, name: str, size: float) -> None:
        shards = self._kinesis.streams[name].open_shards
        if len(shards) > 1:
            first = int(size * (len(shards) - 1))
            self._kinesis.change(name, Merge(shards[first].index, shards[first + 1].index))

    # --- in the end ----------------------------------------------------------------------------------------------

    async def _settle(self) -> list[str]:
        """Wait until nothing is left to do; what is, when patience is over or a breach is found."""
        deadline = self._loop.time() + PATIENCE_S
        while not self._checks.breaches:
            left = self._left()
            if not left:
                await asyncio.sleep(FAILOVER_S)  # and it stays so
                left = self._left()
            if not left or self._loop.time() > deadline:
                return left
            await asyncio.sleep(1.0)
        return []

    def _left(self) -> list[str]:
        left = [f"never settled: {what}" for what in self._checks.unsettled()]
        rows = self._tables.rows.get("leases", {})
        tasks = [item for life in self._alive() for item in life.worker._tasks.items()]
        at_work = {shard_id for shard_id, task in tasks if not task.done()}
        for shard in self._kinesis.streams["in"].shards:
            row = rows.get((shard.shard_id, ""))
            ended = row is not None and row["checkpoint"]["S"] == "SHARD_END"
            if shard.uid not in self._kinesis.expired and not (shard.shard_id in at_work if shard.is_open else ended):
                left.append(f"{shard.shard_id} is {'not read' if shard.is_open else 'not ended'}")
        for process, one in self._runtimes:
            if not process.dead and not one._stopped:
                left += self._leaks(one)
        return left

    def _leaks(self, one: ShardRuntime) -> Iterator[str]:
        sizes = {
            "open records": one._driver.open_records(),
            "positions": len(one._driver._covered),
            "open bytes": one._driver._open_bytes,
            "held": len(one._driver._full),
            "parked": len(one._driver.parking),
            "calls": one._driver.open_calls() + len(one._calls._tasks) + len(one._calls._lanes),
            "records": max(0, len(one._records) - 64),
            "tasks": len(one._tasks) - 1,
        }
        if self._plan.idle_ms < 10_000:
            sizes |= {"sessions": one.sessions(), "covered": len(one._covered)}
        return (f"{size} {name} are left in {one._shard_id}" for name, size in sizes.items() if size)

    async def _stop_all(self) -> None:
        alive = self._alive()
        for life in alive:
            life.worker.stop()
        _, pending = await asyncio.wait([life.task for life in alive], timeout=20)
        if pending:
            self._checks.breaches.append("a worker does not stop")
        leases = self._tables.rows["leases"]
        ids = [shard.shard_id for shard in self._kinesis.streams["in"].open_shards]
        owned = [shard_id for shard_id in ids if "leaseOwner" in leases[shard_id, ""]]
        if owned:
            self._checks.breaches.append(f"not released: {owned}")


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


@contextmanager
def _simulated(plan: Plan, loop: SimulatedLoop, world: Callable[..., ShardRuntime]) -> Iterator[None]:
    clock = Clock(loop)
    rng = random.Random(plan.seed + 5)
    with ExitStack() as stack:
        for module in (calls, runtime, embedded, snapshots, dead_letters):
            stack.enter_context(patch.object(module, "time", clock))
        for module in (calls, embedded, kinesis):
            stack.enter_context(patch.object(module, "random", rng))
        stack.enter_context(patch.object(embedded, "ShardRuntime", world))
        stack.enter_context(patch.object(embedded, "PAUSE_S", 0.1))
        stack.enter_context(patch.object(runtime, "TICK_S", 0.1))
        stack.enter_context(patch.object(runtime, "TICKS_TO_LOOK_AFTER", 2))
        stack.enter_context(patch.object(driver, "MAX_SESSION_RECORDS", plan.session_records))
        stack.enter_context(patch.object(driver, "IDLE_MS", plan.idle_ms))
        stack.enter_context(patch.object(driver, "SNAPSHOT_EVERY_MS", plan.snapshot_every_ms))
        yield


def run_seed(seed: int) -> Outcome:
    """Run one schedule."""
    return run_plan(make_plan(seed))


def run_plan(plan: Plan) -> Outcome:
    """Run a schedule."""
    loop = SimulatedLoop(plan.seed)
    world = World(plan, loop)
    try:
        with _simulated(plan, loop, world.register):
            return loop.run_until_complete(world.run())
    except Deadlock:
        return Outcome(plan.seed, ["everybody waits for somebody else"], 0, 0, loop.time(), 0)
    finally:
        loop.close()
