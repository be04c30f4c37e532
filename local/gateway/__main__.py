"""`python -m local.gateway --port 8080`: serve until SIGTERM."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import uvloop

from gateway.pulse import ROUND_S
from local import process
from local.gateway.connections import Limits
from local.gateway.server import SWEEP_S, Server
from streams.errors import HeraldError

DEFAULT_PORT = 8080

_log = logging.getLogger(__name__)


def main() -> int:
    """Parse the arguments and serve; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.gateway", description="A twin of API Gateway's WebSockets.")
    process.add_arguments(parser, port=DEFAULT_PORT)
    parser.add_argument("--keys", type=Path, help="directory of the issuer's key (default: $HERALD_DIR/keys)")
    parser.add_argument("--integration-s", type=float, default=29.0, help="longest wait for a function's answer")
    parser.add_argument("--idle-s", type=float, default=600.0, help="a silent connection is closed after so long")
    parser.add_argument("--lifetime-s", type=float, default=7200.0, help="every connection is closed after so long")
    parser.add_argument("--in-flight", type=int, default=16, help="messages of one connection handled at once")
    parser.add_argument("--fault-seed", type=int, default=0, help="seed of the faults' probabilities")
    parser.add_argument("--sweep-s", type=float, default=SWEEP_S, help="silent connections are looked for so often")
    parser.add_argument("--round-s", type=float, default=ROUND_S, help="rounds of what is due follow each other so")
    args = parser.parse_args()
    process.start(args, component="gateway")
    limits = Limits(args.integration_s, args.idle_s, args.lifetime_s, args.in_flight)
    keys = args.keys or Path(os.environ.get("HERALD_DIR") or ".herald") / "keys"
    return uvloop.run(_serve(args, limits, keys))


async def _serve(args: argparse.Namespace, limits: Limits, keys: Path) -> int:
    server = Server(keys, limits, args.fault_seed, args.sweep_s, args.round_s)
    try:
        await server.start(args.port)
    except (HeraldError, OSError) as error:
        _log.error("cannot start", extra={"error": str(error)})
        return 1
    try:
        process.announce(server.url)
        await process.stopped()
    finally:
        await server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
