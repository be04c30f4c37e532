import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ops.errors import CommandError
from ops.paths import PROJECT, Paths
from ops.supervisor import check_port, free_port, only_one

STOPPED_WITHIN_S = 5.0


def test_a_busy_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=rf"port {port} is in use"):
            check_port(port)
    check_port(free_port())


def test_only_one_stack_at_a_time(tmp_path: Path) -> None:
    with only_one(Paths(tmp_path)), pytest.raises(CommandError, match="runs here already"), only_one(Paths(tmp_path)):
        pytest.fail("a second one was let in")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A whole stack, ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ops", "up", "--port", "0", "--engine", "tones"],
        cwd=PROJECT,
        env={**os.environ, "HERALD_DIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(process, "ready: ")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def until(process: subprocess.Popen[str], beginning: str) -> str:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith(beginning):
            return line
    raise AssertionError("".join(seen))


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_no_process_is_left(supervisor: subprocess.Popen[str], number: signal.Signals) -> None:
    left = descendants(supervisor)
    assert len(left) > 8
    supervisor.send_signal(number)
    assert supervisor.wait(10) == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not alive


def test_frozen_parts_do_not_hold_up_the_end(supervisor: subprocess.Popen[str], tmp_path: Path) -> None:
    parts = json.loads((tmp_path / "stack.json").read_text())["parts"]
    left = descendants(supervisor)
    for name in ("broadcast", "gateway"):
        os.kill(parts[name]["pid"], signal.SIGSTOP)
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(STOPPED_WITHIN_S) == 0
    assert not [process for process in left if process.is_running()]


def test_a_part_that_dies_is_named_and_can_be_started_again(supervisor: subprocess.Popen[str], tmp_path: Path) -> None:
    pid = json.loads((tmp_path / "stack.json").read_text())["parts"]["emotion"]["pid"]
    os.kill(pid, signal.SIGKILL)
    told = until(supervisor, "emotion was ended by SIGKILL")
    assert re.search(rf"pid {pid}.*emotion\.log:\d+.*herald restart emotion", told)

    environment = {**os.environ, "HERALD_DIR": str(tmp_path)}
    argv = [sys.executable, "-m", "ops"]
    done = subprocess.run(
        [*argv, "restart", "emotion"], env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "stack.json").read_text())["parts"]["emotion"]["state"] == "ready"

    second = subprocess.run(
        [*argv, "up", "--port", "0"], env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"ws://127.0.0.1:{json.loads((tmp_path / 'stack.json').read_text())['http'].rpartition(':')[2]}/live" in (
        second.stderr
    )
