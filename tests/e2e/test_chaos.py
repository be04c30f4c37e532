"""A minute of chaos on a stack of its own, by a fixed seed: every word is heard once and in order."""

import json
import os
import subprocess
import sys
from pathlib import Path

from ops.paths import PROJECT

SEED = "27"
"""Of the short plans a rich one: reshards in mid-talk, a stage frozen and one killed, recogniser and synthesiser
failing, the way to Kinesis a black hole."""
WITHIN_S = 240


def test_a_minute_of_chaos_costs_no_word(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "ops", "chaos", "--json", "--seed", SEED, "--minutes", "0.9", "--sessions", "3"]
    environment = {**os.environ, "HERALD_DIR": str(tmp_path)}
    done = subprocess.run(
        argv, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=WITHIN_S
    )

    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["lost"], report["duplicated"], report["reordered"], report["unspoken"]) == (0, 0, 0, 0)
    assert report["words_spoken"] >= 80
    assert report["heard"] == report["to_hear"]
    assert {"kill", "freeze", "net-blackhole", "split", "merge", "update"} <= set(report["faults"])
    assert report["notes"] == []  # every fault was done as planned
