"""Ends what a killed supervisor leaves behind: `python -m ops.guard`, started by the supervisor itself.

The supervisor writes `+PGID` when it has started a process group and `-PGID` when it has seen it end. However the
supervisor ends, its end of the pipe closes; what is then still noted is asked to end, and soon made to.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable
from typing import Final

GRACE_S: Final = 3.0
LOOK_EVERY_S: Final = 0.05


def noted(lines: Iterable[str]) -> set[int]:
    """The process groups that are left when the lines end."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def send(group: int, number: int) -> bool:
    """Signal a process group; number 0 only asks. Returns whether it exists."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end(groups: set[int], grace_s: float = GRACE_S) -> None:
    """End the groups: SIGTERM, and SIGKILL for those that are there after `grace_s`."""
    left = {group for group in groups if send(group, signal.SIGTERM)}
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
        left = {group for group in left if send(group, 0)}
    for group in left:
        send(group, signal.SIGKILL)


def main() -> None:
    """Read until the supervisor is gone, then clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the pipe's end counts
    end(noted(sys.stdin))


if __name__ == "__main__":
    main()
