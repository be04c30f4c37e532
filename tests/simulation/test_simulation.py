"""Thousands of schedules; the seeds that once found a bug, by name; and that a seed is a schedule."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.world import run_seed

SCHEDULES = 2_000
GROUPS = 8

FOUND: dict[int, str] = {}
"""Seeds that found a bug, and what it was."""


@pytest.mark.parametrize("group", range(GROUPS))
def test_every_word_once_in_order_or_in_the_dead_letters(group: int) -> None:
    broken = {}
    for seed in range(group, SCHEDULES, GROUPS):
        if breaches := run_seed(seed).breaches:
            broken[seed] = breaches
    assert not broken


@pytest.mark.parametrize("seed", FOUND, ids=FOUND.get)
def test_what_was_found_stays_mended(seed: int) -> None:
    assert run_seed(seed).breaches == []


def test_the_schedules_are_hard() -> None:
    outcomes = [run_seed(seed) for seed in range(100)]
    assert sum(outcome.repeats for outcome in outcomes) > 0
    assert sum(outcome.requests for outcome in outcomes) > 10_000


def test_a_seed_is_one_schedule_in_every_process() -> None:
    """Also where sets and dictionaries of text have another order."""
    program = "from tests.simulation.world import run_seed; print([run_seed(seed) for seed in range(40, 60)])"
    here = str([run_seed(seed) for seed in range(40, 60)])
    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).resolve().parents[2],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert there.strip() == here
