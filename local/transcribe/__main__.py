"""``python -m local.transcribe``: the Transcribe Streaming twin as a program."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

import uvloop

from local import certificates, process
from local.transcribe.engine import Engine
from local.transcribe.pool import PoolOptions, SphinxEngine
from local.transcribe.server import Options, serving
from local.transcribe.session import Limits
from local.transcribe.tone_engine import Habits, ToneEngine


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    args = _arguments().parse_args()
    process.start(args, component="transcribe")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(args))


async def _serve(args: argparse.Namespace) -> None:
    stopped = asyncio.ensure_future(process.stopped())
    options = Options(
        certificates=certificates.ensure(args.certificates),
        secrets={os.environ["AWS_ACCESS_KEY_ID"]: os.environ["AWS_SECRET_ACCESS_KEY"]},
        port=args.port,
        control_port=args.control_port,
        seed=args.seed,
        limits=Limits(args.max_concurrent_streams, args.idle_s, args.max_stream_s),
    )
    engine = await _engine(args)
    try:
        async with serving(engine, options) as where:
            process.announce(where.url, control=where.control_url)
            await stopped
    finally:
        await engine.close()


async def _engine(args: argparse.Namespace) -> Engine:
    if args.engine == "tones":
        habits = Habits(args.seed, args.tones_unsettled, args.tones_contradicted)
        return ToneEngine(habits, args.tones_max_streams)
    return await SphinxEngine.start(PoolOptions(args.workers, args.streams_per_worker))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.transcribe", description=__doc__)
    process.add_arguments(parser)
    add = parser.add_argument
    limits, habits, pool = Limits(), Habits(), PoolOptions()
    add("--control-port", type=int, default=0, help="port of the control plane; 0 takes any free one")
    add("--certificates", type=Path, required=True, help="directory of the certificates; made there when missing")
    add("--engine", choices=["pocketsphinx", "tones"], default="pocketsphinx")
    add("--seed", type=int, default=0, help="decides which calls faults hit, and the tone engine's partials")
    add("--max-concurrent-streams", type=int, default=limits.concurrent_streams)
    add("--idle-s", type=float, default=limits.idle_s, help="a stream without audio for so long is ended")
    add("--max-stream-s", type=float, default=limits.max_stream_s, help="the longest stream")
    add("--workers", type=int, default=pool.workers, help="PocketSphinx processes")
    add("--streams-per-worker", type=int, default=pool.streams_per_worker, help="each holds a decoder of 90 MB")
    add("--tones-max-streams", type=int, default=1000)
    add("--tones-unsettled", type=float, default=habits.unsettled, help="share of last words wrong in a partial")
    add("--tones-contradicted", type=float, default=habits.contradicted, help="share of stable words that change")
    return parser


if __name__ == "__main__":
    main()
