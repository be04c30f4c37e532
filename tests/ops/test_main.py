import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops.main import main
from ops.paths import PROJECT


def test_the_command_lines_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_DIR", str(tmp_path))
    assert main(["env"]) == 1


def test_ctrl_c_is_quiet_while_modules_are_still_imported(tmp_path: Path) -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "ops", "up", "--port", "0"]
    environ = {**os.environ, "HERALD_DIR": str(tmp_path)}
    # What runs the tests may be a background job, which ignores it, as its children then do.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(argv, cwd=PROJECT, env=environ, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            assert process.stderr is not None
            for line in process.stderr:  # a line for each module that was imported
                if line.endswith(" ops.errors\n"):
                    break
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert not [line for line in err.splitlines() if not line.startswith("import time:")]
