"""A session's effects on their way to becoming deeds, in the order in which its stage gave them. Pure.

One emit is in flight at a time, so that a partly failed PutRecords cannot reorder a session. What stands behind an
emit (a `Done`, a `Reject`, a mark for a snapshot) counts only when the emit is durable. A rejection holds up what
stands behind it in the same way, until its input is in the dead-letter store: so what is durable of a session is
always a beginning of its effects, and a stage that is told its last emit after a restore knows what came before.
"""

from collections import deque
from typing import Final, NamedTuple, TypeAlias

from streams.errors import Failure
from streams.records import Record
from streams.stage import Position


class Settle(NamedTuple):
    """An input is done, or rejected with a failure."""

    position: Position
    failure: Failure | None


class Mark(NamedTuple):
    """A snapshot taken here: state after `upto`, holding all that was emitted before."""

    ordinal: int
    upto: Position
    state: bytes


Item: TypeAlias = Record | Settle | Mark
_COUNTS: Final = (Settle, Mark)


class Outbox:
    """One session's outbox."""

    def __init__(self, place: Position | None = None) -> None:
        self._items: deque[Item] = deque()
        self._in_flight = False
        self.place = place
        """Where my last durable emit stands on the output stream."""

    def __len__(self) -> int:
        return len(self._items) + self._in_flight

    def append(self, item: Item) -> None:
        """Add an effect."""
        self._items.append(item)

    def written(self, place: Position) -> None:
        """The emit in flight is durable."""
        self.place = place
        self._in_flight = False

    def buried(self) -> None:
        """The rejected input in flight is in the dead-letter store."""
        self._in_flight = False

    def take(self) -> tuple[list[Settle | Mark], Record | None]:
        """What counts now (a rejection last, to be buried), and the emit to write next, if one may go."""
        passed: list[Settle | Mark] = []
        while self._items and not self._in_flight:
            item = self._items.popleft()
            if isinstance(item, _COUNTS):
                passed.append(item)
                self._in_flight = isinstance(item, Settle) and item.failure is not None
            else:
                self._in_flight = True
                return passed, item
        return passed, None
