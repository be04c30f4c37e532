"""One shard under the Kinesis Client Library: what its process does between the daemon's calls.

The daemon (Java) holds the lease, renews it, reads the shard and writes the checkpoints; `kcl` speaks its protocol.
Here is the rest, on an asyncio loop: recovery, the ancestors' rest, the driver's shell, and the watch over the lease.

Nobody tells a process that its daemon is frozen, or that it was frozen itself. So it looks at its lease's row by
itself: another owner or another claim means that it is lost; and past the time for which the last renewal is good
nothing may be emitted, called or stored, whoever the owner is. What has lost its lease stays quiet until the daemon
says so too.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from streams.claims import Claim, Claims
from streams.driver import Deed
from streams.embedded import DRAIN_S, Options, ShardWork
from streams.errors import HeraldError, LeaseLost
from streams.kinesis import OrderedWriter, StoredRecord
from streams.policy import backoff_ms
from streams.recovery import rest_of
from streams.runtime import Emitted, Equipment, ShardRuntime
from streams.stage import Position
from streams.telemetry import place_of

PULSE_S: Final = 0.05
"""How soon a process that was frozen notices; nothing is done for the shard before it has."""
LOOKS_PER_FAILOVER: Final = 10
"""Looks at the lease's row in the time that it lasts; the KCL renews three times in it."""
EXIT_FAILED: Final = 1


class Tenure:
    """Until when the last renewal that was seen is good. Time is this machine's own, in seconds."""

    def __init__(self, failover_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._failover_s = failover_s
        self._now = now
        self._until = now() + failover_s * 2 / 3  # the KCL renews every third of it: so old may the last renewal be
        self._looked_at = now()
        self.counter: int | None = None
        """The row's counter, as last seen."""

    def holds(self) -> bool:
        """Whether nobody else can have taken the lease yet."""
        return self._now() < self._until

    def seen(self, counter: int, asked_at: float) -> None:
        """The row as it was at some time after `asked_at`. A renewal that is new came after the look before."""
        if self.counter is not None and counter != self.counter:
            self._until = self._looked_at + self._failover_s
        self.counter = counter
        self._looked_at = asked_at


class FencedClient:
    """A Kinesis client for a shard's writer: it writes nothing once the lease may be another's."""

    def __init__(self, client: Any, holds: Callable[[], bool]) -> None:
        self._client = client
        self._holds = holds

    async def put_records(self, **arguments: Any) -> Any:
        """As the client's own. Raises LeaseLost."""
        if not self._holds():
            raise LeaseLost("the lease may have another owner: nothing is written")
        return await self._client.put_records(**arguments)


class FencedRuntime(ShardRuntime):
    """A shard's runtime that does nothing once the lease may be another's."""

    def __init__(self, *arguments: Any, holds: Callable[[], bool]) -> None:
        super().__init__(*arguments)
        self._holds = holds

    def _do(self, deeds: list[Deed]) -> None:
        if deeds and not self._holds():
            self._fail(LeaseLost("the lease may have another owner: nothing is done"))
            return
        super()._do(deeds)


class KclShard(ShardWork):
    """A shard's work. end: ends the process; called when it cannot go on and nobody asks it anything."""

    def __init__(
        self,
        kinesis: Any,
        claims: Claims,
        equipment: Equipment,
        options: Options,
        claim: Claim,
        end: Callable[[int], None],
    ) -> None:
        lease = claim.lease._replace(counter=claim.number)
        self._tenure = Tenure(options.failover_s)
        fenced = OrderedWriter(FencedClient(kinesis, self._tenure.holds), options.output_stream)
        super().__init__(kinesis, claims, equipment._replace(writer=fenced), options, lease, asyncio.Event())
        self._claims = claims
        self._claim = claim
        self._end_process = end
        self._daemon = os.getppid()
        self._is_reading = False
        self._last: Position | None = None
        self._quiet_since: float | None = None
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
        claim = await insist(lambda: claims.claim(shard_id), equipment, "claiming")
        claim = claim._replace(lease=claim.lease._replace(checkpoint=checkpoint))
        shard = cls(kinesis, claims, equipment, options, claim, end)
        loop = asyncio.get_running_loop()
        shard._background = [loop.create_task(shard._watch()), loop.create_task(shard._pulse())]
        runtime = shard._runtime = await shard._open()
        shard._rest_is_read = loop.create_task(shard._read_rest(runtime))
        shard._background += [shard._rest_is_read, loop.create_task(shard._until_failed(runtime))]
        for task in shard._background:
            task.add_done_callback(shard._on_done)
        equipment.log.info("lease", "claimed", shard=shard_id, checkpoint=checkpoint, claim=claim.number)
        return shard

    def _make_runtime(self, emitted: dict[str, list[Emitted]]) -> ShardRuntime:
        return FencedRuntime(
            self._equipment,
            self._shard.shard_id,
            self._lease.counter,
            emitted,
            random.random,
            holds=self._tenure.holds,
        )

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
            await self._note_reading()
        await runtime.prepare(dict.fromkeys(stored.key for stored in records))
        for stored in records:
            if not await self._give(runtime, stored):
                return
            self._last = stored.position

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
            await self._runtime.drain(DRAIN_S)
            while time.monotonic() < deadline and not self.is_quiet and self._runtime.checkpoint() != self._last:
                await asyncio.sleep(PULSE_S)
            await self.stop()

    async def leave_rest(self) -> bool:
        """The shard has ended: drain, and leave what is not settled to its children. False without a lease."""
        runtime = self._runtime
        assert runtime is not None
        assert self._rest_is_read is not None
        await asyncio.wait({self._rest_is_read})
        if self.is_quiet:
            return False
        await runtime.drain(DRAIN_S)
        await runtime.stop()
        if not self._tenure.holds():
            return False
        rest = rest_of(self._starts(), runtime.checkpoint())
        shard_id = self._shard.shard_id
        await insist(lambda: self._equipment.snapshots.save_rest(shard_id, rest), self._equipment, "leaving the rest")
        return True

    async def stop(self) -> None:
        """Stop at once: no emit, call or snapshot starts after this."""
        self._stop.set()
        for task in self._background:
            task.cancel()
        if self._runtime is not None:
            await self._runtime.stop()
        await self._equipment.writer.close()

    @property
    def is_quiet(self) -> bool:
        """Whether the lease is lost, as far as is known here."""
        return self._quiet_since is not None

    # --- the watch -----------------------------------------------------------------------------------------------

    async def _read_rest(self, runtime: ShardRuntime) -> None:
        """The ancestors' rest, from the log. The shard itself comes from the daemon, after it."""
        for shard_id, after in list(self._starts().items())[:-1]:
            if not await self._read_shard(runtime, shard_id, after):
                return

    async def _until_failed(self, runtime: ShardRuntime) -> None:
        await asyncio.shield(runtime.failed)

    async def _watch(self) -> None:
        """Look at the lease until it is lost."""
        while True:
            asked_at = time.monotonic()
            try:
                found = await self._claims.look(self._claim)
            except HeraldError as error:
                if not error.retryable:
                    raise
                self._equipment.log.warning("lease", "trying again", shard=self._shard.shard_id, code=error.code)
            else:
                self._tenure.seen(found.lease.counter, asked_at)
            await asyncio.sleep(self._options.failover_s / LOOKS_PER_FAILOVER)

    async def _pulse(self) -> None:
        """Notice that the daemon has died, that the lease is over, that nobody says what is to become of this."""
        while True:
            await asyncio.sleep(PULSE_S)
            if os.getppid() != self._daemon:
                self._end_process(EXIT_FAILED)
            if not self._tenure.holds():
                raise LeaseLost("the lease was not renewed in time")

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None or self.is_quiet:
            return
        if isinstance(error, LeaseLost):
            self._equipment.log.warning("lease", "lost", shard=self._shard.shard_id, reason=str(error))
        else:
            self._equipment.log.error("shard", "cannot go on", shard=self._shard.shard_id, error=place_of(error))
            self._end_process(EXIT_FAILED)
        self._quiet_since = time.monotonic()
        asyncio.get_running_loop().create_task(self._be_quiet())

    async def _be_quiet(self) -> None:
        """Stop, and wait for the daemon to see it the same way; if it does not, end: a new process sorts it out."""
        await self.stop()
        shard_id = self._shard.shard_id
        if await self._was_only_frozen():
            self._equipment.log.error("lease", "held all the while, but not watched over", shard=shard_id)
        else:
            await asyncio.sleep(self._options.failover_s)
            self._equipment.log.error("lease", "lost, but the daemon does not say so", shard=shard_id)
        self._end_process(EXIT_FAILED)

    async def _was_only_frozen(self) -> bool:
        """Whether the daemon has gone on renewing while this process did not look."""
        try:
            return (await self._claims.look(self._claim)).lease.counter != self._tenure.counter
        except HeraldError:
            return False  # lost, or not known


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
