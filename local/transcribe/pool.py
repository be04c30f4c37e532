"""The PocketSphinx engine: worker processes, and which stream is in which of them."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import msgspec

from local.transcribe import worker
from local.transcribe.engine import EngineFailed, EngineFull
from local.transcribe.request import StreamRequest
from local.transcribe.results import Result

MAX_FEED_BYTES = 200 * 32
"""200 ms of sound in one request: a stream that catches up takes its turns with the others of its process."""
RESTART_PAUSE_S = 1.0
"""A process that dies is replaced at once, and after that no more often than this."""
_STOP_S = 1.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How many processes, one per core by default, and how many streams each takes: real time needs 0.1 to 0.2 core."""

    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    streams_per_worker: int = 6

    @property
    def places(self) -> int:
        """The bound on streams."""
        return self.workers * self.streams_per_worker


class SphinxEngine:
    """Recognisers in a fixed number of worker processes. Make one by `start`."""

    language_codes = frozenset({"en-US"})

    def __init__(self, options: PoolOptions) -> None:
        self._options = options
        self._slots: list[_WorkerProcess | None] = [None] * options.workers
        self._keepers: list[asyncio.Task[None]] = []
        self._stream_ids = count(1)

    @classmethod
    async def start(cls, options: PoolOptions) -> SphinxEngine:
        """Start all processes, and return when each has its model loaded. Raises `EngineFailed`, in a group."""
        engine = cls(options)
        try:
            async with asyncio.TaskGroup() as group:
                for slot in range(options.workers):
                    group.create_task(engine._fill(slot))
        except BaseException:
            await engine.close()
            raise
        engine._keepers = [asyncio.create_task(engine._keep(slot)) for slot in range(options.workers)]
        return engine

    async def open(self, request: StreamRequest) -> SphinxStream:
        """A recogniser in the process that has the fewest. Raises `EngineFull` or `EngineFailed`."""
        alive = [process for process in self._slots if process is not None]
        least = min(alive, key=lambda process: process.streams, default=None)
        if least is None:
            raise EngineFailed("The recogniser's processes are being restarted.")
        if least.streams >= self._options.streams_per_worker:
            raise EngineFull(
                f"The PocketSphinx engine is full: {self._options.places} streams "
                f"({self._options.workers} processes of {self._options.streams_per_worker}) are its bound."
            )
        stream = SphinxStream(least, next(self._stream_ids))
        await stream.open(request)
        return stream

    async def close(self) -> None:
        """End all processes."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await asyncio.gather(*(process.stop() for process in self._slots if process is not None))

    def process_ids(self) -> list[int]:
        """Of the processes that are alive."""
        return [process.pid for process in self._slots if process is not None]

    async def _fill(self, slot: int) -> None:
        self._slots[slot] = await _WorkerProcess.start()

    async def _keep(self, slot: int) -> None:
        """Replace a slot's process whenever it dies."""
        while True:
            process = self._slots[slot]
            if process is not None:
                await process.ended()
                self._slots[slot] = None
                logger.error("a recogniser process died and is replaced")
            try:
                await self._fill(slot)
            except EngineFailed:
                logger.exception("a recogniser process did not start")
            await asyncio.sleep(RESTART_PAUSE_S)


class SphinxStream:
    """One stream's recogniser, in another process."""

    def __init__(self, process: _WorkerProcess, stream_id: int) -> None:
        self._process = process
        self._id = stream_id
        process.streams += 1

    @property
    def process_id(self) -> int:
        """Of the process that it is in."""
        return self._process.pid

    async def open(self, request: StreamRequest) -> None:
        """Take a decoder in the process."""
        try:
            await self._process.ask(
                worker.Request(self._id, "open", session_id=request.session_id, stability=request.stability)
            )
        except BaseException:
            self.close()
            raise

    async def feed(self, pcm: bytes) -> Sequence[Result]:
        """Hear more; see `local.transcribe.engine.Recogniser`."""
        results: list[Result] = []
        for at in range(0, len(pcm), MAX_FEED_BYTES):
            results += await self._process.ask(worker.Request(self._id, "feed", pcm[at : at + MAX_FEED_BYTES]))
        return results

    async def finish(self) -> Sequence[Result]:
        """Close what is open."""
        return await self._process.ask(worker.Request(self._id, "finish"))

    def close(self) -> None:
        """Give the decoder back."""
        self._process.streams -= 1
        self._process.tell(worker.Request(self._id, "close"))


class _WorkerProcess:
    """One worker process and the requests that it has not answered."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[list[Result]]] = {}
        self._ended = False
        self._reader = asyncio.create_task(self._read())
        self.streams = 0

    @classmethod
    async def start(cls) -> _WorkerProcess:
        """Start one and wait until its model is loaded. Raises `EngineFailed`."""
        process = cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", worker.__name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
        )
        try:
            await process._answer_to(0)
        except BaseException:
            await process.stop()
            raise
        return process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, request: worker.Request) -> list[Result]:
        """Send a request and wait for its answer. Raises `EngineFailed` when the process ends before."""
        self.tell(request)
        return await self._answer_to(request.stream)

    def tell(self, request: worker.Request) -> None:
        """Send a request whose answer nobody waits for."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(worker.encode(request))

    async def ended(self) -> None:
        """Wait until it ends."""
        await asyncio.wait([self._reader])

    async def stop(self) -> None:
        """End it: by the end of its input, and if that does not do by force."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    async def _answer_to(self, stream: int) -> list[Result]:
        if self._ended:
            raise EngineFailed("The recogniser's process has ended.")
        future = asyncio.get_running_loop().create_future()
        self._waiting[stream] = future
        try:
            results: list[Result] = await future
        finally:
            self._waiting.pop(stream, None)
        return results

    async def _read(self) -> None:
        """Hand answers to whom they belong, until the process ends; then fail who still waits."""
        stdout = self._process.stdout
        assert stdout is not None
        decoder = msgspec.msgpack.Decoder(worker.Answer)
        try:
            while True:
                head = await stdout.readexactly(worker.LENGTH.size)
                answer = decoder.decode(await stdout.readexactly(worker.LENGTH.unpack(head)[0]))
                future = self._waiting.pop(answer.stream, None)
                if future is None or future.done():
                    continue  # the stream was closed meanwhile
                if answer.error:
                    future.set_exception(EngineFailed(answer.error))
                else:
                    future.set_result(answer.results)
        except asyncio.IncompleteReadError:
            pass  # its end, said below
        self._ended = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(EngineFailed("The recogniser's process has ended."))
        await self._process.wait()
