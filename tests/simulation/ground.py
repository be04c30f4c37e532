"""What every world stands on: the loop, the services, what was found wrong, and a diary for whoever replays a seed."""

import functools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

from streams import driver, embedded, runtime
from streams.recovery import read_emitted
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
Setting = tuple[ModuleType, str, Any]


@functools.cache
def _modules() -> list[ModuleType]:
    """All of the product that is loaded: what of it reads the time or draws is given the simulation's."""
    return [module for name, module in sorted(sys.modules.items()) if name.partition(".")[0] in ("streams", "stages")]


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
        self.openings: dict[Process, dict[str, float]] = {}
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

    async def read_emitted(self, *arguments: Any, **options: Any) -> Any:
        """Stands in for `recovery.read_emitted`: when did who learn of what had been emitted, by shard?"""
        process, shard = PROCESS.get(), arguments[2]
        assert process is not None
        began_s = self.loop.time()
        found = await read_emitted(*arguments, **options)
        self.openings.setdefault(process, {}).setdefault(shard.shard_id, began_s)
        return found

    def register(self, *arguments: Any, **options: Any) -> ShardRuntime:
        """Stands in for ShardRuntime, to look inside later."""
        made = ShardRuntime(*arguments, **options)
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
def simulated(ground: Ground, idle_ms: int, snapshot_every_ms: int, further: Sequence[Setting] = ()) -> Iterator[None]:
    """The clock and the randomness of what runs here are the simulation's; steps are fewer and larger."""
    clock, rng = Clock(ground.loop), random.Random(ground.seed + 5)
    settings: list[Setting] = [
        *((module, "time", clock) for module in _modules() if getattr(module, "time", None) is time),
        *((module, "random", rng) for module in _modules() if getattr(module, "random", None) is random),
        (embedded, "ShardRuntime", ground.register),
        (embedded, "read_emitted", ground.read_emitted),
        (embedded, "PAUSE_S", 0.1),
        (runtime, "TICK_S", 0.2),
        (runtime, "TICKS_TO_LOOK_AFTER", 1),
        (driver, "IDLE_MS", idle_ms),
        (driver, "SNAPSHOT_EVERY_MS", snapshot_every_ms),
        *further,
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in settings]
    for module, name, value in settings:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in reversed(before):
            setattr(module, name, value)
