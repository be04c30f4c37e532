"""One resident Apertium pipeline: a chain of processes, joined by pipes, that translates one text at a time.

Started once, a translation takes a few ms instead of the 70 to 220 ms of starting eleven programs. The
price: when it is interrupted in the middle of a text, nobody knows whose answer comes out next. So a
pipeline that has ever failed, or whose caller went away, is never used again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from typing import Final

from local.pool import connect
from local.translate.routes import Leg
from local.translate.text import END_MARK

TIME_LIMIT_S: Final = 8.0
"""For one piece, with the loading of the data for the first one (1.3 s for Catalan to French on an idle core)."""

_END: Final = f"{END_MARK}\0".encode()
_END_S: Final = 1.0


class PipelineError(Exception):
    """The pipeline ended, or did not answer in time. It is dead; another one may do better."""


class Pipeline:
    """The processes of one mode. Make it with `start`."""

    def __init__(
        self, processes: list[subprocess.Popen[bytes]], writer: asyncio.WriteTransport, reader: asyncio.StreamReader
    ) -> None:
        self._processes = processes
        self._writer = writer
        self._reader = reader
        self._usable = True

    @classmethod
    async def start(cls, leg: Leg) -> Pipeline:
        """Start the programs of a mode. Raises `PipelineError` if one can't be started."""
        processes: list[subprocess.Popen[bytes]] = []
        source, feed = os.pipe()
        try:
            for command in leg.commands:
                child = _spawn(command, source)
                os.close(source)
                processes.append(child)
                assert child.stdout is not None
                source = os.dup(child.stdout.fileno())
                child.stdout.close()
        except OSError as error:
            os.close(source)
            os.close(feed)
            _kill(processes)
            raise PipelineError(f"{leg.mode} cannot be started: {error.strerror}") from error
        try:
            reader, writer = await connect(os.fdopen(source, "rb", buffering=0), os.fdopen(feed, "wb", buffering=0))
        except BaseException:  # a caller that goes away now must not leave them behind either
            _kill(processes)
            raise
        return cls(processes, writer, reader)

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of its programs, in order."""
        return tuple(process.pid for process in self._processes)

    @property
    def alive(self) -> bool:
        """Whether it may be used: never failed, and all its programs run."""
        return self._usable and all(process.poll() is None for process in self._processes)

    async def translate(self, text: bytes, time_limit_s: float = TIME_LIMIT_S) -> bytes:
        """Send one text (no NUL in it, `text.END_MARK` at its end), return what comes back up to its NUL.

        Raises `PipelineError` if the pipeline ends or is late. However this is left but by an answer,
        cancellation included, the pipeline is killed.
        """
        if not self._usable:
            raise PipelineError("the pipeline is dead")
        self._usable = False
        try:
            self._writer.write(text + b"\0")
            async with asyncio.timeout(time_limit_s):
                answer = await self._reader.readuntil(b"\0")
        except TimeoutError as error:
            raise PipelineError(f"no answer within {time_limit_s} s") from error
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError) as error:
            raise PipelineError("a program of the pipeline ended") from error
        else:
            if not answer.endswith(_END):
                raise PipelineError("a program of the pipeline ended")
            self._usable = True
            return answer[:-1]
        finally:
            if not self._usable:
                _kill(self._processes)

    async def close(self) -> None:
        """End the programs by the end of their input; kill what has not gone a second later."""
        self._usable = False
        self._writer.close()
        try:
            async with asyncio.timeout(_END_S):
                while not self._reader.at_eof():
                    await self._reader.read(1 << 16)
        except (TimeoutError, OSError):
            pass  # killed below, which is all that can be done
        _kill(self._processes)


def _spawn(command: tuple[str, ...], source: int) -> subprocess.Popen[bytes]:
    # A hung program would not see the end of its input when this process is killed: the kernel kills it then.
    # stderr is dropped: what programs complain about is the text.
    guard = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()
    return subprocess.Popen(
        (*guard, *command),
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
    for process in processes:
        process.wait()
