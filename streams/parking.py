"""Parking: a session that is behind is read on later, and the others now (rows S1, T8). Pure.

A session beyond its bound is parked: its further inputs are passed by, and nothing of them is kept but the place up to
which it has been read (`read_to`). When it has room again, it is read on from there, until it has been given the last
input that was passed by; then it takes part again. So a parked session costs the memory of two positions, however far
it is behind, and no checkpoint passes `low`.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from streams.stage import Position


class Place(NamedTuple):
    """Where to read on: at a position, or after it. They compare in the order of reading."""

    position: Position
    after: bool


class _Parked:
    """read_to: up to where all of the session is given, in positions that were really read; None: nothing was."""

    def __init__(self, first: Position, read_to: Position | None) -> None:
        self.place = Place(first, after=False)
        self.read_to = read_to
        self.last = first
        self.refused = False


class Parking:
    """The parked sessions of one shard."""

    def __init__(self) -> None:
        self._parked: OrderedDict[str, _Parked] = OrderedDict()  # who was read on for longest ago comes first

    def __len__(self) -> int:
        return len(self._parked)

    def __contains__(self, session_id: str) -> bool:
        return session_id in self._parked

    def sessions(self) -> list[str]:
        """Who is parked."""
        return list(self._parked)

    def park(self, session_id: str, position: Position, read_to: Position | None) -> None:
        """Pass an input by. read_to: the position that was read before it."""
        parked = self._parked.get(session_id)
        if parked is None:
            self._parked[session_id] = _Parked(position, read_to)
        else:
            parked.last = max(parked.last, position)

    def low(self, settled: Position | None) -> Position | None:
        """The watermark, held back by what has been passed by. settled: where it would be without."""
        for parked in self._parked.values():
            if settled is None or parked.read_to is None:
                return None
            settled = min(settled, parked.read_to)
        return settled

    def read_on_from(self, has_room: Callable[[str], bool]) -> Place | None:
        """Where the next read begins: at a session with room, each in turn. None: none has."""
        for session_id, parked in self._parked.items():
            if has_room(session_id):
                self._parked.move_to_end(session_id)
                for each in self._parked.values():
                    each.refused = False
                return parked.place
        return None

    def is_next(self, session_id: str, start: Place, position: Position) -> bool:
        """Whether this is the session's next input. start: where the read began; what lies between was seen."""
        parked = self._parked.get(session_id)
        if parked is None or parked.refused or start > parked.place:
            return False
        return parked.place <= Place(position, after=False)

    def read_to(self, session_id: str) -> Position | None:
        """Up to where all of the session is given."""
        return self._parked[session_id].read_to

    def refuse(self, session_id: str) -> None:
        """It has no room for this one: no more of this read for it."""
        self._parked[session_id].refused = True

    def on_given(self, session_id: str, position: Position) -> bool:
        """The session has been given its next input. True: that was the last; it is parked no more."""
        return self._advance(session_id, self._parked[session_id], position)

    def on_read(self, start: Place, end: Position) -> list[str]:
        """All from start to end has been read, and given where there was room. Who is parked no more."""
        done = []
        for session_id, parked in list(self._parked.items()):
            seen = start <= parked.place <= Place(end, after=False) and not parked.refused
            if seen and self._advance(session_id, parked, end):
                done.append(session_id)
        return done

    def on_end(self, start: Place, first: Position) -> list[str]:
        """A shard is read to its end, or gone. first: the first input of the next one. Who is parked no more."""
        done = []
        for session_id, parked in list(self._parked.items()):
            if start <= parked.place < Place(first, after=False) and not parked.refused:
                parked.place = Place(first, after=False)
                if first > parked.last:
                    del self._parked[session_id]
                    done.append(session_id)
        return done

    def _advance(self, session_id: str, parked: _Parked, position: Position) -> bool:
        if position >= parked.last:
            del self._parked[session_id]
            return True
        parked.place = Place(position, after=True)
        parked.read_to = position
        return False
