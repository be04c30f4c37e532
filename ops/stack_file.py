"""`.herald/stack.json`: where the running stack is, its credentials, and each part's process and log.

Readable by its owner only: it holds credentials. Stable keys: other programs read it.
"""

import fcntl
import os
import shlex
from pathlib import Path
from typing import Final, Literal

import msgspec

from ops.errors import CommandError
from ops.paths import Paths

VERSION: Final = 1
PartState = Literal["waiting", "starting", "ready", "done", "stopped"]


class PartStatus(msgspec.Struct):
    """One part. argv: as started; environment: the names of the variables it was given; url: where it serves.

    ended: how it ended, for a part that is `stopped` (an exit code or the name of a signal).
    """

    state: PartState
    log: str
    pid: int | None = None
    argv: list[str] = []
    environment: list[str] = []
    url: str | None = None
    ended: str | None = None


class Stack(msgspec.Struct):
    """A stack. url: the WebSocket's; http: the same gateway for HTTP. environment: what `herald env` exports."""

    pid: int
    state: Literal["starting", "ready", "stopping"]
    url: str
    http: str
    engine: str
    prefix: str
    environment: dict[str, str]
    parts: dict[str, PartStatus]
    version: int = VERSION


def write(path: Path, stack: Stack) -> None:
    """Write by renaming, so that nobody reads half a file; mode 0600."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(stack), indent=2) + b"\n")
    beside.replace(path)


def read(paths: Paths) -> Stack | None:
    """The stack that runs, or None. What a killed supervisor left behind does not count.

    Raises CommandError for a file that a later release wrote.
    """
    if not is_locked(paths):
        return None
    try:
        data = paths.stack_file.read_bytes()
    except FileNotFoundError:
        return None  # it is starting, and has not said where
    try:
        stack = msgspec.json.decode(data, type=Stack)
    except msgspec.ValidationError as error:
        raise CommandError(f"{paths.stack_file} is not readable by this release: {error}") from error
    if stack.version > VERSION:
        raise CommandError(f"{paths.stack_file} was written by a later release")
    return stack


def running(paths: Paths) -> Stack:
    """The stack that runs and is ready. Raises CommandError when there is none."""
    stack = read(paths)
    if stack is None:
        raise CommandError("no stack runs here; start one with: herald up")
    if stack.state != "ready":
        raise CommandError(f"the stack (pid {stack.pid}) is {stack.state}; try again when it is ready")
    return stack


def is_locked(paths: Paths) -> bool:
    """Whether a supervisor lives. A lock, not a process id: ids are used again."""
    try:
        with paths.lock_file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def exports(environment: dict[str, str]) -> str:
    """Shell lines that put a shell into the stack's environment."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(environment.items()))
