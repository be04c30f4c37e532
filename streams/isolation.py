"""One session's failure stays its own (row S1): whatever a stage raises, the shard goes on without that session. Pure.

A stage that fails on an input rejects it, and so does one that answers with a record that no stream can hold. One that
fails on a reply, a timer or its own snapshot cannot be trusted any more: what it has not settled is rejected, and
whatever comes for the session after that, until another owner, or this one after a while, begins anew from the last
snapshot that was good. The dead letters have it all.
"""

from collections.abc import Callable, Iterable

from streams.errors import Failure, NewerVersion
from streams.records import Record, encode
from streams.stage import Done, Effect, Emit, Input, Position, Reject, Reply, Stage, Waiting


class Isolated:
    """A `Stage` around a stage. build: makes it; a snapshot of a later release raises NewerVersion here too."""

    def __init__(self, build: Callable[[], Stage], snapshot: bytes | None) -> None:
        self.failure: Failure | None = None
        """Why the session is given up, if it is."""
        self._open: dict[Position, None] = {}
        self._good = snapshot if snapshot is not None else b""
        self._stage: Stage | None = None
        try:
            self._stage = build()
            self._good = self._stage.snapshot()
        except NewerVersion:
            raise
        except Exception as error:  # noqa: BLE001 - the session's failure, whatever it is
            self._give_up(error)

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        """The stage's effects; a rejection of this input if it fails."""
        if self._stage is None:
            return [self._reject(received.position)]
        self._open[received.position] = None
        try:
            effects = _writable(self._stage.on_record(received, now_ms))
        except Exception as error:  # noqa: BLE001 - whatever a record does to a stage
            effects = [Reject(received.position, as_failure(error))]
        return self._settled(effects)

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        """The stage's effects; if it fails, a rejection of all that is not settled."""
        return self._step(lambda stage: stage.on_reply(reply, now_ms))

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        """The stage's effects; if it fails, a rejection of all that is not settled."""
        return self._step(lambda stage: stage.on_timer(now_ms))

    def wake_at_ms(self) -> int | None:
        """When the stage wants to be woken; now, if there is something left to reject."""
        if self._stage is None:
            return 0 if self._open else None
        try:
            return self._stage.wake_at_ms()
        except Exception as error:  # noqa: BLE001 - the session's failure, whatever it is
            self._give_up(error)
            return 0

    def held_bytes(self) -> int:
        """What the stage holds."""
        if self._stage is None:
            return 0
        try:
            return self._stage.held_bytes()
        except Exception as error:  # noqa: BLE001 - the session's failure, whatever it is
            self._give_up(error)
            return 0

    def snapshot(self) -> bytes:
        """The stage's snapshot, or the last that was good."""
        if self._stage is not None:
            try:
                self._good = self._stage.snapshot()
            except Exception as error:  # noqa: BLE001 - the session's failure, whatever it is
                self._give_up(error)
        return self._good

    def on_emitted(self, record: Record) -> None:
        """Tell the stage."""
        if self._stage is not None:
            try:
                self._stage.on_emitted(record)
            except Exception as error:  # noqa: BLE001 - the session's failure, whatever it is
                self._give_up(error)

    def on_held_up(self, now_ms: int) -> None:
        """Tell the stage, if it is one that waits."""
        stage: object = self._stage
        if isinstance(stage, Waiting):
            try:
                stage.on_held_up(now_ms)
            except Exception as error:  # noqa: BLE001 - the session's failure, whatever it is
                self._give_up(error)

    def _step(self, step: Callable[[Stage], Iterable[Effect]]) -> list[Effect]:
        if self._stage is not None:
            try:
                return self._settled(_writable(step(self._stage)))
            except Exception as error:  # noqa: BLE001 - the session's failure, whatever it is
                self._give_up(error)
        return self._settled([self._reject(position) for position in self._open])

    def _settled(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if type(effect) is Done or type(effect) is Reject:  # isinstance costs a twentieth of a record
                self._open.pop(effect.position, None)
        return effects

    def _reject(self, position: Position) -> Reject:
        assert self.failure is not None
        return Reject(position, self.failure)

    def _give_up(self, error: Exception) -> None:
        self.failure = as_failure(error)
        self._stage = None


def _writable(effects: Iterable[Effect]) -> list[Effect]:
    """All of them. Raises what `encode` raises for a record that has no wire form, as with a time beyond 64 bits: it
    would end the worker, and after it each that took the shard over. Costs a microsecond a record.
    """
    found = list(effects)
    for effect in found:
        if type(effect) is Emit:
            encode(effect.record)
    return found


def as_failure(error: Exception) -> Failure:
    """Where a stage failed; never what the error says, since that may repeat what was said."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace is not None else "?"
    return Failure(code="StageError", message=f"{type(error).__name__} in {place}", retryable=False)
