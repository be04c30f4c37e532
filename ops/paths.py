"""Where things are: the project, and the folder with what a running stack leaves (`.herald`)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

PROJECT: Final = Path(__file__).resolve().parent.parent
STATE_VARIABLE: Final = "HERALD_DIR"


class Paths(NamedTuple):
    """The state folder: `.herald` in the project, or what HERALD_DIR says, so that two stacks can run side by side."""

    state: Path

    @property
    def stack_file(self) -> Path:
        """Where the running stack is described."""
        return self.state / "stack.json"

    @property
    def lock_file(self) -> Path:
        """Locked by the supervisor as long as it lives."""
        return self.state / "lock"

    @property
    def socket(self) -> Path:
        """Where the supervisor listens."""
        return self.state / "control.sock"

    @property
    def kinesis(self) -> Path:
        """The streams' store."""
        return self.state / "kinesis"

    @property
    def dynamodb(self) -> Path:
        """The tables' store."""
        return self.state / "dynamodb"

    @property
    def keys(self) -> Path:
        """Keys and certificates of this machine's own."""
        return self.state / "keys"

    def log(self, part: str) -> Path:
        """A part's log."""
        return self.state / "logs" / f"{part}.log"


def paths(environ: Mapping[str, str] = os.environ) -> Paths:
    """The state folder of this environment."""
    chosen = environ.get(STATE_VARIABLE, "")
    return Paths(Path(chosen).resolve() if chosen else PROJECT / ".herald")


def shown(path: Path) -> str:
    """A path as a person wants to read it: relative to where they are, if it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
