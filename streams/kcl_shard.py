"""One shard under the Kinesis Client Library: what its process does between the daemon's calls.

The daemon (Java) holds the lease, renews it, reads the shard and writes the checkpoints; `kcl` speaks its protocol.
Here is the rest, on an asyncio loop: recovery, the ancestors' rest, the driver's shell, and the watch over the lease.

Nobody tells a process that its daemon is frozen, or that it was frozen itself. So it looks at its lease's row by
itself: another owner or another claim means that it is lost, and a counter that has moved that the daemon renewed it
since the look before. Past the time for which that is good the fence is closed: nothing is emitted, called or stored
until the next renewal is seen. What has lost its lease stays quiet until the daemon says so too.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from streams.claims import Claim, Claims
from streams.embedded import READ_LATE_S, Options, ShardWork
from streams.errors import HeraldError, LeaseLost
from streams.fence import Fence
from streams.kinesis import StoredRecord
from streams.policy import backoff_ms
from streams.recovery import rest_of
from streams.resources import DRAIN_S
from streams.runtime import Equipment, ShardRuntime
from streams.stage import Position
from streams.telemetry import place_of

PULSE_S: Final = 0.05
"""How soon a process notices that its daemon has died."""
LOOKS_PER_FAILOVER: Final = 10
"""Looks at the lease's row in the time that it lasts; the KCL renews three times in it."""
LOOKS_WITHOUT_RENEWAL: Final = 2 * LOOKS_PER_FAILOVER
"""After these the lease is lost for the daemon too, which drops what it could not renew in time. It does not say so
before the call that it waits for has returned, and that may wait for the renewal."""
EXIT_FAILED: Final = 1
RUN: Final = "HERALD_RUN"
"""The variable that tells a daemon's processes which life of their worker it is."""


class KclShard(ShardWork):
    """A shard's work. end: ends the process; called when it cannot go on and nobody asks it anything."""

    def __init__(
        self,
        kinesis: Any,
        claims: Claims,
        equipment: Equipment,
        options: Options,
        claim: Claim,
        asked_s: float,
        end: Callable[[int], None],
    ) -> None:
        lease = claim.lease._replace(counter=claim.number)
        renewed_s = asked_s - options.failover_s / 3  # the KCL renews so often: no longer ago than that, then
        fence = Fence(options.failover_s, renewed_s)
        super().__init__(kinesis, claims, equipment, options, lease, asyncio.Event(), fence)
        self._claims = claims
        self._claim = claim
        self._asked_s = asked_s
        self._end_process = end
        self._daemon = os.getppid()
        self._is_reading = False
        self._last: Position | None = None
        self._is_quiet = False
        self._background: list[asyncio.Task[Any]] = []
        self._rest_is_read: asyncio.Task[None] | None = None

    @classmethod
    async def begin(
        cls,
        kinesis: Any,
        claims: Claims,
        equipment: Equipment,
        options: Options,
        shard_id: str,
        checkpoint: str,
        end: Callable[[int], None],
    ) -> "KclShard":
        """Claim the lease, and get ready to be given records. Raises LeaseLost, and what makes going on wrong."""
        asked_s = time.monotonic()
        claim = await insist(lambda: claims.claim(shard_id), equipment, "claiming")
        claim = claim._replace(lease=claim.lease._replace(checkpoint=checkpoint))
        shard = cls(kinesis, claims, equipment, options, claim, asked_s, end)
        loop = asyncio.get_running_loop()
        shard._background = [loop.create_task(shard._watch()), loop.create_task(shard._pulse())]
        runtime = shard._runtime = await shard._open()
        shard._rest_is_read = loop.create_task(shard._read_rest(runtime))
        shard._background += [shard._rest_is_read, loop.create_task(shard._until_failed(runtime))]
        for task in shard._background:
            task.add_done_callback(shard._on_done)
        equipment.log.info("lease", "claimed", shard=shard_id, checkpoint=checkpoint, claim=claim.number)
        return shard

    # --- what the daemon asks ------------------------------------------------------------------------------------

    async def take(self, records: Sequence[StoredRecord], behind_ms: int) -> None:
        """Take records in the order of the shard; returns when more may come. Nothing is taken without a lease."""
        runtime = self._runtime
        assert runtime is not None
        assert self._rest_is_read is not None
        await asyncio.wait({self._rest_is_read})
        if self.is_quiet:
            await asyncio.sleep(self._options.poll_s)
            return
        self._equipment.metrics.add("MillisBehindLatest", behind_ms, "Milliseconds")
        if not self._is_reading:
            self._is_reading = True
            runtime.reading = Fence(READ_LATE_S, time.monotonic())
            await self._note_reading()
        if behind_ms < 1000 * READ_LATE_S:
            runtime.reading.confirm(time.monotonic())
        try:
            await runtime.prepare(dict.fromkeys(stored.key for stored in records))
            for stored in records:
                if not await self._give(runtime, stored):
                    return
                self._last = stored.position
        except LeaseLost:
            return  # it is quiet, and the daemon will say so too

    async def _note_reading(self) -> None:
        try:
            await self._claims.note_reading(self._claim)
        except HeraldError as error:  # only whoever waits for the stage to be ready asks for it
            self._equipment.log.warning("lease", "not noted as read", shard=self._shard.shard_id, code=error.code)

    def watermark(self) -> str | None:
        """The sequence number to checkpoint at; None while it is an ancestor's, not known, or nobody's business."""
        position = self._runtime.checkpoint() if self._runtime is not None and not self.is_quiet else None
        if position is None or position.shard_id != self._shard.shard_id:
            return None
        return str(position.sequence)

    async def drain(self) -> None:
        """Let what is under way come to its end, and into snapshots, for a while; then stop."""
        deadline = time.monotonic() + DRAIN_S
        if self._runtime is not None and not self.is_quiet:
            await self._runtime.drain(self._options.drain_s)
            while time.monotonic() < deadline and not self.is_quiet and self._runtime.checkpoint() != self._last:
                await asyncio.sleep(PULSE_S)
            await self.stop()

    async def leave_rest(self) -> None:
        """The shard has ended: drain, and leave what is not settled to its children. Raises LeaseLost."""
        runtime = self._runtime
        assert runtime is not None
        assert self._rest_is_read is not None
        await asyncio.wait({self._rest_is_read})
        await runtime.drain(self._options.drain_s)
        while not self.is_quiet and not self._fence.holds(time.monotonic()):
            await asyncio.sleep(PULSE_S)
        if self.is_quiet:
            raise LeaseLost("the shard's end is another's to note")
        await runtime.stop()
        rest = rest_of(self._starts(), runtime.checkpoint())
        shard_id = self._shard.shard_id
        await insist(lambda: self._equipment.snapshots.save_rest(shard_id, rest), self._equipment, "leaving the rest")

    async def stop(self) -> None:
        """Stop at once: no emit, call or snapshot starts after this."""
        for task in self._background:
            task.cancel()
        await self._stop_work()

    async def _stop_work(self) -> None:
        self._stop.set()
        if self._rest_is_read is not None:
            self._rest_is_read.cancel()
        if self._runtime is not None:
            await self._runtime.stop()

    @property
    def is_quiet(self) -> bool:
        """Whether the lease is lost, as far as is known here."""
        return self._is_quiet

    # --- the watch -----------------------------------------------------------------------------------------------

    async def _read_rest(self, runtime: ShardRuntime) -> None:
        """The ancestors' rest, from the log. The shard itself comes from the daemon, after it."""
        for shard_id, after in list(self._starts().items())[:-1]:
            if not await self._read_shard(runtime, shard_id, after):
                return

    async def _until_failed(self, runtime: ShardRuntime) -> None:
        await asyncio.shield(runtime.failed)

    async def _watch(self) -> None:
        """Look at the lease until it is lost; a renewal that is new came after the look before.

        Looks are counted, and not time: a process that was frozen must first look again.
        """
        counter = self._claim.lease.counter
        looks = 0
        while looks < LOOKS_WITHOUT_RENEWAL:
            looks += 1
            await asyncio.sleep(self._options.failover_s / LOOKS_PER_FAILOVER)
            asked_s = time.monotonic()
            try:
                found = await self._claims.look(self._claim)
            except HeraldError as error:
                if not error.retryable:
                    raise
                self._equipment.log.warning("lease", "trying again", shard=self._shard.shard_id, code=error.code)
                continue
            if found.lease.counter != counter:
                counter, looks = found.lease.counter, 0
                self._fence.confirm(self._asked_s)
            self._asked_s = asked_s
        raise LeaseLost("it has not been renewed for long")

    async def _pulse(self) -> None:
        """End with the daemon, however it ended: whoever comes next begins anew."""
        while os.getppid() == self._daemon:
            await asyncio.sleep(PULSE_S)
        self._end_process(EXIT_FAILED)

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None or self.is_quiet:
            return
        self._is_quiet = True
        if isinstance(error, LeaseLost):
            self._equipment.log.warning("lease", "lost", shard=self._shard.shard_id, reason=str(error))
        else:
            self._equipment.log.error("shard", "cannot go on", shard=self._shard.shard_id, error=place_of(error))
            self._end_process(EXIT_FAILED)
        self._background.append(asyncio.get_running_loop().create_task(self._be_quiet()))

    async def _be_quiet(self) -> None:
        """Stop, and wait for the daemon to see it the same way; if it does not, end: a new process sorts it out."""
        await self._stop_work()
        await asyncio.sleep(self._options.failover_s)
        self._equipment.log.error("lease", "lost, but the daemon does not say so", shard=self._shard.shard_id)
        self._end_process(EXIT_FAILED)


async def insist(deed: Callable[[], Coroutine[Any, Any, Any]], equipment: Equipment, doing: str) -> Any:
    """Do it until it is done; raises what no retry mends."""
    failures = 0
    while True:
        try:
            return await deed()
        except HeraldError as error:
            failures += 1
            if not error.retryable:
                raise
            equipment.log.warning("lease", "trying again", doing=doing, code=error.code, failures=failures)
        await asyncio.sleep(backoff_ms(failures, random.random) / 1000)
