from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from local.kinesis.listener import Listener
from local.kinesis.server import App
from local.kinesis.store import Store
from local.kinesis.twin import Options, Twin
from tests.local.kinesis.support import KEY_ID, ROOT, SECRET, Process, running


def test_a_busy_port_is_named(shared_twin: Process) -> None:
    with pytest.raises(OSError, match=f"port {shared_twin.port} is in use"):
        Listener(App(Twin(Store(None), Options()), {}), shared_twin.port)
    environment = os.environ | {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    command = [sys.executable, "-m", "local.kinesis", "--port", str(shared_twin.port)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"port {shared_twin.port} is in use" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_and_leaves_no_child(number: signal.Signals) -> None:
    with running() as twin:
        process = psutil.Process(twin.child.pid)
        assert process.children(recursive=True) == []
        idle = http.client.HTTPConnection("127.0.0.1", twin.port, timeout=5)
        idle.request("GET", "/_herald/health")
        assert idle.getresponse().read() == b'{"ok":true}'
        twin.child.send_signal(number)
        assert twin.child.wait(5) == 0
        idle.close()


async def test_it_serves_once_started() -> None:
    listener = Listener(App(Twin(Store(None), Options()), {}), 0)
    await listener.start()
    begun = time.monotonic()
    await listener.stop()
    assert listener.port > 0
    assert time.monotonic() - begun < 5
