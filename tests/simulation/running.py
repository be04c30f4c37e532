"""One schedule of either world; a module of its own, so that other processes find it."""

import gc
from typing import NamedTuple

from tests.simulation import pipeline, shard
from tests.simulation.ground import Outcome

WORLDS = {"shard": shard.run_seed, "pipeline": pipeline.run_seed}
CHUNK = 20


class Schedule(NamedTuple):
    """A world and a seed."""

    world: str
    seed: int


def run(schedule: Schedule) -> tuple[Schedule, Outcome]:
    """Run it."""
    gc.disable()  # a run leaves its loop behind, in cycles: cheaper to collect now and then than all the time
    outcome = WORLDS[schedule.world](schedule.seed)
    if schedule.seed % CHUNK == 0:
        gc.collect()
    return schedule, outcome
