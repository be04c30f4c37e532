"""The Kinesis twin and DynamoDB as processes of a test, ended by their own ids."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDLOCAL",
    "AWS_SECRET_ACCESS_KEY": "secretlocal",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(argv: list[str], environ: dict[str, str] | None = None, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process for the time of the block."""
    process = subprocess.Popen(argv, env=os.environ | CREDENTIALS | (environ or {}), cwd=ROOT, text=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def kinesis_twin(*arguments: str) -> Iterator[str]:
    """The Kinesis twin's address."""
    argv = [sys.executable, "-m", "local.kinesis", "--port", "0", "--die-with-parent", *arguments]
    with running(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        assert line[:1] == ["ready"]
        yield line[1]


@contextmanager
def dynamodb(state: Path) -> Iterator[str]:
    """DynamoDB's address."""
    port = free_port()
    environ = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": "dynamodb",
        "STATE_DIR": str(state),
        "MINISTACK_DATA_DIR": str(state),
    }
    argv = [str(ROOT / ".tools/ministack/bin/ministack")]
    with (state / "log").open("w") as log, running(argv, environ, stdout=log, stderr=log) as process:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 20
        while True:
            assert process.poll() is None, (state / "log").read_text()
            try:
                urllib.request.urlopen(f"{url}/_ministack/health", timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield url
