"""Runs schedules: `python -m tests.simulation --schedules 100000 [--seed N]`. With --seed alone, that one."""

import argparse
import sys
import time
from collections import defaultdict

from tests.simulation.world import run_seed


def main() -> int:
    """1 when a schedule breaks an invariant; its seed is printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first seed that fails")
    arguments = parser.parse_args()
    began_s = time.process_time()
    sums: dict[str, float] = defaultdict(float)
    for seed in range(arguments.seed, arguments.seed + arguments.schedules):
        outcome = run_seed(seed)
        sums["schedules"] += 1
        sums["requests"] += outcome.requests
        sums["simulated hours"] += outcome.simulated_s / 3600
        sums["repeats on the wire"] += outcome.repeats
        if outcome.breaches:
            sums["failed"] += 1
            print(f"seed {seed}:", *outcome.breaches[:4], sep="\n  ")
            if not arguments.keep_going:
                break
    figures = ", ".join(f"{name} {value:.0f}" for name, value in sums.items())
    print(f"{figures}, CPU seconds {time.process_time() - began_s:.1f}")
    return 1 if sums["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
