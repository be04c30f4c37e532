"""The Kinesis Client Library's side of a shard: its callbacks, its protocol on stdin and stdout, its checkpoints.

The daemon starts one process per shard (`--kcl-shard`) and calls it, one call at a time: the main thread answers here,
while the shard's work goes on on a loop in a second thread (`kcl_shard`). A call that does not return holds up reading,
never the lease; that is the whole of backpressure.

What the library makes easy to get wrong, and what is done about it:

- it swallows what a callback raises and reports success, which would lose records: the process ends instead;
- a checkpoint without a position covers all that was delivered: each names the watermark, but for a shard's end;
- stdout is the protocol: whatever else writes there goes to stderr;
- when the daemon goes away in the middle of a checkpoint, the answer is no JSON: the process ends.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import IO, Any, Final, Protocol, TypeVar

import amazon_kclpy
from amazon_kclpy.checkpoint_error import CheckpointError
from amazon_kclpy.kcl import KCLProcess
from amazon_kclpy.v3.processor import RecordProcessorBase

from streams.claims import Claims
from streams.embedded import CHECKPOINT_EVERY_S
from streams.errors import LeaseLost
from streams.kcl_shard import EXIT_FAILED, RUN, KclShard
from streams.kinesis import StoredRecord
from streams.program import Outfit, ProgramSettings, StageDefinition, equipped
from streams.stage import Position
from streams.telemetry import Log, place_of

LOST: Final = "ShutdownException"
"""What the library answers to a checkpoint when the lease is not its own any more."""
WRONG: Final = frozenset({"InvalidStateException", "IllegalArgumentException"})
"""What it answers to a checkpoint that will never be taken. All else passes: a throttle, an outage, and whatever a
broken connection is to the SDK, for the library passes on the name of any exception."""
FINAL_TRIES: Final = 8
TRY_AGAIN_S: Final = 0.25

Result = TypeVar("Result")


class Shard(Protocol):
    """What `KclShard` is to the callbacks."""

    async def take(self, records: list[StoredRecord], behind_ms: int) -> None:
        """See `KclShard`."""

    def watermark(self) -> str | None:
        """See `KclShard`."""

    async def drain(self) -> None:
        """See `KclShard`."""

    async def leave_rest(self) -> None:
        """See `KclShard`."""

    async def stop(self) -> None:
        """See `KclShard`."""


class Processor(RecordProcessorBase):  # type: ignore[misc]
    """The library's callbacks. begin: starts a shard's work after a checkpoint; loop: where it runs, in its thread.

    patience_s: how long a daemon may go on giving records of a lease that was lost before it was claimed.
    """

    def __init__(
        self,
        begin: Callable[[str, str], Coroutine[Any, Any, Shard]],
        loop: asyncio.AbstractEventLoop,
        log: Log,
        patience_s: float,
    ) -> None:
        self._patience_s = patience_s
        self._begin = begin
        self._loop = loop
        self._log = log
        self._beginning: Future[Shard] | None = None
        self._shard: Shard | None = None  # None before it has begun, and without a lease
        self._shard_id = ""
        self._ended = False
        self._checkpointed: str | None = None
        self._checkpointed_at = 0.0

    def initialize(self, initialize_input: Any) -> None:
        """The daemon has the lease. The work begins beside this: the daemon needs two seconds until it reads."""
        with self._or_end("initialize"):
            self._shard_id, self._checkpointed = initialize_input.shard_id, initialize_input.sequence_number
            self._checkpointed_at = time.monotonic()
            work = self._begin(self._shard_id, initialize_input.sequence_number)
            self._beginning = asyncio.run_coroutine_threadsafe(work, self._loop)

    def _begun(self) -> Shard | None:
        """The shard's work, when it has begun; None without a lease. Raises what it could not begin for."""
        if self._beginning is not None:
            try:
                self._shard = self._beginning.result()
            except LeaseLost as error:
                self._log.warning("lease", "lost", doing="initialize", shard=self._shard_id, reason=str(error))
            self._beginning = None
        return self._shard

    def process_records(self, process_records_input: Any) -> None:
        """Records, or none: then it is only time for a checkpoint."""
        with self._or_end("processRecords"):
            shard = self._begun()
            if shard is None:
                self._lose_patience()
                return
            records = [self._stored(record) for record in process_records_input.records]
            behind_ms = process_records_input.millis_behind_latest or 0
            self._wait(shard.take(records, behind_ms), process_records_input.checkpointer)
            self._checkpoint_now_and_then(process_records_input.checkpointer)

    def _lose_patience(self) -> None:
        if time.monotonic() - self._checkpointed_at > self._patience_s:
            raise TimeoutError("the lease was lost before it was claimed, but the daemon does not say so")

    def lease_lost(self, lease_lost_input: Any) -> None:
        """Another worker has it, or nobody: stop at once."""
        with self._or_end("leaseLost"):
            if self._beginning is not None:
                self._beginning.cancel()
            elif self._shard is not None:
                self._wait(self._shard.stop())
            self._ended = True
            self._log.info("lease", "ended by the daemon", shard=self._shard_id)

    def shard_ended(self, shard_ended_input: Any) -> None:
        """All of the shard was given: what is not settled is its children's, and they may begin."""
        with self._or_end("shardEnded", lost_too=True):  # unanswered: the library would ask nobody again
            shard = self._begun()
            if shard is None:
                raise LeaseLost("the lease was lost before the shard's end")
            self._wait(shard.leave_rest())
            self._insist(shard_ended_input.checkpointer, None)  # the library's way to say SHARD_END
            self._ended = True
            self._log.info("lease", "released", shard=self._shard_id, ended=True)

    def shutdown_requested(self, shutdown_requested_input: Any) -> None:
        """The worker stops, or gives the lease to another: drain, and say how far."""
        with self._or_end("shutdownRequested"):
            shard = self._begun()
            if shard is None:
                return
            watermark = self._wait(self._drained(shard))
            if watermark is not None and watermark != self._checkpointed:
                self._insist(shutdown_requested_input.checkpointer, watermark)
            self._log.info("lease", "released", shard=self._shard_id, ended=False)

    def over(self) -> None:
        """The daemon has closed its end. Raises EOFError when it had not said that the shard's work is over."""
        if self._shard_id and not self._ended:
            raise EOFError("the daemon has gone away")

    async def _drained(self, shard: Shard) -> str | None:
        await shard.drain()
        return shard.watermark()

    # --- the loop's thread ---------------------------------------------------------------------------------------

    def _wait(self, work: Coroutine[Any, Any, Result], checkpointer: Any = None) -> Result:
        """The work's result; checkpoints are written meanwhile, however long it takes."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        while True:
            try:
                return future.result(CHECKPOINT_EVERY_S)
            except TimeoutError:
                if future.done():
                    raise
                if checkpointer is not None:
                    self._checkpoint_now_and_then(checkpointer)

    @contextlib.contextmanager
    def _or_end(self, doing: str, *, lost_too: bool = False) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if isinstance(error, LeaseLost) and not lost_too:  # the daemon will find out, and say so
                self._log.warning("lease", "lost", doing=doing, shard=self._shard_id, reason=str(error))
                return
            self._log.error("kcl", "cannot go on", doing=doing, shard=self._shard_id, error=place_of(error))
            raise SystemExit(EXIT_FAILED) from error

    def _stored(self, record: Any) -> StoredRecord:
        position = Position(self._shard_id, int(record.sequence_number))
        return StoredRecord(position, record.partition_key, record.binary_data, record.timestamp_millis)

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def _checkpoint_now_and_then(self, checkpointer: Any) -> None:
        assert self._shard is not None
        now = time.monotonic()
        if now - self._checkpointed_at < CHECKPOINT_EVERY_S:
            return
        watermark = self._shard.watermark()
        if watermark is not None and watermark != self._checkpointed and self._checkpoint(checkpointer, watermark):
            self._checkpointed = watermark
        self._checkpointed_at = now

    def _checkpoint(self, checkpointer: Any, sequence: str | None) -> bool:
        """Whether it is written. Raises LeaseLost, and what no retry mends."""
        try:
            checkpointer.checkpoint(sequence)
        except CheckpointError as error:
            if error.value == LOST:
                raise LeaseLost("a checkpoint was refused: the lease is another's") from error
            if error.value in WRONG:
                raise
            self._log.warning("checkpoint", "trying again", shard=self._shard_id, code=error.value)
            return False
        return True

    def _insist(self, checkpointer: Any, sequence: str | None) -> None:
        """The last checkpoint. Raises TimeoutError when it could not be written, so that the process ends."""
        for _ in range(FINAL_TRIES):
            if self._checkpoint(checkpointer, sequence):
                return
            time.sleep(TRY_AGAIN_S)
        raise TimeoutError("the last checkpoint could not be written")


def serve(definition: StageDefinition, program: ProgramSettings, settings: Any, log: Log) -> int:
    """Work one shard, as the daemon asks on stdin; the exit code."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group: the daemon says what is to be done
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with Host(definition, program, settings, log) as host:
        host.work(sys.stdin, answers)
    return 0


class Host:
    """A process for one shard: the loop in its thread, with all that a stage needs. end: ends the process at once."""

    def __init__(
        self,
        definition: StageDefinition,
        program: ProgramSettings,
        settings: Any,
        log: Log,
        end: Callable[[int], None] = os._exit,
    ) -> None:
        self._arguments = (definition, program, settings, log)
        self._log = log
        self._end = end
        self._patience_s = program.lease_failover_s
        self._loop: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._outfit: asyncio.Future[Outfit] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="shard", daemon=True)

    def __enter__(self) -> "Host":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            sys.stderr.flush()
            self._end(EXIT_FAILED)  # at once: nothing more may be emitted, and there is nothing to save
        loop, over = self._loop.result()
        loop.call_soon_threadsafe(over.set)
        self._thread.join()

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        outfit: asyncio.Future[Outfit] = loop.create_future()
        self._outfit, over = outfit, asyncio.Event()
        self._loop.set_result((loop, over))
        try:
            async with equipped(*self._arguments) as made:
                outfit.set_result(made)
                await over.wait()
        except Exception as error:
            if outfit.done():
                raise
            outfit.set_exception(error)
            await over.wait()

    async def _begin(self, shard_id: str, checkpoint: str) -> Shard:
        assert self._outfit is not None
        outfit = await asyncio.shield(self._outfit)
        claims = Claims(outfit.dynamodb, outfit.leases, outfit.worker_id, os.environ.get(RUN, ""))
        return await KclShard.begin(
            outfit.kinesis, claims, outfit.equipment, outfit.options, shard_id, checkpoint, self._end
        )

    def work(self, questions: IO[str], answers: IO[str]) -> None:
        """Answer the daemon until it closes its end. Raises what must end the process."""
        loop, _ = self._loop.result()
        processor = Processor(self._begin, loop, self._log, self._patience_s)
        KCLProcess(processor, questions, answers, sys.stderr).run()
        processor.over()


def jars() -> str:
    """The folder of the daemon's jars."""
    return os.path.join(os.path.dirname(amazon_kclpy.__file__), "jars")
