"""Runs schedules: `python -m tests.simulation --schedules 100000 [--jobs 2] [--world shard|pipeline|both] [--json]`.

A seed that fails is printed at once; `--seed N --world W` repeats it, with `--trace` it tells what happened. With
`--world both`, every tenth schedule is one of the pipeline's.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.ground import Outcome
from tests.simulation.running import CHUNK, WORLDS, Schedule, run

BOTH = ("shard",) * 9 + ("pipeline",)
TELL_EVERY = 2_000


def main() -> int:
    """1 when a schedule breaks an invariant."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--schedules", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--world", choices=("shard", "pipeline", "both"), default="shard")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first seed that fails")
    parser.add_argument("--trace", action="store_true", help="tell what happens in the schedule of --seed")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    arguments = parser.parse_args()
    if arguments.trace:
        outcome = WORLDS[arguments.world](arguments.seed, print)
        return _report(Schedule(arguments.world, arguments.seed), outcome)
    worlds = BOTH if arguments.world == "both" else (arguments.world,)
    seeds = range(arguments.seed, arguments.seed + arguments.schedules)
    schedules = [Schedule(worlds[seed % len(worlds)], seed) for seed in seeds]
    figures = Figures()
    for schedule, outcome in _outcomes(schedules, arguments.jobs):
        if figures.add(schedule, outcome) % TELL_EVERY == 0:
            print(f"so far: {json.dumps(figures.as_dict())}", file=sys.stderr, flush=True)
        if _report(schedule, outcome) and not arguments.keep_going:
            break
    print(json.dumps(figures.as_dict()) if arguments.json else figures)
    return 1 if figures.failed else 0


def _outcomes(schedules: list[Schedule], jobs: int) -> Iterator[tuple[Schedule, Outcome]]:
    if jobs == 1:
        yield from map(run, schedules)
        return
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(run, schedules, chunksize=CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def _report(schedule: Schedule, outcome: Outcome) -> int:
    if not outcome.breaches:
        return 0
    print(f"--world {schedule.world} --seed {schedule.seed}:", *outcome.breaches[:4], sep="\n  ", flush=True)
    return 1


class Figures:
    """What was run."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._schedules: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._requests = self._repeats = 0
        self._simulated_s = 0.0
        self.failed: list[Schedule] = []

    def add(self, schedule: Schedule, outcome: Outcome) -> int:
        """Count a schedule; how many there were."""
        self._schedules[schedule.world] += 1
        self._faults.update(outcome.faults)
        self._requests += outcome.requests
        self._repeats += outcome.repeats
        self._simulated_s += outcome.simulated_s
        if outcome.breaches:
            self.failed.append(schedule)
        return self._schedules.total()

    def as_dict(self) -> dict[str, object]:
        """The figures by name."""
        uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return {
            "schedules": dict(self._schedules),
            "failed": [f"--world {one.world} --seed {one.seed}" for one in self.failed],
            "requests": self._requests,
            "repeats": self._repeats,
            "simulated_hours": round(self._simulated_s / 3600, 1),
            "faults": dict(sorted(self._faults.items(), key=lambda item: -item[1])),
            "seconds": round(time.monotonic() - self._began_s, 1),
            "cpu_seconds": round(sum(use.ru_utime + use.ru_stime for use in uses), 1),
            "peak_mib": max(use.ru_maxrss for use in uses) // 1024,
        }

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self.as_dict().items())


if __name__ == "__main__":
    sys.exit(main())
