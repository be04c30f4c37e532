"""The embedded runner: one process, no JVM, leases in the KCL's table layout. Parents before children.

A worker takes the leases that nobody holds, that are its own from before (a restart under the same worker id goes on at
once), or that have not been renewed for `failover_s`. Each lease is a task of its own.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple

from streams.errors import DuplicateWorker, HeraldError, LeaseLost, NotFound
from streams.fence import Fence
from streams.kinesis import Shard, StoredRecord, get_iterator, get_page, is_expired_iterator, list_shards
from streams.leases import SHARD_END, TRIM_HORIZON, Lease, Leases
from streams.recovery import Emitted, first_arrival_ms, merge_rests, read_emitted, rest_of
from streams.resources import DRAIN_S
from streams.runtime import Equipment, ShardRuntime
from streams.telemetry import place_of

READS_PER_S: Final = 4.0
"""Of the 5 reads per second and shard that all pollers share; the rest is for an operator's tail."""
PAGE_RECORDS: Final = 1_000
CHECKPOINT_EVERY_S: Final = 1.0
SYNC_EVERY_S: Final = 2.0
WATCH_EVERY_S: Final = 0.25
"""A worker without a lease looks so often whether one has become free: at a deploy it takes over from another."""
PAUSE_S: Final = 0.02
READ_LATE_S: Final = 1.0
"""Without a look at the stream's end for so long, twice the longest poll, nobody knows whether it has stopped."""


class Options(NamedTuple):
    """How a worker runs. poll_s: between reads of a shard; limit: records a read; drain_s: patience at a stop."""

    input_stream: str
    output_stream: str
    poll_s: float
    failover_s: float = 10.0
    limit: int = PAGE_RECORDS
    drain_s: float = DRAIN_S


def poll_interval_s(consumers: int) -> float:
    """How often one of so many polling consumers may read a shard."""
    return consumers / READS_PER_S


class Worker:
    """All shards of one stage that this process owns."""

    def __init__(self, kinesis: Any, leases: Leases, equipment: Equipment, worker_id: str, options: Options) -> None:
        self._kinesis = kinesis
        self._leases = leases
        self._equipment = equipment
        self._worker_id = worker_id
        self._options = options
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        self._found: set[tuple[str, int]] | None = None  # my leases at the first look, and their counters
        self._news = asyncio.Event()
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Drain and end."""
        self._stop.set()
        self._news.set()

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Work until `stop`. Raises what makes going on wrong."""
        ready = False
        try:
            while not self._stop.is_set():
                try:
                    await self._sync()
                except HeraldError as error:
                    if not error.retryable:
                        raise
                    self._equipment.log.warning("sync", "trying again", code=error.code)
                else:
                    if not ready:
                        ready = True
                        on_ready()
                self._news.clear()
                if not self._stop.is_set():
                    await self._nap()
                self._collect()
        finally:
            self._stop.set()
            if self._tasks:
                await asyncio.wait(self._tasks.values(), timeout=self._options.drain_s + 1)
            for task in self._tasks.values():
                task.cancel()
            results = await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    self._equipment.log.error("stop", "a shard did not end well", error=place_of(result))

    async def _nap(self) -> None:
        try:
            async with asyncio.timeout(SYNC_EVERY_S if self._tasks else WATCH_EVERY_S):
                await self._news.wait()
        except TimeoutError:
            return

    def _collect(self) -> None:
        for shard_id, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[shard_id]
                task.result()

    async def _sync(self) -> None:
        shards = {shard.shard_id: shard for shard in await list_shards(self._kinesis, self._options.input_stream)}
        leases = await self._leases.list()
        self._look_for_namesakes(leases)
        new = [shard for shard in shards.values() if shard.shard_id not in leases]
        for shard in new:
            await self._leases.create(shard)
        if new:
            leases = await self._leases.list()
        for lease in leases.values():
            if lease.shard_id in self._tasks or lease.ended or lease.shard_id not in shards:
                continue
            parents_done = all(  # a parent that is gone with its last records will never be ended by anybody
                parent not in leases or parent not in shards or leases[parent].ended for parent in lease.parents
            )
            if parents_done and self._is_free(lease):
                await self._take(lease, shards)

    def _look_for_namesakes(self, leases: dict[str, Lease]) -> None:
        """Two live processes under one worker id would take the leases from each other for ever: the older one ends."""
        mine = [lease for lease in leases.values() if lease.owner == self._worker_id]
        if self._found is None:
            self._found = {(lease.shard_id, lease.counter) for lease in mine}
        for lease in mine:
            # What stands as it was found is of a life that has ended, whatever its clock said; or else it will move.
            if lease.run > self._leases.run and (lease.shard_id, lease.counter) not in self._found:
                raise DuplicateWorker(
                    f"another process runs under the worker id {self._worker_id} and has taken the lease of"
                    f" {lease.shard_id}; this one, the older, ends: every process needs an id of its own"
                    " (HERALD_WORKER_ID)"
                )

    def _is_free(self, lease: Lease) -> bool:
        if lease.owner is None or lease.owner == self._worker_id:
            return True
        now = time.monotonic()
        counter, since = self._seen.get(lease.shard_id, (-1, now))
        if counter != lease.counter:
            self._seen[lease.shard_id] = (lease.counter, now)
            return False
        return now - since >= self._options.failover_s

    async def _take(self, lease: Lease, shards: dict[str, Shard]) -> None:
        asked_s = time.monotonic()
        try:
            taken = await self._leases.take(lease)
        except LeaseLost:
            return
        self._equipment.log.info("lease", "taken", shard=taken.shard_id, checkpoint=taken.checkpoint)
        fence = Fence(self._options.failover_s, asked_s)
        work = ShardWork(self._kinesis, self._leases, self._equipment, self._options, taken, self._stop, fence)
        task = asyncio.get_running_loop().create_task(work.run())
        task.add_done_callback(lambda _: self._news.set())
        self._tasks[taken.shard_id] = task


class ShardWork:
    """One lease at work."""

    def __init__(
        self,
        kinesis: Any,
        leases: Leases,
        equipment: Equipment,
        options: Options,
        lease: Lease,
        stop: asyncio.Event,
        fence: Fence | None = None,
    ) -> None:
        self._kinesis = kinesis
        self._leases = leases
        self._equipment = equipment
        self._options = options
        self._lease = lease
        self._shard = lease.as_shard()
        self._stop = stop
        self._fence = fence or Fence()
        self._lock = asyncio.Lock()
        self._runtime: ShardRuntime | None = None
        self._start = lease.checkpoint
        self._rest: dict[str, int] = {}

    async def run(self) -> None:
        """Work the shard off, until it ends, the lease is lost, or the worker stops."""
        loop = asyncio.get_running_loop()
        keeper: asyncio.Task[bool] = loop.create_task(self._keep())
        tasks = [keeper]
        try:
            runtime = self._runtime = await self._open()
            reader: asyncio.Task[bool] = loop.create_task(self._read(runtime))
            tasks.append(reader)
            watched: list[asyncio.Future[Any]] = [reader, keeper, runtime.failed]
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            if not reader.done():
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
                for done in (runtime.failed, keeper):
                    if done.done():
                        done.result()
            ended = reader.result()
            await runtime.drain(self._options.drain_s)
            await runtime.stop()
            await self._close(runtime, ended)
        except LeaseLost:
            self._equipment.log.warning("lease", "lost", shard=self._shard.shard_id)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._runtime is not None:
                await self._runtime.stop()

    async def _open(self) -> ShardRuntime:
        while True:
            try:
                return await self._try_open()
            except HeraldError as error:
                if not error.retryable and not is_expired_iterator(error):  # a long pause in the middle of reading
                    raise
                self._equipment.log.warning("open", "trying again", shard=self._shard.shard_id, code=error.code)
                await asyncio.sleep(self._options.poll_s)

    async def _try_open(self) -> ShardRuntime:
        if self._start == TRIM_HORIZON:
            for parent in self._lease.parents:
                self._rest = merge_rests(self._rest, await self._equipment.snapshots.load_rest(parent))
        now_ms = time.time_ns() // 1_000_000
        first = await first_arrival_ms(self._kinesis, self._options.input_stream, self._starts())
        since_ms = now_ms if first is None else min(first, now_ms)
        emitted = await read_emitted(self._kinesis, self._options.output_stream, self._shard, since_ms)
        return self._make_runtime(emitted)

    def _make_runtime(self, emitted: dict[str, list[Emitted]]) -> ShardRuntime:
        shard_id, epoch = self._shard.shard_id, self._lease.counter
        return ShardRuntime(self._equipment, shard_id, epoch, emitted, random.random, self._fence)

    def _starts(self) -> dict[str, int]:
        own = 0 if self._start == TRIM_HORIZON else int(self._start)
        return self._rest | {self._shard.shard_id: own}

    # --- reading -------------------------------------------------------------------------------------------------

    async def _read(self, runtime: ShardRuntime) -> bool:
        """Read the ancestors' rest, then the shard. True at the shard's end, False when told to stop."""
        runtime.reading = Fence(READ_LATE_S, time.monotonic())
        for shard_id, after in self._starts().items():
            if not await self._read_shard(runtime, shard_id, after):
                return False
        return True

    async def _read_shard(self, runtime: ShardRuntime, shard_id: str, after: int) -> bool:
        iterator: str | None = None
        while not self._stop.is_set():
            read_at = time.monotonic()
            try:
                if iterator is None:
                    iterator = await self._iterator(shard_id, after)
                page = await get_page(self._kinesis, shard_id, iterator, self._options.limit)
            except HeraldError as error:
                if is_expired_iterator(error):
                    iterator = None
                    continue
                if isinstance(error, NotFound) and shard_id != self._shard.shard_id:
                    self._equipment.log.error(
                        "read", "an ancestor's rest is gone, its retention is over", shard=shard_id
                    )
                    return True
                if not error.retryable:
                    raise
                self._equipment.log.warning("read", "trying again", shard=shard_id, code=error.code)
                await self._pause(self._options.poll_s * (1 + random.random()))
                continue
            if page.behind_ms < 1000 * READ_LATE_S:
                runtime.reading.confirm(read_at)
            mine = [stored for stored in page.records if self._shard.holds(stored.key)]
            await runtime.prepare(dict.fromkeys(stored.key for stored in mine))
            for stored in mine:
                if not await self._give(runtime, stored):
                    return False
            if page.records:
                after = page.records[-1].position.sequence
            self._equipment.metrics.add("MillisBehindLatest", page.behind_ms, "Milliseconds")
            if page.iterator is None:
                return True
            iterator = page.iterator
            await self._pause(self._options.poll_s - (time.monotonic() - read_at))
        return False

    async def _give(self, runtime: ShardRuntime, stored: StoredRecord) -> bool:
        while not runtime.wants_input():
            if self._stop.is_set():
                return False
            await asyncio.sleep(PAUSE_S)
        await runtime.give([stored])
        return True

    async def _iterator(self, shard_id: str, after: int) -> str:
        start: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if after:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(after)}
        return await get_iterator(self._kinesis, self._options.input_stream, shard_id, **start)

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    # --- the lease -----------------------------------------------------------------------------------------------

    async def _keep(self) -> bool:
        """Renew the lease and write checkpoints until cancelled.

        Raises LeaseLost, also when the store could not be reached for as long as the lease lasts.
        """
        renewed_at = time.monotonic()
        sure = True
        while True:
            await asyncio.sleep(min(CHECKPOINT_EVERY_S, self._options.failover_s / 6))
            now = time.monotonic()
            try:
                async with self._lock:
                    if not sure:  # an answer was lost: the counter may be one further
                        self._lease = await self._leases.confirm(self._lease)
                        sure = True
                    if now - renewed_at >= self._options.failover_s / 3:
                        sure = False
                        self._lease = await self._leases.renew(self._lease)
                        renewed_at, sure = now, True
                        self._fence.confirm(now)
                    await self._checkpoint()
            except HeraldError as error:
                if not error.retryable:
                    raise
                self._equipment.log.warning("lease", "trying again", shard=self._shard.shard_id, code=error.code)
                if now - renewed_at > self._options.failover_s:
                    raise LeaseLost(f"the lease of {self._shard.shard_id} could not be renewed") from error

    async def _checkpoint(self) -> None:
        position = self._runtime.checkpoint() if self._runtime is not None else None
        if position is None or position.shard_id != self._shard.shard_id or self._lease.ended:
            return  # an ancestor's rest is still being read: it stays what it is
        if str(position.sequence) != self._lease.checkpoint:
            self._lease = await self._leases.checkpoint(self._lease, str(position.sequence))

    async def _close(self, runtime: ShardRuntime, ended: bool) -> None:
        """Leave the shard as it is, and let go. Tried until it is done or the lease is lost, were it after a stop."""
        rest = rest_of(self._starts(), runtime.checkpoint())
        if ended:
            await self._insist(lambda: self._equipment.snapshots.save_rest(self._shard.shard_id, rest))
            await self._insist(self._end)
        else:
            await self._insist(self._checkpoint)
        await self._insist(lambda: self._leases.release(self._lease))
        self._equipment.log.info("lease", "released", shard=self._shard.shard_id, ended=ended)

    async def _end(self) -> None:
        self._lease = await self._leases.checkpoint(self._lease, SHARD_END)

    async def _insist(self, deed: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                async with self._lock:  # between two tries the keeper may renew the lease
                    if not self._fence.holds(asked_s := time.monotonic()):
                        self._lease = await self._leases.renew(await self._leases.confirm(self._lease))
                        self._fence.confirm(asked_s)
                    return await deed()
            except HeraldError as error:
                if not error.retryable:
                    raise
                self._equipment.log.warning("close", "trying again", shard=self._shard.shard_id, code=error.code)
            await asyncio.sleep(PAUSE_S * (1 + random.random()))
