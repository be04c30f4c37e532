"""One session's stage under the real driver, with a simulated clock, scripted services, and owners that die.

A `World` has one input log, one output stream and one stored snapshot. An `Owner` is a worker that holds the shard:
it reads the log, runs the stage under `streams.driver.Driver`, and may be killed, or fall asleep, lose its lease, and
go on as a zombie. Nothing really waits: `World.run_until` goes from event to event.
"""

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from streams.driver import Bury, Deed, Driver, Perform, Put, Save
from streams.errors import Failure
from streams.records import Record, encode
from streams.stage import Call, Count, Input, Position, Reply, StageBuilder

START_MS = 1_700_000_000_000
STEPS_AT_ONCE = 200
"""More timer steps than this without the clock moving are a busy loop."""


class Service(Protocol):
    """Answers the stage's calls, by `Owner.reply`."""

    def perform(self, owner: "Owner", call: Call) -> None: ...

    def gone(self, owner: "Owner") -> None:
        """The owner is dead: its open calls are cancelled."""


class NoService:
    """Answers nothing; the test does it by hand."""

    def perform(self, owner: "Owner", call: Call) -> None:
        del owner, call

    def gone(self, owner: "Owner") -> None:
        del owner


class Written(NamedTuple):
    """A record on the output stream."""

    at_ms: int
    epoch: int
    record: Record


class _Saved(NamedTuple):
    upto: Position
    place: Position | None
    state: bytes


class Owner:
    """A worker that holds, or held, the session's shard."""

    def __init__(self, world: "World", epoch: int) -> None:
        self.world = world
        self.epoch = epoch
        self.alive = True
        self.asleep_until_ms = 0
        self.driver = Driver()
        saved = world.saved
        self.stage = world.build(world.session_id, saved.state if saved else None)
        place = saved.place if saved else None
        for written in world.output[place.sequence + 1 if place else 0 :]:
            self.stage.on_emitted(written.record)
        self._cursor = saved.upto.sequence + 1 if saved else 0
        self.driver.admit(world.session_id, self.stage, saved.upto if saved else None, place, world.now_ms)
        self._steps_at = (0, 0)
        self._writes_land = True

    def read(self) -> None:
        """Take what the log has, as far as the driver wants."""
        while self.alive and self._cursor < len(self.world.log) and self.driver.wants_input():
            received = self.world.log[self._cursor]
            self._cursor += 1
            at_ms = self.world.now_ms
            received = Input(received.position, received.record, received.written_ms, at_ms)
            self._do(self.driver.on_input(received, len(encode(received.record)), at_ms))

    def reply(self, call_id: str, value: Any = None, failure: Failure | None = None, *, last: bool = True) -> None:
        """Answer a call, now."""
        now_ms = self.world.now_ms
        self.when_awake(lambda: self._reply(Reply(call_id, value, failure, now_ms, now_ms, last)))

    def _reply(self, reply: Reply) -> None:
        self._do(self.driver.on_reply(self.world.session_id, reply, self.world.now_ms))
        self.read()

    def when_awake(self, step: Callable[[], None]) -> None:
        """Do it now, or when the owner wakes up, or never if it is dead."""
        if not self.alive:
            return
        if self.world.now_ms < self.asleep_until_ms:
            self.world.at(self.asleep_until_ms, lambda: self.when_awake(step))
        else:
            step()

    def due_ms(self) -> int | None:
        """When its timer is due."""
        at_ms = self.driver.wake_at_ms() if self.alive else None
        return None if at_ms is None else max(at_ms, self.asleep_until_ms, self.world.now_ms)

    def tick(self) -> None:
        """The timer is due."""
        at_ms, steps = self._steps_at
        self._steps_at = (self.world.now_ms, steps + 1 if at_ms == self.world.now_ms else 0)
        assert steps < STEPS_AT_ONCE, "the stage asks to be woken again and again without doing anything"
        self._do(self.driver.on_timer(self.world.now_ms))
        self.read()

    def kill(self, *, writes_land: bool = True) -> None:
        """No step of it will follow; what it is writing may still land."""
        self.alive = False
        self._writes_land = writes_land
        self.world.service.gone(self)

    def _do(self, deeds: list[Deed]) -> None:
        for deed in deeds:
            match deed:
                case Put(_, record):
                    self.world.at(self.world.now_ms + self.world.put_ms(), partial(self._land, record))
                case Perform(_, call):
                    self.world.calls.append(call)
                    self.world.service.perform(self, call)
                case Bury(_, position, failure):
                    self.world.rejected[position] = failure
                    self._do(self.driver.on_buried(self.world.session_id, position))
                case Save(_, ordinal, upto, place, state):
                    if self.epoch == self.world.epoch:
                        self.world.saved = _Saved(upto, place, state)
                        self._do(self.driver.on_saved(self.world.session_id, ordinal))
                case Count():
                    self.world.counts.append(deed)

    def _land(self, record: Record) -> None:
        if not self._writes_land:
            return
        self.world.output.append(Written(self.world.now_ms, self.epoch, record))
        place = Position("output", len(self.world.output) - 1)
        self.when_awake(lambda: self._do(self.driver.on_written(self.world.session_id, place)))


class World:
    """A session, its streams, and its owners."""

    def __init__(
        self,
        build: StageBuilder,
        session_id: str = "golden-eagle-427",
        service: Service | None = None,
        put_ms: Callable[[], int] = lambda: 5,
    ) -> None:
        self.build = build
        self.session_id = session_id
        self.service = service or NoService()
        self.put_ms = put_ms
        self.now_ms = START_MS
        self.log: list[Input] = []
        self.output: list[Written] = []
        self.saved: _Saved | None = None
        self.rejected: dict[Position, Failure] = {}
        self.calls: list[Call] = []
        self.counts: list[Count] = []
        self.epoch = 0
        self._events: list[tuple[int, int, Callable[[], object]]] = []
        self._event_ids = 0
        self.owners = [Owner(self, 0)]

    @property
    def owner(self) -> Owner:
        """Who holds the shard."""
        return self.owners[-1]

    def at(self, at_ms: int, event: Callable[[], object]) -> None:
        """Let something happen later."""
        self._event_ids += 1
        heapq.heappush(self._events, (at_ms, self._event_ids, event))

    def publish(self, record: Record) -> Position:
        """Append to the input log, now."""
        position = Position("input", len(self.log))
        self.log.append(Input(position, record, self.now_ms, 0))
        for owner in self.owners:
            owner.when_awake(owner.read)
        return position

    def run_until(self, until_ms: int) -> None:
        """Let time pass, all events and timers with it."""
        while True:
            due = [(at_ms, owner) for owner in self.owners if (at_ms := owner.due_ms()) is not None]
            timer_ms, owner = min(due, key=lambda item: item[0], default=(until_ms + 1, self.owner))
            event_ms = self._events[0][0] if self._events else until_ms + 1
            if min(timer_ms, event_ms) > until_ms:
                self.now_ms = until_ms
                return
            self.now_ms = max(self.now_ms, min(timer_ms, event_ms))
            if event_ms <= timer_ms:
                heapq.heappop(self._events)[2]()
            else:
                owner.tick()

    def run_for(self, duration_ms: int) -> None:
        """Let so much time pass."""
        self.run_until(self.now_ms + duration_ms)

    def take_over(self) -> Owner:
        """Another worker holds the shard from now on, from what is stored; the one before may still be alive."""
        self.epoch += 1
        self.owners = [owner for owner in self.owners if owner.alive]
        self.owners.append(Owner(self, self.epoch))
        self.owner.read()
        return self.owner

    def emitted(self) -> list[Record]:
        """The output stream."""
        return [written.record for written in self.output]

    def is_done(self, position: Position) -> bool:
        """Whether the current owner has settled the input, or need not read it again."""
        covered = self.saved is not None and position.sequence <= self.saved.upto.sequence
        return covered or not self.owner.driver.is_open(position)
