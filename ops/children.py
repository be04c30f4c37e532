"""One running program of the stack: its log, its `ready` line, its end."""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final, NamedTuple, Self

from ops import guard
from ops.errors import CommandError
from streams.errors import DuplicateWorker

_PR_SET_PDEATHSIG: Final = 1
"""<linux/prctl.h>: the signal that the kernel sends here when the parent ends."""
LOOK_EVERY_S: Final = 0.03
STAGE_GRACE_S: Final = 2.4
"""From SIGTERM to SIGKILL: a stage drains, and writes where it is; what it cannot do in time is done again."""
KCL_GRACE_S: Final = 7.0
"""The same under the KCL: its daemon needs a second or two more before and after, and may take `DRAIN_MS`."""
HAND_OVER_GRACE_S: Final = 20.0
"""The same when another process takes over: nothing hurries."""
GRACE_S: Final = 1.1
"""The same for all others. `up` stops the stages first: even if one of each is frozen, it has ended everything in the
sum of both, well below the 5 s that it has (10 s under the KCL)."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Ready(NamedTuple):
    """A `ready URL name=URL ...` line. url is empty for a program that serves nobody, and names itself instead."""

    url: str
    more: dict[str, str]

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """The line, or None when it is another one."""
        words = line.split()
        if not words or words[0] != "ready":
            return None
        more = dict(word.split("=", 1) for word in words[1:] if "=" in word.partition("://")[0])
        url = next((word for word in words[1:] if "://" in word and word.partition("=")[0] not in more), "")
        return cls(url, more)


class Child:
    """A program in a process group of its own, so that a terminal's Ctrl-C reaches only the supervisor."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path, log_from: int) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._log = log
        self._log_from = log_from

    @classmethod
    async def start(cls, name: str, argv: Sequence[str], environment: Mapping[str, str], log: Path, cwd: Path) -> Self:
        """Start it; stdout and stderr go to the end of its log. Raises CommandError when there is no such program."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with open_log(log) as file:
            log_from = file.tell()
            try:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    env=dict(environment),
                    cwd=cwd,
                    start_new_session=True,
                    preexec_fn=end_with_parent,  # one system call; the supervisor has one thread
                )
            except OSError as error:
                raise CommandError(f"{name} cannot be started: {argv[0]}: {error.strerror}; run: make setup") from error
        return cls(name, process, log, log_from)

    async def ready(self, time_limit_s: float) -> Ready:
        """Wait for its `ready` line. Raises CommandError when it ends or stays silent instead."""
        try:
            async with asyncio.timeout(time_limit_s):
                while True:
                    found = self._ready_line()
                    if found is not None:
                        return found
                    if self._process.returncode is not None:
                        raise CommandError(f"{self.name} {self.ending()} before it was ready; {self.last_words()}")
                    await asyncio.sleep(LOOK_EVERY_S)
        except TimeoutError as error:
            message = f"{self.name} was not ready after {time_limit_s:.0f} s; {self.last_words()}"
            raise CommandError(message) from error

    def _ready_line(self) -> Ready | None:
        with self._log.open("rb") as file:
            file.seek(self._log_from)
            for line in file:
                if line.startswith(b"ready") and line.endswith(b"\n"):
                    return Ready.parse(line.decode(errors="replace"))
        return None

    async def wait(self) -> str:
        """How it ended, when it has."""
        await self._process.wait()
        return self.ending()

    @property
    def exit_code(self) -> int | None:
        """As `subprocess` has it: negative for a signal; None while it runs."""
        return self._process.returncode

    def ending(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode
        if code is None:
            return "runs"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        if code == DuplicateWorker.EXIT_CODE:
            return f"ended, because another process runs under its worker id (exit code {code})"
        return f"ended with exit code {code}"

    def last_words(self) -> str:
        """Where its log ends: a place, not the text."""
        with self._log.open("rb") as file:
            lines = sum(1 for _ in file)
        return f"its log ends at {self._log}:{lines}"

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """End it and all of its process group: SIGTERM, then SIGKILL."""
        if self._process.returncode is None:
            guard.send(self.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_s)
        guard.send(self.pid, signal.SIGKILL)
        await self._process.wait()


def open_log(path: Path) -> IO[bytes]:
    """A log for appending, readable by its owner only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def program(module: str, *arguments: str) -> list[str]:
    """The command line of one of our modules, in this Python."""
    return [sys.executable, "-m", module, *arguments]


def end_with_parent() -> None:
    """To be called in a child before its program begins: it gets SIGTERM when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
