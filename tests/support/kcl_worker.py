"""A worker of a stage under the real KCL daemon: a test's own process group, ended with the test."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from ops.parts import child_environment
from ops.paths import PROJECT
from streams.kcl_daemon import children_of

READY_WITHIN_S = 90.0
ENDS_WITHIN_S = 20.0


class KclWorker:
    """Runs `python -m MODULE --runner kcl` as `worker_id`; its log is `folder`/`worker_id`.log, over all its lives."""

    def __init__(self, folder: Path, module: str, worker_id: str, environment: Mapping[str, str]) -> None:
        self.worker_id = worker_id
        self._log = folder / f"{worker_id}.log"
        self._argv = [sys.executable, "-m", module, "--runner", "kcl"]
        own = {"HERALD_WORKER_ID": worker_id, "PYTHONPATH": str(PROJECT)}
        self._environment = child_environment(os.environ, environment) | own
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal_all(signal.SIGKILL)
            self._process.wait()

    def start(self) -> float:
        """Start it, again if it was before; returns when it reads, and how many seconds that took."""
        began = time.monotonic()
        lines = self.launch()
        assert lines.get(timeout=READY_WITHIN_S).startswith("ready"), self.log
        return time.monotonic() - began

    def launch(self) -> queue.SimpleQueue[str]:
        """Start it; what it says on stdout, line by line."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._argv,
                cwd=PROJECT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        stdout = self._process.stdout
        assert stdout is not None

        def read() -> None:
            with stdout:
                for line in stdout:
                    lines.put(line)
                lines.put("")

        threading.Thread(target=read, daemon=True).start()
        return lines

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def daemon(self) -> int:
        """The JVM's process id."""
        (found,) = children_of(self.pid)
        return found

    @property
    def shards(self) -> list[int]:
        """The process ids of the shards' processes."""
        return children_of(self.daemon)

    def signal_all(self, number: signal.Signals) -> None:
        """To the whole group: who stands by, the daemon, the shards' processes."""
        os.killpg(self.pid, number)

    def ended(self) -> int:
        """Its exit code, when it has ended; every process of it must have."""
        assert self._process is not None
        code = self._process.wait(ENDS_WITHIN_S)
        deadline = time.monotonic() + ENDS_WITHIN_S
        while self.is_alive():
            assert time.monotonic() < deadline, "processes are left"
            time.sleep(0.05)
        return code

    def is_alive(self) -> bool:
        """Whether any process of its group is there."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.ended()


def unreadable(log: str) -> list[str]:
    """The lines of a log that are no JSON objects."""
    found = []
    for line in log.splitlines():
        try:
            wrong = not isinstance(json.loads(line), dict)
        except ValueError:
            wrong = True
        if wrong:
            found.append(line)
    return found
