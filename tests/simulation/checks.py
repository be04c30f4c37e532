"""What must hold, checked as it happens: the first step that breaks it is named, not its late effect."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from local.kinesis.model import Shard
from streams.records import AudioChunk, decode
from streams.stage import Position
from tests.simulation.kinesis import Kept
from tests.simulation.plan import Plan
from tests.simulation.stages import is_refused


class Coverage:
    """No checkpoint passes what the sessions' snapshots hold: whoever starts from both has seen every input once."""

    def __init__(self, breach: Callable[[str], None]) -> None:
        self._breach = breach
        self._inputs: dict[str, list[Position]] = defaultdict(list)
        self._upto: dict[str, Position] = {}
        self._checkpoints: dict[str, int] = {}

    def sent(self, session_id: str, position: Position) -> None:
        """An input that its stage must remember."""
        self._inputs[session_id].append(position)

    def snapshot(self, session_id: str, upto: Position) -> None:
        """A session's snapshot was stored."""
        self._upto[session_id] = upto
        self._check(session_id)

    def checkpoint(self, shard_id: str, sequence: int) -> None:
        """A shard's checkpoint was stored."""
        if self._checkpoints.get(shard_id) != sequence:
            self._checkpoints[shard_id] = sequence
            for session_id in self._inputs:
                self._check(session_id)

    def _check(self, session_id: str) -> None:
        upto = self._upto.get(session_id)
        for position in reversed(self._inputs[session_id]):
            if upto is not None and position <= upto:
                return
            if position.sequence <= self._checkpoints.get(position.shard_id, -1):
                self._breach(f"the checkpoint passes {position} of {session_id}, whose snapshot holds it not: {upto}")
                return


class _Session:
    """expected: the chunks to be emitted, in order; numbers: the running numbers of all."""

    def __init__(self, plan: Plan, session_id: str) -> None:
        chunks = [send.sequence for send in plan.sends if send.session_id == session_id and send.kind == "chunk"]
        asks = plan.stage == "ask"
        self.refused = {sequence for sequence in chunks if asks and is_refused(session_id, sequence)}
        self.expected = [sequence for sequence in chunks if sequence not in self.refused]
        self.numbers = {sequence: number for number, sequence in enumerate(chunks)}
        self.emitted = 0
        self.emitted_s: dict[int, float] = {}
        self.beside: set[int] = set()
        """Emitted by one of two owners at work at once, ahead of the other, who did not know."""
        self.inputs: list[Position] = []
        self.snapshot_checked = 0


class Checks:
    """Follows one run."""

    def __init__(self, plan: Plan, breach: Callable[[str], None]) -> None:
        self._breach = breach
        self._coverage = Coverage(breach)
        self._asks = plan.stage == "ask"
        self._sessions = {name: _Session(plan, name) for name in dict.fromkeys(send.session_id for send in plan.sends)}
        self._inputs: dict[Position, tuple[str, int]] = {}
        self._shards: dict[str, list[Position]] = defaultdict(list)
        self._buried: set[Position] = set()
        self._refusals: set[tuple[str, int]] = set()
        self.repeats = 0

    # --- what happens --------------------------------------------------------------------------------------------

    def sent(self, shard: Shard, kept: Kept, session_id: str, sequence: int) -> None:
        """A producer's record is in the input stream. sequence: -1 for poison."""
        position = Position(shard.shard_id, int(kept.sequence))
        self._inputs[position] = (session_id, sequence)
        self._shards[position.shard_id].append(position)
        self._sessions[session_id].inputs.append(position)
        if sequence >= 0:
            self._coverage.sent(session_id, position)

    def emitted(self, kept: Kept, now_s: float, known_s: float) -> None:
        """A record is in the output stream, where every reader drops what it has had.

        known_s: what was emitted before that, its owner has read when it began.
        """
        chunk = decode(kept.data)
        assert isinstance(chunk, AudioChunk)
        assert chunk.sequence is not None
        session = self._sessions[chunk.session_id]
        name = f"{chunk.session_id}/{chunk.sequence}"
        if chunk.session_id != kept.key:
            self._breach(f"{name} under the key {kept.key}")
        if chunk.sequence in session.expected[: session.emitted]:
            self.repeats += 1
            session.beside.update(session.expected[session.expected.index(chunk.sequence) + 1 : session.emitted])
            if session.emitted_s[chunk.sequence] < known_s and chunk.sequence not in session.beside:
                self._breach(f"{name} emitted again by an owner who could have known")
        elif session.expected[session.emitted : session.emitted + 1] != [chunk.sequence]:
            self._breach(f"{name} emitted after {session.expected[: session.emitted][-1:]}: not the next")
        else:
            session.emitted += 1
            session.emitted_s[chunk.sequence] = now_s
        if self._asks and session.numbers.get(chunk.sequence) != chunk.captured_at_ms:
            self._breach(f"{name} has number {chunk.captured_at_ms}, not {session.numbers.get(chunk.sequence)}")

    def stored(self, table: str, row: dict[str, Any]) -> None:
        """A row was written."""
        if table == "DeadLetters":
            self._note_letter(Position(row["shard"]["S"], int(row["sequence"]["S"])))
        elif table == "Snapshots" and "state" in row:
            session = row["key"]["S"].partition("#")[2]
            upto = Position(row["shard"]["S"], int(row["sequence"]["S"]))
            self._check_snapshot(self._sessions[session], upto)
            self._coverage.snapshot(session, upto)
        elif table == "leases-s" and row["checkpoint"]["S"].isdigit():
            self._check_checkpoint(row["leaseKey"]["S"], int(row["checkpoint"]["S"]))
            self._coverage.checkpoint(row["leaseKey"]["S"], int(row["checkpoint"]["S"]))

    def _note_letter(self, position: Position) -> None:
        session_id, sequence = self._inputs[position]
        self._buried.add(position)
        if sequence >= 0:
            self._refusals.add((session_id, sequence))
            if sequence not in self._sessions[session_id].refused:
                self._breach(f"{session_id}/{sequence} is in the dead letters for no reason")

    def _is_settled(self, position: Position) -> bool:
        session_id, sequence = self._inputs[position]
        if sequence < 0:
            return position in self._buried
        session = self._sessions[session_id]
        if sequence in session.refused:
            return (session_id, sequence) in self._refusals
        return sequence in session.expected[: session.emitted]

    def _check_snapshot(self, session: _Session, upto: Position) -> None:
        for position in session.inputs:
            if position > upto:
                break
            if self._inputs[position][1] >= 0 and not self._is_settled(position):
                self._breach(f"a snapshot covers {position}, which is not settled")

    def _check_checkpoint(self, shard_id: str, sequence: int) -> None:
        for position in self._shards[shard_id]:
            if position.sequence > sequence:
                break
            if not self._is_settled(position):
                self._breach(f"the checkpoint passes {position}, which is not settled")

    # --- in the end ----------------------------------------------------------------------------------------------

    def unsettled(self) -> list[str]:
        """The inputs that have had no effect yet."""
        return [f"{self._inputs[at]} at {at}" for at in self._inputs if not self._is_settled(at)]
