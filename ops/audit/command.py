"""`herald audit SESSION [--json]`: options, progress, the exit code."""

import argparse
import asyncio
import sys

import msgspec

from ops.audit.reader import read
from ops.audit.result import Audit
from ops.audit.rules import audit
from ops.audit.shown import text
from ops.environment import environment
from ops.paths import paths
from ops.supervisor import tell

PROGRESS_BYTES = 8_000_000


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("session", metavar="SESSION", help="the session's id, such as golden-eagle-427")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else, on stdout")
    parser.epilog = (
        "Exits with 0 if nothing is off. It reads the session's shards of five streams, at three quarters of what a"
        " shard gives at the most, and scans the dead letters."
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it. Raises CommandError."""
    found = asyncio.run(_audit(arguments.session))
    if arguments.json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        sys.stdout.flush()
    else:
        sys.stdout.write(text(found))
    return 0 if found.ok else 1


async def _audit(session_id: str) -> Audit:
    taken = 0

    def on_read(stream: str, size: int) -> None:
        nonlocal taken
        before, taken = taken, taken + size
        if taken // PROGRESS_BYTES > before // PROGRESS_BYTES:
            tell(f"read {taken / 1e6:.0f} MB")

    return audit(await read(environment(paths()), session_id, on_read))
