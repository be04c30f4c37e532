"""A stack file and its lock, as a supervisor holds them, for parts that a test runs itself."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ops import stack_file
from ops.paths import Paths
from ops.stack_file import PartStatus, Stack


@contextmanager
def running_stack(
    folder: Path, pids: Mapping[str, int | None], urls: Mapping[str, str] | None = None
) -> Iterator[Paths]:
    """The state folder of a stack whose parts have these process ids and addresses; None: it has ended."""
    paths = Paths(folder)
    stack = Stack(
        pid=1,
        state="ready",
        url="ws://127.0.0.1:1/live",
        http="http://127.0.0.1:1",
        engine="tones",
        prefix="herald",
        environment={},
        parts={name: PartStatus("ready", str(folder / name), pid) for name, pid in pids.items()},
    )
    for name, url in (urls or {}).items():
        stack.parts.setdefault(name, PartStatus("ready", str(folder / name))).url = url
    with paths.lock_file.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stack_file.write(paths.stack_file, stack)
        yield paths
