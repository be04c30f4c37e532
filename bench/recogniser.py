"""What open recogniser streams cost while nobody speaks: the process's CPU, beside the client's as it comes.

STREAMS streams to the twin in another process, over TLS and HTTP/2, IDLE_S each; the two take turns, ROUNDS each.
"""

import asyncio
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from amazon_transcribe.httpsession import AwsCrtHttpSessionManager

from local import certificates
from local.transcribe.server import Options, serving
from local.transcribe.session import Limits
from local.transcribe.tone_engine import Habits, ToneEngine
from stages.transcribe import recogniser
from stages.transcribe.requests import OpenRecogniser

STREAMS = (1, 25)
ROUNDS = 5
IDLE_S = 2.0
BAR = 0.5
SECRETS = {"AKIDLOCAL": "secretlocal"}


class _Bare(AwsCrtHttpSessionManager):
    """The client's own connections."""

    def __init__(self, event_loop: Any, rest: Any) -> None:
        super().__init__(event_loop)  # type: ignore[no-untyped-call]


def _serve(made: certificates.Certificates, where: Connection) -> None:
    async def serve() -> None:
        options = Options(made, SECRETS, limits=Limits(concurrent_streams=max(STREAMS)))
        async with serving(ToneEngine(Habits()), options) as served:
            where.send(served.url)
            await asyncio.to_thread(where.recv)

    asyncio.run(serve())


@contextmanager
def _twin() -> Iterator[str]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        made = certificates.ensure(Path(folder))
        os.environ["SSL_CERT_FILE"] = str(made.authority)
        os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = next(iter(SECRETS.items()))
        process = context.Process(target=_serve, args=(made, theirs), daemon=True)
        process.start()
        try:
            yield ours.recv()
        finally:
            ours.send(None)
            process.join(5)
            process.kill()
            process.join()


async def _cores(url: str, streams: int) -> float:
    adapter = recogniser.TranscribeStreaming("us-east-1", url)
    opened: asyncio.Queue[object] = asyncio.Queue()
    calls = [
        asyncio.create_task(
            adapter.perform(f"session-{n}", OpenRecogniser(stream="s", language_code="en-US"), opened.put_nowait)
        )
        for n in range(streams)
    ]
    for _ in calls:
        await opened.get()
    cpu_s, began_s = time.process_time(), time.monotonic()
    await asyncio.sleep(IDLE_S)
    cores = (time.process_time() - cpu_s) / (time.monotonic() - began_s)
    await adapter.close()
    await asyncio.gather(*calls, return_exceptions=True)
    return cores


def run() -> dict[str, dict[str, Any]]:
    """A row for each number of streams."""
    rows = {}
    resting = recogniser._Connections
    with _twin() as url:
        for streams in STREAMS:
            ours, peer = [], []
            for _ in range(ROUNDS):
                ours.append(asyncio.run(_cores(url, streams)))
                recogniser._Connections = _Bare  # type: ignore[assignment, misc]
                try:
                    peer.append(asyncio.run(_cores(url, streams)))
                finally:
                    recogniser._Connections = resting  # type: ignore[misc]
            ratio = statistics.median(ours) / statistics.median(peer)
            rows[f"open recogniser streams, idle: {streams}"] = {
                "ours": round(statistics.median(ours), 3),
                "spread": [round(min(ours), 3), round(max(ours), 3)],
                "peer": round(statistics.median(peer), 3),
                "unit": "cores",
                "ratio": round(ratio, 2),
                "bar": BAR,
                "holds": ratio <= BAR,
            }
    return rows
