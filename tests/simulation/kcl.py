"""A worker under the Kinesis Client Library: a daemon that holds leases, and a process of ours for each shard.

The daemon does what the library's documentation and its traps say: it renews, reads, checkpoints under a condition,
asks its children one thing at a time, and dies with any of them. The children are `KclShard`, as in production; what
`streams.kcl` does on stdin and stdout is told here as coroutines.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from streams import kcl_shard
from streams.claims import Claims
from streams.embedded import CHECKPOINT_EVERY_S, Options
from streams.errors import HeraldError, LeaseLost
from streams.kcl_shard import KclShard
from streams.kinesis import Page, Shard, get_iterator, get_page, is_expired_iterator, list_shards
from streams.leases import SHARD_END, TRIM_HORIZON, Lease, Leases
from streams.runtime import Equipment
from tests.simulation.ground import Ground, Setting
from tests.simulation.loop import PROCESS, Process, run_in

SYNC_EVERY_S: Final = 1.0
FINAL_TRIES: Final = 8
END_S: Final = 10.0
"""How long a daemon that stops waits for its children."""

Equip = Callable[[Process], tuple[Equipment, Callable[[], Coroutine[Any, Any, None]]]]


class ChildGone(Exception):
    """A child has ended: the library ends the daemon, and with it all other children."""


class _Os:
    """What `kcl_shard` sees of its parents: somebody else's child is whose daemon has died."""

    @staticmethod
    def getppid() -> int:
        process = PROCESS.get()
        assert process is not None
        return 1 if process.parent is None or process.parent.dead else id(process.parent)


SETTINGS: Final[Sequence[Setting]] = ((kcl_shard, "os", _Os), (kcl_shard, "PULSE_S", 0.2))


class Daemon:
    """Stands in for `embedded.Worker`. equip: makes a child's equipment, and what closes it."""

    def __init__(self, ground: Ground, process: Process, leases: str, worker_id: str, options: Options, equip: Equip):
        self.ground = ground
        self.process = process
        self.options = options
        self.worker_id = worker_id
        self.table = leases
        self.equip = equip
        self.stopping = asyncio.Event()
        self.leases = Leases(ground.tables, leases, worker_id)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        self.children: dict[str, Process] = {}

    def stop(self) -> None:
        """SIGTERM."""
        self.stopping.set()

    def processes(self, size: float) -> list[Process]:
        """Whom a signal hits: the daemon, one of its children, or all of them."""
        children = [child for child in self.children.values() if not child.dead]
        if size < 0.4 or not children:
            return [self.process]
        return [self.process, *children] if size > 0.7 else [children[int(size * 100) % len(children)]]

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Hold leases until `stop`. Raises ChildGone."""
        on_ready()
        try:
            while not self.stopping.is_set():
                try:
                    await self._sync()
                except HeraldError as error:
                    if not error.retryable:
                        raise
                await wait_for(self.stopping, SYNC_EVERY_S)
                for shard_id, task in list(self._tasks.items()):
                    if task.done():
                        del self._tasks[shard_id]
                        task.result()
        finally:
            self.stopping.set()
            if self._tasks:
                await asyncio.wait(self._tasks.values(), timeout=END_S)
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            for child in self.children.values():
                await self.ground.loop.kill(child)

    async def _sync(self) -> None:
        shards = {shard.shard_id: shard for shard in await list_shards(self.ground.kinesis, self.options.input_stream)}
        leases = await self.leases.list()
        for shard in shards.values():
            if shard.shard_id not in leases:
                await self.leases.create(shard)
        leases = await self.leases.list()
        for lease in leases.values():
            if lease.shard_id in self._tasks or lease.ended or lease.shard_id not in shards:
                continue
            begun = all(  # the library begins with children when their parents are at their end
                parent not in leases or parent not in shards or leases[parent].ended for parent in lease.parents
            )
            if begun and self._is_free(lease):
                await self._take(lease, shards)

    def _is_free(self, lease: Lease) -> bool:
        if lease.owner is None:
            return True
        now_s = self.ground.loop.time()
        counter, since_s = self._seen.get(lease.shard_id, (-1, now_s))
        if counter != lease.counter:
            self._seen[lease.shard_id] = (lease.counter, now_s)
            return False
        return now_s - since_s >= self.options.failover_s

    async def _take(self, lease: Lease, shards: dict[str, Shard]) -> None:
        try:
            taken = await self.leases.take(lease)
        except LeaseLost:
            return
        self.ground.note(f"the daemon has {taken.shard_id} from {taken.checkpoint}")
        task = self._tasks[taken.shard_id] = asyncio.get_running_loop().create_task(_Holding(self, taken).run())
        task.add_done_callback(_seen_by_whoever_is_left)


def _seen_by_whoever_is_left(task: "asyncio.Task[None]") -> None:
    """A daemon that is killed asks none of its tasks what became of them."""
    if not task.cancelled():
        task.exception()


class _Holding:
    """One lease of a daemon, and the child that works it."""

    def __init__(self, daemon: Daemon, lease: Lease) -> None:
        self._daemon = daemon
        self._lease = lease
        self._lock = asyncio.Lock()
        self._lost = asyncio.Event()
        self._ended = False
        self._checkpointed = lease.checkpoint
        self._child = Process(f"{daemon.worker_id}/{lease.shard_id[-2:]}", daemon.process)
        daemon.children[lease.shard_id] = self._child
        self._shard: KclShard | None = None

    async def run(self) -> None:
        """Work the shard off. Raises ChildGone."""
        keeper = asyncio.get_running_loop().create_task(self._keep())
        try:
            await self._ask(self._begin)
            if await self._read():
                await self._ask(self._shard_ended)
                self._ended = True
            elif self._lost.is_set():
                await self._ask(self._lease_lost)
            else:
                await self._ask(self._shutdown_requested)
                await self._release()
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await self._daemon.ground.loop.kill(self._child)

    async def _ask(self, question: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """One call of the child, and its answer."""
        if self._child.dead:
            raise ChildGone(self._child.name)
        task = run_in(self._child, question)
        task.add_done_callback(_seen_by_whoever_is_left)
        while not task.done() and not self._child.dead:
            await asyncio.wait({task}, timeout=SYNC_EVERY_S)
        if self._child.dead or task.cancelled():
            raise ChildGone(self._child.name)
        if (error := task.exception()) is not None:
            self._daemon.ground.note(f"{self._child.name} ends with {error!r}")
            raise ChildGone(self._child.name) from error

    # --- in the child: what `streams.kcl.Processor` does ----------------------------------------------------------

    async def _begin(self) -> None:
        daemon, ground = self._daemon, self._daemon.ground
        equipment, _ = daemon.equip(self._child)
        claims = Claims(ground.tables, daemon.table, daemon.worker_id)
        nowhere = contextvars.Context()
        child = self._child

        def end(code: int) -> None:
            nowhere.run(lambda: ground.loop.create_task(ground.loop.kill(child)))

        try:
            self._shard = await KclShard.begin(
                ground.kinesis, claims, equipment, daemon.options, self._lease.shard_id, self._lease.checkpoint, end
            )
        except LeaseLost:
            return  # the daemon will find out

    async def _take(self, page: Page) -> None:
        if self._shard is None:
            return
        work = asyncio.get_running_loop().create_task(self._shard.take(page.records, page.behind_ms))
        try:
            while not work.done():
                await asyncio.wait({work}, timeout=CHECKPOINT_EVERY_S)
                await self._checkpoint_now_and_then()
            await work
        except LeaseLost:
            return

    async def _checkpoint_now_and_then(self) -> None:
        assert self._shard is not None
        watermark = self._shard.watermark()
        if watermark is not None and watermark != self._checkpointed and await self._checkpoint(watermark):
            self._checkpointed = watermark

    async def _shard_ended(self) -> None:
        if self._shard is None:
            raise LeaseLost("the lease was lost before the shard's end")
        await self._shard.leave_rest()
        await self._insist(SHARD_END)

    async def _lease_lost(self) -> None:
        if self._shard is not None:
            await self._shard.stop()

    async def _shutdown_requested(self) -> None:
        if self._shard is None:
            return
        await self._shard.drain()
        watermark = self._shard.watermark()
        if watermark is not None and watermark != self._checkpointed:
            try:
                await self._insist(watermark)
            except LeaseLost:
                return

    async def _insist(self, sequence: str) -> None:
        for _ in range(FINAL_TRIES):
            if await self._checkpoint(sequence):
                return
            await asyncio.sleep(0.25)
        raise TimeoutError("the last checkpoint could not be written")

    async def _checkpoint(self, sequence: str) -> bool:
        """The library's answer to a checkpoint: done, not now, or ShutdownException, which is LeaseLost."""
        if self._lost.is_set():
            raise LeaseLost("ShutdownException")
        try:
            async with self._lock:
                self._lease = await self._confirmed()
                await self._daemon.leases._mine(
                    self._lease,
                    "SET checkpoint = :at, checkpointSubSequenceNumber = :zero, ownerSwitchesSinceCheckpoint = :zero,"
                    " leaseCounter = leaseCounter + :one",
                    {":at": {"S": sequence}, ":zero": {"N": "0"}, ":one": {"N": "1"}},
                )
                self._lease = self._lease._replace(counter=self._lease.counter + 1, checkpoint=sequence)
        except HeraldError as error:
            if not error.retryable:
                raise
            return False
        return True

    # --- in the daemon ---------------------------------------------------------------------------------------------

    async def _read(self) -> bool:
        """Read, and give what is read. True at the shard's end; False when the lease is lost, or the daemon stops."""
        kinesis, options, shard_id = self._daemon.ground.kinesis, self._daemon.options, self._lease.shard_id
        after, iterator = self._lease.checkpoint, None
        while not self._lost.is_set() and not self._daemon.stopping.is_set():
            try:
                if iterator is None:
                    start: dict[str, Any] = {"ShardIteratorType": TRIM_HORIZON}
                    if after != TRIM_HORIZON:
                        start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
                    iterator = await get_iterator(kinesis, options.input_stream, shard_id, **start)
                page = await get_page(kinesis, shard_id, iterator, options.limit)
            except HeraldError as error:
                if not error.retryable and not is_expired_iterator(error):
                    raise
                iterator = None
                await wait_for(self._daemon.stopping, options.poll_s)
                continue
            await self._ask(lambda page=page: self._take(page))  # type: ignore[misc]
            if page.records:
                after = str(page.records[-1].position.sequence)
            if page.iterator is None:
                return not self._lost.is_set()
            iterator = page.iterator
            await wait_for(self._daemon.stopping, options.poll_s)
        return False

    async def _keep(self) -> None:
        """Renew, until the lease is lost."""
        failover_s = self._daemon.options.failover_s
        loop = self._daemon.ground.loop
        renewed_s = loop.time()
        while not self._ended:
            await asyncio.sleep(failover_s / 3)
            asked_s = loop.time()
            try:
                async with self._lock:
                    self._lease = await self._daemon.leases.renew(await self._confirmed())
                renewed_s = asked_s
            except LeaseLost:
                break
            except HeraldError as error:
                if not error.retryable:
                    raise
                if loop.time() - renewed_s > failover_s:
                    break
        self._lost.set()

    async def _confirmed(self) -> Lease:
        """The lease with its counter, which an answer that was lost may have raised."""
        found = (await self._daemon.leases.list()).get(self._lease.shard_id)
        if found is None or found.owner != self._daemon.worker_id:
            raise LeaseLost("it is another's")
        return self._lease._replace(counter=found.counter)

    async def _release(self) -> None:
        for _ in range(FINAL_TRIES):
            try:
                async with self._lock:
                    await self._daemon.leases.release(await self._confirmed())
            except LeaseLost:
                return
            except HeraldError:
                await asyncio.sleep(0.25)
            else:
                return


async def wait_for(event: asyncio.Event, limit_s: float) -> None:
    """Until it happens, or so long."""
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return
