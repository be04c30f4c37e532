"""What every local program shares: its arguments, the ``ready`` line, JSON logs, and its end.

A twin's ``__main__`` reads::

    parser = argparse.ArgumentParser(prog="python -m local.NAME")
    process.add_arguments(parser)
    args = parser.parse_args()
    process.start(args, component="NAME")       # logs; --die-with-parent
    asyncio.run(main(args))                     # in which: process.announce(url); await process.stopped()
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_RECORD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def add_arguments(parser: argparse.ArgumentParser, port: int = 0) -> None:
    """Give a program the arguments that all have: ``--port`` and ``--die-with-parent``."""
    parser.add_argument("--port", type=int, default=port, help="port on 127.0.0.1; 0 takes any free one")
    parser.add_argument("--die-with-parent", action="store_true", help="end when the parent process ends")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])


def start(args: argparse.Namespace, component: str) -> None:
    """Do what the shared arguments ask: logs to stderr, and tie this process's life to its parent's."""
    log_to_stderr(component, args.log_level)
    if args.die_with_parent:
        die_with_parent()


def announce(url: str, **more: str) -> None:
    """Print the one line on stdout that says the program really serves: ``ready URL [name=URL ...]``."""
    line = " ".join(["ready", url, *(f"{name}={value}" for name, value in more.items())])
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def stopped() -> None:
    """Return when SIGTERM or SIGINT has come. Must run in the main thread."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    try:
        await done.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def die_with_parent() -> None:
    """Have the kernel send SIGTERM here when the parent ends (Linux only; raises ``OSError`` elsewhere)."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before the call above: no signal will come
        sys.exit(0)


def log_to_stderr(component: str, level: str = "INFO") -> None:
    """Send this process's logs to stderr, one JSON object a line; ``extra`` of a call goes to ``metadata``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(component))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _JsonLines(logging.Formatter):
    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "component": self._component,
            "operation": record.funcName,
            "message": record.getMessage(),
        }
        metadata = {name: value for name, value in vars(record).items() if name not in _RECORD_ATTRIBUTES}
        if metadata:
            line["metadata"] = metadata
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
