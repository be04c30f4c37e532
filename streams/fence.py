"""Whether an owner may still act: a process that was paused past its lease must not go on as if it held it. Pure.

Others take a lease that has not been renewed for `valid_s` since they saw it. So it is certainly ours for `valid_s`
from the moment at which a renewal was *sent* that was confirmed later. When more has passed, somebody may own the
shard: no emit, call, snapshot or burial may start before the lease is confirmed again, or lost. What is under way stays
so: its readers know what an old owner wrote, by id and media time.
"""

import math
from typing import Final

LOOK_EVERY_S: Final = 0.05
"""How often whoever waits at a closed fence looks again."""


class Fence:
    """One lease, as its owner may rely on it. Times are monotonic seconds.

    valid_s: after how long without a renewal others take the lease; by default never.
    """

    def __init__(self, valid_s: float = math.inf, confirmed_s: float = 0.0) -> None:
        self._valid_s = valid_s
        self._confirmed_s = confirmed_s

    def confirm(self, sent_s: float) -> None:
        """A renewal that was sent then was successful. To find the row ours is not enough: it stops nobody's clock."""
        self._confirmed_s = max(self._confirmed_s, sent_s)

    def holds(self, now_s: float) -> bool:
        """Whether the lease is certainly ours."""
        return now_s - self._confirmed_s < self._valid_s
