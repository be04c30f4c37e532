"""The watermark: how far everything is settled (row S3). Pure."""

from collections import OrderedDict

from streams.stage import Position


class Watermark:
    """Positions in order of arrival, settled in any order.

    `low` is the last position of the settled beginning: a checkpoint there loses nothing.
    """

    def __init__(self) -> None:
        # In order of arrival: position -> settled. A plain dict is slow at giving its first key after many removals.
        self._open: OrderedDict[Position, bool] = OrderedDict()
        self.low: Position | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, position: Position) -> None:
        """A position that is not settled, later than all before."""
        self._open[position] = False

    def settle(self, position: Position) -> None:
        """All that this position caused is settled. Unknown positions (settled before) are ignored."""
        if position not in self._open:
            return
        self._open[position] = True
        while self._open:
            first = next(iter(self._open))
            if not self._open[first]:
                break
            del self._open[first]
            self.low = first
