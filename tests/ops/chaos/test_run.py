import asyncio
import json
from pathlib import Path

import pytest

from ops.chaos.plan import plan
from ops.chaos.run import FAILOVER_S, Wish, planned, run
from ops.paths import Paths


def test_the_plan_alone_is_printed_and_nothing_is_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert asyncio.run(run(Wish(seed=5, minutes=3, sessions=2, plan_only=True), Paths(tmp_path))) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["seed"], len(shown["talks"])) == (5, 2)
    assert len(shown["faults"]) > 10
    assert not list(tmp_path.iterdir())


def test_a_scenario_takes_the_place_of_the_seeds_faults() -> None:
    assert planned(Wish(seed=4, minutes=2, sessions=3)) == plan(4, 2, 3, FAILOVER_S)
    assert planned(Wish(seed=4, named="zombie")).name == "zombie"
