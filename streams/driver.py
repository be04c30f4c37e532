"""The driver: turns a stage's effects into deeds. Pure; `runtime` does them and reports back.

One driver per shard. It keeps one stage per session, the watermark, the snapshots' bookkeeping and the bounds. Each
method is one step: it returns the deeds to do, and never does any.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

from streams.errors import Failure
from streams.isolation import Isolated
from streams.outbox import Mark, Outbox, Settle
from streams.parking import Parking, Place
from streams.records import Record
from streams.stage import Call, Count, Done, Effect, Emit, Input, Position, Reject, Reply, Stage, Waiting
from streams.watermark import Watermark

SNAPSHOT_EVERY_MS: Final = 1_000
SAVES_PER_S: Final = 6
"""Snapshots that a shard stores at the most: a shard takes 31 speakers by bytes, so each is stored about every 5 s. A
write costs a stage 0.75 to 3 ms, by the machine and its day."""
MAX_CANDIDATES: Final = 64
"""Snapshots that wait for their inputs to be done: a result spans 30 s at most, so 64 s is ample."""
IDLE_MS: Final = 120_000
"""A session without input, calls or timers for so long leaves memory; its snapshot brings it back."""
MAX_HELD_BYTES: Final = 160_000
"""Row T8: audio of one session that no service has taken."""
MAX_OPEN_RECORDS: Final = 20_000
MAX_OPEN_BYTES: Final = 128 << 20
"""Bounds of a shard's inputs that are not done: twice 31 speakers' audio over the 36 s that a result can take."""
MAX_SESSION_RECORDS: Final = 4_000
MAX_SESSION_BYTES: Final = 16 << 20
"""The same for one session: over what a result can take at 100 chunks/s, so that only a session that hangs reaches it;
and small enough that four of them leave room for the others."""


class Put(NamedTuple):
    """Write a record to the output stream; answer with `on_written`."""

    session_id: str
    record: Record


class Perform(NamedTuple):
    """Ask a service; answer with `on_reply`."""

    session_id: str
    call: Call


class Bury(NamedTuple):
    """Put an input into the dead-letter store; answer with `on_buried`."""

    session_id: str
    position: Position
    failure: Failure


class Save(NamedTuple):
    """Store a session's snapshot; answer with `on_saved`. place: its last emit on the output stream."""

    session_id: str
    ordinal: int
    upto: Position
    place: Position | None
    state: bytes


class Forget(NamedTuple):
    """The session leaves memory: cancel what is left of its calls."""

    session_id: str


class GiveUp(NamedTuple):
    """The session's stage has failed: cancel its calls, and say so."""

    session_id: str
    failure: Failure


Deed: TypeAlias = Put | Perform | Bury | Save | Forget | GiveUp | Count


class _Candidate(NamedTuple):
    mark: Mark
    place: Position | None


class _Session:
    """One session on this shard."""

    def __init__(self, stage: Stage, place: Position | None, covered: Position | None, now_ms: int) -> None:
        self.stage = stage
        self.outbox = Outbox(place)
        self.open: OrderedDict[Position, tuple[int, int]] = OrderedDict()  # not done: ordinal, size in bytes
        self.open_bytes = 0
        self.held_bytes = 0
        self.last: tuple[int, Position] | None = (0, covered) if covered is not None else None
        self.uncovered: deque[tuple[int, Position]] = deque()
        self.candidates: deque[_Candidate] = deque()
        self.dirty = False  # something happened since the last candidate
        self.saving = False
        self.candidate_at_ms = now_ms
        self.active_at_ms = now_ms
        self.calls: set[str] = set()
        self.given_up = False


class Driver:
    """All sessions of one shard. parks: whether somebody reads on for a session beyond its bound; else all wait."""

    def __init__(self, *, parks: bool = False) -> None:
        self._sessions: dict[str, _Session] = {}
        self._full: set[str] = set()  # sessions that hold too much input
        self._parks = parks
        self.parking = Parking()
        self._open: set[Position] = set()
        self._open_bytes = 0
        self._ordinal = 0
        self._covered = Watermark()
        self._ripe: OrderedDict[str, None] = OrderedDict()  # sessions with a snapshot that may be stored, first come
        self._may_save_at_ms = 0.0

    # --- what the runtime asks -----------------------------------------------------------------------------------

    def knows(self, session_id: str) -> bool:
        """Whether the session is in memory; if not, `admit` it before its input."""
        return session_id in self._sessions

    def sessions(self) -> int:
        """How many sessions are in memory."""
        return len(self._sessions)

    def open_calls(self) -> int:
        """How many calls have had no last reply."""
        return sum(len(session.calls) for session in self._sessions.values())

    def open_records(self) -> int:
        """How many inputs are not done."""
        return len(self._open)

    def is_open(self, position: Position) -> bool:
        """Whether the input there is not done."""
        return position in self._open

    def settled(self) -> bool:
        """Whether nothing is under way: every input done, every emit durable."""
        return not self._open and all(len(session.outbox) == 0 for session in self._sessions.values())

    def checkpoint(self) -> Position | None:
        """The last position from which a restart loses nothing; None: no further than before."""
        return self.parking.low(self._covered.low)

    def wants_input(self) -> bool:
        """Whether to read on: with parking, the whole of backpressure (rows S1, T8)."""
        room = len(self._open) < MAX_OPEN_RECORDS and self._open_bytes < MAX_OPEN_BYTES
        return room and (self._parks or not self._full)

    def read_on_from(self) -> Place | None:
        """Where to read again, for parked sessions that have room; None: for nobody."""
        return self.parking.read_on_from(lambda session_id: self._has_room(self._sessions[session_id], 0.5))

    def takes(self, session_id: str, start: Place, position: Position) -> bool:
        """Whether a parked session takes this input, which was read again from `start`; then give `on_late_input`."""
        if not self.parking.is_next(session_id, start, position):
            return False
        if self._has_room(self._sessions[session_id]):
            return True
        self.parking.refuse(session_id)
        return False

    def wake_at_ms(self) -> int | None:
        """When `on_timer` has something to do."""
        times = [at for session in self._sessions.values() if (at := session.stage.wake_at_ms()) is not None]
        return min(times, default=None)

    # --- steps ---------------------------------------------------------------------------------------------------

    def admit(
        self,
        session_id: str,
        stage: Stage,
        covered: Position | None,
        place: Position | None,
        now_ms: int,
        *,
        told: bool = False,
    ) -> None:
        """Take a session in, new or restored.

        covered: the last input that its snapshot holds. told: the stage was told of emits that its snapshot does not
        hold; it must not leave memory before a snapshot does, for nobody will tell it again.
        """
        session = self._sessions[session_id] = _Session(stage, place, covered, now_ms)
        session.dirty = told

    def hold(self, position: Position) -> None:
        """An input without a session (it cannot be read): no checkpoint passes it before `release`."""
        self._covered.add(position)

    def release(self, position: Position) -> None:
        """It is in the dead-letter store, or a snapshot covers it."""
        self._covered.settle(position)

    def on_input(self, received: Input, size_bytes: int, now_ms: int) -> list[Deed]:
        """Give the session's stage its next input, or pass it by if the session is parked."""
        session_id = received.record.session_id
        session = self._sessions[session_id]
        is_parked = session_id in self.parking
        if self._parks and (is_parked or not self._has_room(session)):
            self.parking.park(session_id, received.position, self._covered.before(received.position))
            self._covered.pass_by(received.position)
            return [] if is_parked else [Count("SessionsParked")]
        self._covered.add(received.position)
        return self._give(session_id, session, received, size_bytes, now_ms)

    def on_late_input(self, received: Input, size_bytes: int, now_ms: int) -> list[Deed]:
        """Give a parked session's stage its next input, which it `takes`."""
        session_id = received.record.session_id
        self._covered.insert(received.position, self.parking.read_to(session_id))
        deeds = self._give(session_id, self._sessions[session_id], received, size_bytes, now_ms)
        if self.parking.on_given(session_id, received.position):
            deeds.append(Count("SessionsUnparked"))
        return deeds

    def on_held_up(self, now_ms: int, *, everybody: bool) -> None:
        """Inputs wait to be read, of parked sessions or of all: stages must not take it for silence."""
        for session_id in self._sessions if everybody else self.parking.sessions():
            if isinstance(stage := self._sessions[session_id].stage, Waiting):
                stage.on_held_up(now_ms)

    def on_reply(self, session_id: str, reply: Reply, now_ms: int) -> list[Deed]:
        """Give a stage the answer to its call. Answers for sessions that left memory are dropped."""
        session = self._sessions.get(session_id)
        if session is None:
            return []
        if reply.last:
            session.calls.discard(reply.call_id)
        return self._after(session_id, session, session.stage.on_reply(reply, now_ms), now_ms)

    def on_timer(self, now_ms: int) -> list[Deed]:
        """Wake every stage that asked for it, take snapshots, let idle sessions go."""
        deeds: list[Deed] = []
        for session_id, session in list(self._sessions.items()):
            at = session.stage.wake_at_ms()
            if at is not None and at <= now_ms:
                deeds += self._after(session_id, session, session.stage.on_timer(now_ms), now_ms)
            else:
                self._consider_candidate(session, now_ms)
                deeds += self._pump(session_id, session)
            if session_id not in self.parking and self._is_idle(session, now_ms):
                del self._sessions[session_id]
                self._full.discard(session_id)
                deeds.append(Forget(session_id))
        return deeds + self._saves(now_ms)

    def on_written(self, session_id: str, place: Position) -> list[Deed]:
        """The session's emit in flight is durable, at this place of the output stream."""
        session = self._sessions[session_id]
        session.outbox.written(place)
        return self._pump(session_id, session)

    def on_buried(self, session_id: str, position: Position) -> list[Deed]:
        """The rejected input is in the dead-letter store."""
        session = self._sessions[session_id]
        session.outbox.buried()
        self._settle(session_id, session, position)
        return self._pump(session_id, session)

    def on_saved(self, session_id: str, ordinal: int) -> list[Deed]:
        """The session's snapshot is durable: what it covers need not be read again."""
        session = self._sessions[session_id]
        session.saving = False
        while session.uncovered and session.uncovered[0][0] <= ordinal:
            self._covered.settle(session.uncovered.popleft()[1])
        self._note_ripe(session_id, session)
        return []

    # --- inside --------------------------------------------------------------------------------------------------

    def _has_room(self, session: _Session, share: float = 1.0) -> bool:
        return (
            session.held_bytes <= share * MAX_HELD_BYTES
            and len(session.open) < max(1.0, share * MAX_SESSION_RECORDS)
            and session.open_bytes < share * MAX_SESSION_BYTES
        )

    def _give(self, session_id: str, session: _Session, received: Input, size_bytes: int, now_ms: int) -> list[Deed]:
        self._ordinal += 1
        session.last = (self._ordinal, received.position)
        session.uncovered.append(session.last)
        session.open[received.position] = (self._ordinal, size_bytes)
        session.open_bytes += size_bytes
        self._open.add(received.position)
        self._open_bytes += size_bytes
        return self._after(session_id, session, session.stage.on_record(received, now_ms), now_ms)

    def _after(self, session_id: str, session: _Session, effects: Iterable[Effect], now_ms: int) -> list[Deed]:
        deeds: list[Deed] = []
        for effect in effects:
            session.dirty = True
            if isinstance(effect, Emit):  # a match on attributes makes a tuple of names for each effect
                session.outbox.append(effect.record)
            elif isinstance(effect, Done):
                session.outbox.append(Settle(effect.position, None))
            elif isinstance(effect, Reject):
                session.outbox.append(Settle(effect.position, effect.failure))
            elif isinstance(effect, Call):
                session.calls.add(effect.call_id)
                deeds.append(Perform(session_id, effect))
            else:
                deeds.append(effect)
        session.active_at_ms = now_ms
        session.held_bytes = session.stage.held_bytes()
        (self._full.add if session.held_bytes > MAX_HELD_BYTES else self._full.discard)(session_id)
        self._consider_candidate(session, now_ms)
        if isinstance(session.stage, Isolated) and session.stage.failure is not None and not session.given_up:
            session.given_up = True
            session.calls.clear()
            deeds.append(GiveUp(session_id, session.stage.failure))
        return deeds + self._pump(session_id, session)

    def _consider_candidate(self, session: _Session, now_ms: int) -> None:
        if session.last is None or not session.dirty or now_ms - session.candidate_at_ms < SNAPSHOT_EVERY_MS:
            return
        session.candidate_at_ms = now_ms
        session.dirty = False
        ordinal, position = session.last
        session.outbox.append(Mark(ordinal, position, session.stage.snapshot()))

    def _pump(self, session_id: str, session: _Session) -> list[Deed]:
        passed, record = session.outbox.take()
        deeds: list[Deed] = [Put(session_id, record)] if record is not None else []
        for item in passed:
            if isinstance(item, Mark):
                session.candidates.append(_Candidate(item, session.outbox.place))
                if len(session.candidates) > MAX_CANDIDATES:
                    del session.candidates[MAX_CANDIDATES // 2]  # neither the oldest nor the newest
                self._note_ripe(session_id, session)
            elif item.failure is not None:
                deeds.append(Bury(session_id, item.position, item.failure))
            else:
                self._settle(session_id, session, item.position)
        return deeds

    def _settle(self, session_id: str, session: _Session, position: Position) -> None:
        entry = session.open.pop(position, None)
        if entry is not None:
            self._open.discard(position)
            self._open_bytes -= entry[1]
            session.open_bytes -= entry[1]
            self._note_ripe(session_id, session)

    def _note_ripe(self, session_id: str, session: _Session) -> None:
        if not session.saving and session.candidates and session.candidates[0].mark.ordinal < self._first_open(session):
            self._ripe.setdefault(session_id)

    def _first_open(self, session: _Session) -> int:
        return next(iter(session.open.values()))[0] if session.open else self._ordinal + 1

    def _saves(self, now_ms: int) -> list[Deed]:
        """The snapshots that may be stored now: of each session the newest whose inputs are all done."""
        deeds: list[Deed] = []
        self._may_save_at_ms = max(self._may_save_at_ms, now_ms - 1000)
        while self._ripe and self._may_save_at_ms <= now_ms:
            session_id, _ = self._ripe.popitem(last=False)
            session = self._sessions.get(session_id)
            if session is None:
                continue
            first_open = self._first_open(session)
            newest: _Candidate | None = None
            while session.candidates and session.candidates[0].mark.ordinal < first_open:
                newest = session.candidates.popleft()
            if newest is None or session.saving:
                continue
            if session.dirty and not session.open and len(session.outbox) == 0 and session.last is not None:
                # Nothing is under way: the state of now holds all emits, and the next input may be hours away.
                newest = _Candidate(Mark(*session.last, session.stage.snapshot()), session.outbox.place)
                session.dirty, session.candidate_at_ms = False, now_ms
            session.saving = True
            self._may_save_at_ms += 1000 / SAVES_PER_S
            mark = newest.mark
            deeds.append(Save(session_id, mark.ordinal, mark.upto, newest.place, mark.state))
        return deeds

    def _is_idle(self, session: _Session, now_ms: int) -> bool:
        return (
            now_ms - session.active_at_ms >= IDLE_MS
            and not session.open
            and not session.uncovered
            and not session.dirty
            and not session.saving
            and not session.candidates
            and not session.calls
            and len(session.outbox) == 0
            and session.stage.wake_at_ms() is None
        )
