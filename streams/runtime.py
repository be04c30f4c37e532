"""The driver's shell: does its deeds for one shard, and tells it what became of them.

The runners give it records and ask it for checkpoints; `fail` ends the shard's work with an error that must not pass
unseen (a lost lease, a missing stream, a bug).
"""

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, NamedTuple

from streams.calls import Calls
from streams.catch_up import CatchUp, InputLog
from streams.dead_letters import DeadLetters
from streams.driver import Bury, Deed, Driver, Forget, GiveUp, Perform, Put, Save
from streams.errors import Failure, HeraldError, LeaseLost
from streams.fence import LOOK_EVERY_S, Fence
from streams.isolation import Isolated
from streams.journal import Journal
from streams.kinesis import OrderedWriter, StoredRecord
from streams.parking import Place
from streams.policy import Breaker, backoff_ms
from streams.records import encode
from streams.recovery import Emitted, read_record
from streams.snapshots import Snapshot, Snapshots
from streams.stage import Count, Input, Position, Reply, Service, StageBuilder
from streams.telemetry import Log, Metrics, place_of

TICK_S: Final = 0.02
"""How late a stage's timer may be."""
TICKS_TO_LOOK_AFTER: Final = 10
"""How many ticks until snapshots and idle sessions are looked after, timer or not."""
MAX_SAVES_IN_FLIGHT: Final = 8
MAX_WAITING_BYTES: Final = 16 << 20
"""Of records that wait to be written or buried, and of what cannot be read: with more, reading pauses. A page has 10 MB
at the most."""
ROW_BYTES: Final = 1_000
"""What a waiting record takes besides its own bytes."""
KEEP_EMITTED_MS: Final = 60_000
"""How far past its opening a shard is read until what was emitted before, by sessions that have not come back, is
forgotten. Their snapshots were taken when nothing was under way any more."""
HELD_UP_S: Final = 0.5
"""A tick so late means that this process was held up, and that what came meanwhile waits to be read."""


class Equipment(NamedTuple):
    """What all shards of a program share. source: to read parked sessions' inputs again; without it none is parked."""

    stage: str
    build: StageBuilder
    services: Sequence[Service]
    breakers: dict[str, Breaker]
    writer: OrderedWriter
    snapshots: Snapshots
    dead_letters: DeadLetters
    journal: Journal
    log: Log
    metrics: Metrics
    source: InputLog | None = None


class ShardRuntime:
    """One shard's sessions at work.

    shard_id: the shard whose lease is held; records of its ancestors may be given first. epoch: see `snapshots`.
    emitted: by session, what had been written to the output stream lately, in order. fence: of the shard's lease; the
    runner keeps it.
    """

    def __init__(
        self,
        equipment: Equipment,
        shard_id: str,
        epoch: int,
        emitted: dict[str, list[Emitted]],
        uniform: Callable[[], float],
        fence: Fence | None = None,
    ) -> None:
        self._equipment = equipment
        self._fence = fence or Fence()
        self._shard_id = shard_id
        self._turn = 0
        self._epoch = epoch
        self._emitted = emitted
        self._opened_ms = _now_ms()
        self._uniform = uniform
        self._driver = Driver(parks=equipment.source is not None)
        self._calls = Calls(
            equipment.services, equipment.breakers, self._on_reply, equipment.log, equipment.metrics, self._may_go
        )
        self._records: dict[Position, StoredRecord] = {}  # what may have to be buried
        self._firsts: dict[str, Position] = {}  # by shard, in the order of reading: what was given first
        self._catch_up = CatchUp(equipment.source, self, equipment.log) if equipment.source is not None else None
        self._catching_up: asyncio.Task[None] | None = None
        self._covered: dict[str, Position] = {}
        self._puts: dict[asyncio.Future[Position], int] = {}  # with their sizes
        self._waiting_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._saves = asyncio.Semaphore(MAX_SAVES_IN_FLIGHT)
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopped = False
        self.reading = Fence()  # the runner's: whether it has seen the stream's end lately
        self._ticker = self._spawn(self._tick())

    # --- for the runner ------------------------------------------------------------------------------------------

    @property
    def failed(self) -> "asyncio.Future[None]":
        """Has an exception when the shard's work cannot go on."""
        return self._failed

    def wants_input(self) -> bool:
        """Whether to read on."""
        now_ms = _now_ms()
        breakers = self._equipment.breakers.values()
        has_room = self._waiting_bytes < MAX_WAITING_BYTES and self._driver.wants_input()
        return has_room and not any(breaker.stops_reading(now_ms) for breaker in breakers)

    def checkpoint(self) -> Position | None:
        """The last position from which a restart loses nothing."""
        return self._driver.checkpoint()

    def sessions(self) -> int:
        """How many sessions are in memory."""
        return self._driver.sessions()

    async def prepare(self, session_ids: Iterable[str]) -> None:
        """Bring these sessions into memory, all at once. Raises HeraldError when snapshots cannot be loaded."""
        await self._admit(session_ids)

    async def give(self, records: Sequence[StoredRecord]) -> None:
        """Take records in the order of the shard. Raises HeraldError when snapshots cannot be loaded."""
        decoded = [(stored, read_record(stored)) for stored in records]
        await self._admit(dict.fromkeys(record.session_id for _, record in decoded if not isinstance(record, Failure)))
        for stored, record in decoded:
            if self._stopped:
                return
            now_ms = _now_ms()
            if stored.arrived_ms > self._opened_ms + KEEP_EMITTED_MS:
                self._emitted.clear()
            if isinstance(record, Failure):
                self._driver.hold(stored.position)
                self._waiting_bytes += len(stored.data) + ROW_BYTES
                self._spawn(self._bury_unread(stored, record))
                continue
            self._firsts.setdefault(stored.position.shard_id, stored.position)
            covered = self._covered.get(record.session_id)
            if covered is not None and stored.position <= covered:
                self._driver.hold(stored.position)
                self._driver.release(stored.position)
                continue
            self._records[stored.position] = stored
            received = Input(stored.position, record, stored.arrived_ms, now_ms)
            deeds = self._driver.on_input(received, len(stored.data), now_ms)
            if record.session_id in self._driver.parking:
                self._pass_by(stored)
            else:
                self._equipment.journal.note(record.session_id, "input", now_ms, stored.position)
            self._do(deeds)

    async def drain(self, patience_s: float) -> None:
        """Let what is under way come to its end, for so long at the most."""
        if self._catching_up is not None:
            self._catching_up.cancel()
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and not self._failed.done():
            if self._driver.settled():
                break
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop at once: no emit, call or snapshot starts after this."""
        self._stopped = True
        for put in list(self._puts):
            put.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._calls.close()
        if not self._failed.done():
            self._failed.cancel()

    # --- parked sessions -----------------------------------------------------------------------------------------

    def _pass_by(self, stored: StoredRecord) -> None:
        del self._records[stored.position]
        if self._catch_up is not None and (self._catching_up is None or self._catching_up.done()):
            self._catching_up = self._spawn(self._catch_up.run())

    def anyone_parked(self) -> bool:
        """Whether inputs are to be read again."""
        return len(self._driver.parking) > 0

    def read_on_from(self) -> Place | None:
        """Where; None: nobody has room now."""
        return self._driver.read_on_from() if self.wants_input() else None

    def take_again(self, start: Place, records: Sequence[StoredRecord]) -> bool:
        """Give parked sessions their next inputs, as far as they have room. False: nobody may be given any now."""
        for stored in records:
            if self._stopped or not self.wants_input():
                return False
            if self._driver.takes(stored.key, start, stored.position):
                record = read_record(stored)
                if not isinstance(record, Failure):  # else it was buried when the others were given theirs
                    now_ms = _now_ms()
                    self._records[stored.position] = stored
                    self._equipment.journal.note(record.session_id, "input", now_ms, stored.position)
                    received = Input(stored.position, record, stored.arrived_ms, now_ms)
                    self._do(self._driver.on_late_input(received, len(stored.data), now_ms))
            self._note_unparked(self._driver.parking.on_read(start, stored.position))
        return True

    def on_shard_end(self, start: Place) -> None:
        """A shard was read again to its end: go on in the next one that was read."""
        shard_ids = list(self._firsts)
        following = shard_ids[shard_ids.index(start.position.shard_id) + 1 :]
        if following:
            self._note_unparked(self._driver.parking.on_end(start, self._firsts[following[0]]))

    def _note_unparked(self, session_ids: Sequence[str]) -> None:
        if session_ids:
            self._equipment.metrics.add("SessionsUnparked", len(session_ids))

    # --- records -------------------------------------------------------------------------------------------------

    async def _admit(self, session_ids: Iterable[str]) -> None:
        new = [session_id for session_id in session_ids if not self._driver.knows(session_id)]
        if not new:
            return
        snapshots = await self._insist(lambda: self._equipment.snapshots.load(new), "loading snapshots")
        for session_id in new:
            self._restore(session_id, snapshots.get(session_id))

    def _restore(self, session_id: str, snapshot: Snapshot | None) -> None:
        state = snapshot.state if snapshot else None
        stage = Isolated(lambda: self._equipment.build(session_id, state), state)
        place = held = snapshot.place if snapshot else None
        for emitted in self._emitted.pop(session_id, []):
            if place is None or emitted.place > place:
                stage.on_emitted(emitted.record)
                place = emitted.place
        if snapshot is not None:
            self._covered[session_id] = snapshot.upto
        now_ms = _now_ms()
        self._equipment.journal.note(session_id, "start", now_ms, snapshot.upto if snapshot else None)
        covered = snapshot.upto if snapshot else None
        self._driver.admit(session_id, stage, covered, place, now_ms, told=place != held)

    # --- deeds ---------------------------------------------------------------------------------------------------

    def _do(self, deeds: list[Deed]) -> None:
        if self._stopped:
            return
        for deed in deeds:
            match deed:
                case Put(session_id, record):
                    data = encode(record)
                    put = self._equipment.writer.put(session_id, data, self._may_go)
                    self._puts[put] = len(data) + ROW_BYTES
                    self._waiting_bytes += self._puts[put]
                    put.add_done_callback(functools.partial(self._on_put, session_id))
                case Perform(session_id, call):
                    self._calls.start(session_id, call)
                case Bury():
                    self._spawn(self._bury(deed))
                case Save():
                    self._spawn(self._save(deed))
                case Forget(session_id):
                    self._calls.cancel(session_id)
                    self._covered.pop(session_id, None)
                case GiveUp(session_id, failure):
                    self._calls.cancel(session_id)
                    self._equipment.metrics.add("SessionsGivenUp")
                    self._equipment.log.error("session", f"given up: {failure.message}", session_id, code=failure.code)
                case Count(metric, value, unit):
                    self._equipment.metrics.add(metric, value, unit)

    def _on_put(self, session_id: str, put: "asyncio.Future[Position]") -> None:
        self._waiting_bytes -= self._puts.pop(put)
        if self._stopped or put.cancelled():
            return
        error = put.exception()
        if error is not None:
            self._fail(error)
            return
        self._do(self._driver.on_written(session_id, put.result()))
        self._forget_records()

    def _on_reply(self, session_id: str, reply: Reply) -> None:
        if self._stopped:
            return
        now_ms = _now_ms()
        self._equipment.journal.note(session_id, "reply", now_ms, reply=reply)
        try:
            self._do(self._driver.on_reply(session_id, reply, now_ms))
        except Exception as error:  # noqa: BLE001 - a call's task must not swallow what is wrong here: end loudly
            self._fail(error)
        self._forget_records()

    async def _tick(self) -> None:
        ticks = 0
        while True:
            slept_at = time.monotonic()
            await asyncio.sleep(TICK_S)
            ticks += 1
            if time.monotonic() - slept_at > TICK_S + HELD_UP_S:
                self._driver.on_held_up(_now_ms(), everybody=True)
            elif ticks % TICKS_TO_LOOK_AFTER == 0:
                goes_on = self._may_go() and self.wants_input() and self.reading.holds(time.monotonic())
                self._driver.on_held_up(_now_ms(), everybody=not goes_on)
            wake_at_ms = self._driver.wake_at_ms()
            if ticks % TICKS_TO_LOOK_AFTER == 0 or (wake_at_ms is not None and wake_at_ms <= _now_ms()):
                self._do(self._driver.on_timer(_now_ms()))
                self._forget_records()

    def _forget_records(self) -> None:
        # Bytes are kept while a record may be rejected. Cheap enough to look at only when many have gathered.
        if len(self._records) > 2 * self._driver.open_records() + 64:
            self._records = {
                position: stored for position, stored in self._records.items() if self._driver.is_open(position)
            }

    async def _bury_unread(self, stored: StoredRecord, failure: Failure) -> None:
        await self._insist(lambda: self._equipment.dead_letters.bury(stored, failure, unread=True), "burying a record")
        self._waiting_bytes -= len(stored.data) + ROW_BYTES
        self._note_burial(None, failure)
        self._driver.release(stored.position)

    async def _bury(self, deed: Bury) -> None:
        stored = self._records[deed.position]
        await self._insist(lambda: self._equipment.dead_letters.bury(stored, deed.failure), "burying a record")
        self._note_burial(deed.session_id, deed.failure)
        self._do(self._driver.on_buried(deed.session_id, deed.position))

    def _note_burial(self, session_id: str | None, failure: Failure) -> None:
        self._equipment.metrics.add("DeadLetters")
        self._equipment.log.error(
            "deadLetter", "an input could not be processed and was kept", session_id, code=failure.code
        )

    async def _save(self, deed: Save) -> None:
        snapshot = Snapshot(deed.upto, deed.place, deed.state)
        self._turn += 1
        turn = self._turn
        async with self._saves:
            await self._insist(
                lambda: self._equipment.snapshots.save(deed.session_id, snapshot, self._shard_id, self._epoch, turn),
                "saving a snapshot",
            )
        self._equipment.metrics.add("SnapshotSize", len(deed.state), "Bytes")
        self._do(self._driver.on_saved(deed.session_id, deed.ordinal))

    async def _insist(self, deed: Callable[[], Coroutine[Any, Any, Any]], doing: str) -> Any:
        """Do it until it is done: without it nothing may go on.

        Raises errors that no retry mends, and LeaseLost once the shard's work has been stopped.
        """
        failures = 0
        while True:
            while not self._may_go():
                if self._stopped:
                    raise LeaseLost(f"{doing}: the work was stopped")
                await asyncio.sleep(LOOK_EVERY_S)
            try:
                return await deed()
            except HeraldError as error:
                if not error.retryable:
                    raise
                failures += 1
                self._equipment.log.warning("store", "trying again", doing=doing, code=error.code, failures=failures)
                await asyncio.sleep(backoff_ms(failures, self._uniform) / 1000)

    def _may_go(self) -> bool:
        """Whether the lease is certainly ours: before every emit, call, burial and snapshot."""
        return self._fence.holds(time.monotonic())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failed.done():
            return
        if not isinstance(error, LeaseLost):
            self._equipment.log.error("shard", "the shard's work cannot go on", error=place_of(error))
        self._failed.set_exception(error)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
