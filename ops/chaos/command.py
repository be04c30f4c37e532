"""`herald chaos`: options, and what they ask for."""

import argparse
from collections.abc import Coroutine
from typing import Any

from ops.chaos.run import Wish, run
from ops.chaos.scenarios import SCENARIOS
from ops.paths import paths


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--seed", type=int, default=1, help="decides who speaks, who listens, what fails (default: 1)")
    parser.add_argument("--minutes", type=_minutes, default=3.0, metavar="M", help="how long they speak (default: 3)")
    parser.add_argument(
        "--sessions", type=_sessions, default=6, metavar="K", help="how many speak at once (default: 6)"
    )
    parser.add_argument("--runner", choices=["embedded", "kcl"], default="embedded", help="what runs the stages")
    parser.add_argument(
        "--scenario", choices=list(SCENARIOS), help="a named run instead of the seed's faults; see below"
    )
    parser.add_argument("--plan", action="store_true", help="print the plan as JSON, and do nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(
        (
            "scenarios:",
            *(f"  {name:<16} {found.what}" for name, found in SCENARIOS.items()),
            "",
            "The stack is one of its own, in .herald/chaos: a stack that runs is not touched.",
            "Exits with 0 if every word that was acknowledged was heard once and in order, by every listener.",
        )
    )


def work(arguments: argparse.Namespace) -> Coroutine[Any, Any, int]:
    """What was asked for, to be awaited: the exit code. Raises CommandError."""
    wish = Wish(
        seed=arguments.seed,
        minutes=arguments.minutes,
        sessions=arguments.sessions,
        runner=arguments.runner,
        named=arguments.scenario,
        as_json=arguments.json,
        plan_only=arguments.plan,
    )
    return run(wish, paths())


def _minutes(text: str) -> float:
    number = float(text)
    if not 0.3 <= number <= 24 * 60:
        raise argparse.ArgumentTypeError("a number from 0.3")
    return number


def _sessions(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 90:
        raise argparse.ArgumentTypeError("a number from 1 to 90")  # words have six digits, 10,000 a session
    return number
