"""The watermark: how far everything is settled (row S3). Pure."""

import heapq

from streams.stage import Position


class Watermark:
    """Positions in the order of reading, settled in any order.

    `low` is the last position of the settled beginning: a checkpoint there loses nothing. Only what is not settled is
    remembered, each with what stands before it; so one that stays open for hours costs no more than itself.
    """

    def __init__(self) -> None:
        self._open: dict[Position, Position | None] = {}  # not settled: what it is safe to have read before it
        self._order: list[Position] = []  # a heap of the open ones, and of settled ones that have not come up yet
        self.last: Position | None = None
        """The last position that was read."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def low(self) -> Position | None:
        """The last position of the settled beginning; None: nothing is settled."""
        while self._order and self._order[0] not in self._open:
            heapq.heappop(self._order)
        return self._open[self._order[0]] if self._order else self.last

    def add(self, position: Position) -> None:
        """A position that is not settled, later than all before."""
        self._add(position, self.before(position))
        self.pass_by(position)

    def before(self, position: Position) -> Position | None:
        """What was read before it, or something earlier."""
        return self.last if self.last is None or self.last < position else self.low

    def insert(self, position: Position, before: Position | None) -> None:
        """One that was passed by, and is not settled. before: what is settled, or open here, up to it."""
        self._add(position, before)

    def pass_by(self, position: Position) -> None:
        """A position was read for which somebody else answers."""
        self.last = position if self.last is None else max(self.last, position)

    def settle(self, position: Position) -> None:
        """All that this position caused is settled. Unknown positions (settled before) are ignored."""
        self._open.pop(position, None)

    def _add(self, position: Position, before: Position | None) -> None:
        if position not in self._open:
            self._open[position] = before
            heapq.heappush(self._order, position)
