"""What every world stands on: the loop, the services, what was found wrong, and a diary for whoever replays a seed."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, NamedTuple
from unittest.mock import patch

from streams import calls, dead_letters, driver, embedded, kinesis, runtime, snapshots
from streams.runtime import ShardRuntime
from tests.simulation.kinesis import SimulatedKinesis
from tests.simulation.loop import PROCESS, Clock, Process, SimulatedLoop
from tests.simulation.network import Network
from tests.simulation.tables import SimulatedTables

FAILOVER_S = 3.0
OPEN_MS = 2_000
PATIENCE_S = 300.0
"""Simulated: how long after the last fault all must be settled. Leases, breakers and backoffs take some 10 s of it."""

Diary = Callable[[str], None]


class Outcome(NamedTuple):
    """What became of a schedule. faults: by kind; trace: equal for two runs of one seed."""

    seed: int
    breaches: list[str]
    repeats: int
    requests: int
    simulated_s: float
    faults: dict[str, int]
    trace: int


class Ground:
    """diary: told of what happens, for `--trace`; None: nobody reads it."""

    def __init__(self, seed: int, loop: SimulatedLoop, diary: Diary | None) -> None:
        self.seed = seed
        self.loop = loop
        self.random = random.Random(seed + 1)
        self.to_streams = Network(loop, random.Random(seed + 2))
        self.to_tables = Network(loop, random.Random(seed + 3))
        self.kinesis = SimulatedKinesis(loop, self.to_streams, random.Random(seed + 4))
        self.tables = SimulatedTables(self.to_tables)
        self.breaches: list[str] = []
        self.runtimes: list[tuple[Process, ShardRuntime]] = []
        self.faults: Counter[str] = Counter()
        self._diary = diary
        self.log: Any = _Log(self, diary is not None)

    @property
    def is_watched(self) -> bool:
        """Whether the diary is read."""
        return self._diary is not None

    def note(self, what: str) -> None:
        """Write into the diary."""
        if self._diary is not None:
            process = PROCESS.get()
            self._diary(f"{self.loop.time():9.3f}  {process.name if process else '-':<14}{what}")

    def breach(self, what: str) -> None:
        """An invariant does not hold."""
        self.note(f"BREACH: {what}")
        self.breaches.append(what)

    def register(self, *arguments: Any) -> ShardRuntime:
        """Stands in for ShardRuntime, to look inside later."""
        made = ShardRuntime(*arguments)
        process = PROCESS.get()
        assert process is not None
        self.runtimes = [(owner, one) for owner, one in self.runtimes if not owner.dead and not one._stopped]
        self.runtimes.append((process, made))
        return made


class _Log:
    """A log and metrics that nobody reads, unless the diary is."""

    def __init__(self, ground: Ground, is_read: bool) -> None:
        self._ground = ground
        if is_read:
            self.info = self.warning = self.error = self._write  # type: ignore[method-assign]

    def info(self, *arguments: Any, **metadata: Any) -> None:
        return

    warning = error = add = flush = info

    def _write(self, *arguments: Any, **metadata: Any) -> None:
        facts = " ".join(f"{name}={value}" for name, value in metadata.items())
        self._ground.note(f"{': '.join(map(str, arguments))} {facts}")


@contextmanager
def simulated(
    ground: Ground, idle_ms: int, snapshot_every_ms: int, clocks: Sequence[ModuleType] = ()
) -> Iterator[None]:
    """The clock and the randomness of the modules that run here are the simulation's.

    clocks: further modules that read the time.
    """
    clock = Clock(ground.loop)
    rng = random.Random(ground.seed + 5)
    with ExitStack() as stack:
        for module in (calls, runtime, embedded, snapshots, dead_letters, *clocks):
            stack.enter_context(patch.object(module, "time", clock))
        for module in (calls, embedded, kinesis):
            stack.enter_context(patch.object(module, "random", rng))
        stack.enter_context(patch.object(embedded, "ShardRuntime", ground.register))
        stack.enter_context(patch.object(embedded, "PAUSE_S", 0.1))
        stack.enter_context(patch.object(runtime, "TICK_S", 0.1))
        stack.enter_context(patch.object(runtime, "TICKS_TO_LOOK_AFTER", 2))
        stack.enter_context(patch.object(driver, "IDLE_MS", idle_ms))
        stack.enter_context(patch.object(driver, "SNAPSHOT_EVERY_MS", snapshot_every_ms))
        yield
