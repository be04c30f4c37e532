"""The shared program parts, seen from outside: a small program in a process of its own."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PROGRAM = """
import argparse, asyncio, logging
from local import process
parser = argparse.ArgumentParser()
process.add_arguments(parser)
args = parser.parse_args()
process.start(args, component="small")
async def main():
    waiting = asyncio.ensure_future(process.stopped())
    await asyncio.sleep(0)
    logging.getLogger("small").info("serving %d", args.port, extra={"streams": 3})
    process.announce("http://127.0.0.1:1", control="http://127.0.0.1:2")
    await waiting
asyncio.run(main())
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], "--die-with-parent"], stdout=subprocess.PIPE)
print(child.pid, child.stdout.readline().decode(), end="", flush=True)
sys.stdin.read()
"""


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-c", *command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_ready_line_json_logs_and_a_clean_end() -> None:
    with running(PROGRAM, "--port", "7") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready http://127.0.0.1:1 control=http://127.0.0.1:2\n"
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=10)
        assert (child.returncode, out) == (0, "")
        line = json.loads(err)
        assert (line["component"], line["message"], line["metadata"]) == ("small", "serving 7", {"streams": 3})


def test_a_child_that_was_asked_to_ends_with_its_parent() -> None:
    with running(PARENT, PROGRAM) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split()[0])
        gone = os.pidfd_open(pid)
        try:
            parent.kill()
            parent.wait()
            assert select.select([gone], [], [], 10)[0], "the child outlived its parent"
        finally:
            os.close(gone)
