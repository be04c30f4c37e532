"""`python -m local.kinesis --port 0 --data DIR`: serve until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

import uvloop

from local import process
from local.kinesis.listener import Listener
from local.kinesis.server import App
from local.kinesis.store import Store, StoreError
from local.kinesis.twin import Options, Twin

_log = logging.getLogger("local.kinesis")


def main() -> int:
    """Parse the arguments and serve; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.kinesis", description="A twin of Amazon Kinesis.")
    process.add_arguments(parser)
    parser.add_argument("--data", type=Path, help="directory that keeps the streams; without it they are in memory")
    parser.add_argument(
        "--limits",
        type=_limit_scale,
        default=1.0,
        metavar="service|off|FACTOR",
        help="throughput limits: the service's (default), none, or the service's times a factor",
    )
    parser.add_argument("--transition-ms", type=int, default=100, help="how long CREATING, UPDATING, DELETING last")
    parser.add_argument("--retention-hour-s", type=float, default=3600.0, help="length of an hour of retention")
    parser.add_argument("--subscription-s", type=float, default=300.0, help="life of a SubscribeToShard call")
    parser.add_argument("--cache-mib", type=int, default=32, help="newest records kept in memory")
    parser.add_argument("--fault-seed", type=int, default=0, help="seed of the faults' probabilities")
    args = parser.parse_args()
    process.start(args, component="kinesis")
    options = Options(
        limit_scale=args.limits,
        transition_ms=args.transition_ms,
        hour_ms=round(args.retention_hour_s * 1000),
        subscription_ms=round(args.subscription_s * 1000),
        cache_bytes=args.cache_mib << 20,
    )
    try:
        return uvloop.run(_serve(args, options))
    except (StoreError, OSError) as error:
        _log.error("cannot start", extra={"error": str(error)})
        return 1


def _limit_scale(text: str) -> float | None:
    if text == "off":
        return None
    scale = 1.0 if text == "service" else float(text)
    if scale <= 0:
        raise ValueError("a factor above 0")
    return scale


async def _serve(args: argparse.Namespace, options: Options) -> int:
    secrets = {os.environ["AWS_ACCESS_KEY_ID"]: os.environ["AWS_SECRET_ACCESS_KEY"]}
    store = Store(args.data)
    app = App(Twin(store, options), secrets, args.fault_seed)
    clock = asyncio.create_task(app.keep_time())
    listener = Listener(app, args.port)
    await listener.start()
    process.announce(f"http://127.0.0.1:{listener.port}")
    told = asyncio.create_task(process.stopped())
    await asyncio.wait({told, clock}, return_when=asyncio.FIRST_COMPLETED)
    app.stop()
    await listener.stop()
    if clock.done():  # only a failure ends it: without it nothing would expire
        clock.result()
    clock.cancel()
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
