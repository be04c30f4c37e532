import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ops.demo import languages
from ops.errors import CommandError
from ops.paths import PROJECT

STOPPED_WITHIN_S = 5.0
STARTED_WITHIN_S = 60.0


def test_languages_are_named_once_each() -> None:
    assert languages("es, ca,es") == ["es", "ca"]
    with pytest.raises(CommandError, match="--to es,ca"):
        languages(" , ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_a_demo_ends_its_stack_ends_with_it(tmp_path: Path, number: signal.Signals) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "ops", "demo", "--engine", "tones", "--out", str(tmp_path / "out")],
        cwd=PROJECT,
        env={**os.environ, "HERALD_DIR": str(tmp_path)},
        stderr=subprocess.DEVNULL,
    )
    left: list[psutil.Process] = []
    try:
        until_ready(demo, tmp_path / "stack.json")
        left = psutil.Process(demo.pid).children(recursive=True)
        assert len(left) > 8
        demo.send_signal(number)
        assert demo.wait(STOPPED_WITHIN_S) == (-number if number == signal.SIGKILL else 128 + number)
        _, alive = psutil.wait_procs(left, timeout=STOPPED_WITHIN_S)
        assert not alive
    finally:
        demo.kill()
        demo.wait()
        for process in left:
            if process.is_running():
                process.kill()


def until_ready(demo: "subprocess.Popen[bytes]", described: Path) -> None:
    deadline = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < deadline and demo.poll() is None:
        if described.exists() and json.loads(described.read_text())["state"] == "ready":
            return
        time.sleep(0.1)
    raise AssertionError("no stack was started")
