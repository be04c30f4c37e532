"""A worker as the server sees it: jobs in, sound out, one at a time; dead once anything goes wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Final

import msgspec

from local.polly.score import Failed, Job, Spoken
from local.polly.worker import LENGTH
from local.pool import connect

TIME_LIMIT_S: Final = 20.0
"""For one request, its limit of 3,000 characters at the slowest rate included (measured: 5 s)."""
_START_S: Final = 15.0
_END_S: Final = 1.0
_DECODER: Final[msgspec.msgpack.Decoder[Spoken | Failed]] = msgspec.msgpack.Decoder(Spoken | Failed)


class WorkerError(Exception):
    """The worker ended, did not answer in time, or could not speak. Another one may do better."""


class Synthesizer:
    """One worker process. Make it with `start`."""

    def __init__(
        self, worker: subprocess.Popen[bytes], writer: asyncio.WriteTransport, reader: asyncio.StreamReader
    ) -> None:
        self._worker = worker
        self._writer = writer
        self._reader = reader
        self._usable = True

    @classmethod
    async def start(cls) -> Synthesizer:
        """Start a worker and wait until it is ready. Raises `WorkerError`."""
        worker = _spawn()
        assert worker.stdout is not None
        assert worker.stdin is not None
        try:
            reader, writer = await connect(worker.stdout, worker.stdin)
        except BaseException:  # a caller that goes away now must not leave it behind either
            worker.kill()
            worker.wait()
            raise
        synthesizer = cls(worker, writer, reader)
        try:
            await synthesizer._exchange(b"", _START_S)
        except BaseException:
            await synthesizer.close()
            raise
        return synthesizer

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._worker.pid

    @property
    def alive(self) -> bool:
        """Whether it may be used."""
        return self._usable and self._worker.poll() is None

    async def speak(self, job: Job, time_limit_s: float = TIME_LIMIT_S) -> Spoken:
        """Speak a job. Raises `WorkerError`; however this is left but by an answer, the worker is killed."""
        data = msgspec.msgpack.encode(job)
        answer: Spoken | Failed = _DECODER.decode(await self._exchange(LENGTH.pack(len(data)) + data, time_limit_s))
        if isinstance(answer, Failed):
            raise WorkerError(answer.reason)
        return answer

    async def close(self) -> None:
        """End the worker by the end of its input; kill it a second later."""
        self._usable = False
        self._writer.close()
        try:
            async with asyncio.timeout(_END_S):
                await self._reader.read()
        except (TimeoutError, OSError):
            pass  # killed below, which is all that can be done
        self._kill()

    async def _exchange(self, data: bytes, time_limit_s: float) -> bytes:
        if not self._usable:
            raise WorkerError("the worker is dead")
        self._usable = False
        try:
            if data:
                self._writer.write(data)
            async with asyncio.timeout(time_limit_s):
                (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
                answer = await self._reader.readexactly(length)
        except TimeoutError as error:
            raise WorkerError(f"no answer within {time_limit_s} s") from error
        except (asyncio.IncompleteReadError, OSError) as error:
            raise WorkerError("the worker ended") from error
        else:
            self._usable = True
            return answer
        finally:
            if not self._usable:
                self._kill()

    def _kill(self) -> None:
        if self._worker.poll() is None:
            self._worker.kill()
        self._worker.wait()


def _spawn() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        (sys.executable, "-m", "local.polly.worker"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
