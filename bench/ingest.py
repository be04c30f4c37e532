"""The sendAudio handler beside bare puts by the same client.

- `ingest handler, one in flight`: time per chunk of the whole handler (event in, response out), one call at a time,
  beside a bare PutRecord of the same record. One speaker, faster than real time. DynamoDB is asked for the speaker's
  row once in 250 ms, whatever the pace; so `at_the_limit` says the same for as many speakers as keep each just below
  50 chunks/s, of which every eleventh asks. That has no bar: it is the time of the emulated table, on the same cores.
- `ingest handler, 32 in flight`: chunks/s of 32 calls at once, sharing PutRecords, beside the bare sequential calls.

DynamoDB and Kinesis are the local twins, in processes of their own. Ours and the peer alternate, ROUNDS times each.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from gateway.admission import Connection
from gateway.lambdas import now_ms
from gateway.tables import Tables
from ingest.doors import Doors
from ingest.handler import IN_FLIGHT, WRITE_ATTEMPTS, Ingest
from local.provision import provision
from streams import times
from streams.aws import Clients
from streams.kinesis import OrderedWriter
from streams.records import AudioChunk, encode
from streams.telemetry import Log, Metrics
from tests.support.services import CREDENTIALS, dynamodb, kinesis_twin

ROUNDS = 11
CALLS = 500
"""Per round; some second."""
BLOCK = 100
CHUNKS_PER_S = 50
"""Of each speaker (row N7)."""
CHUNK_BYTES = 3_200
RECORDING = Path(__file__).parents[1] / "tests" / "recordings" / "austen-0870.wav"
SPOKEN_CHUNKS = 20
"""The twentieth has speech in it."""
MANY = 32
ONE_BAR = 1.25
MANY_BAR = 5.0
PREFIX = "bench"


class _Bench:
    def __init__(self, clients: dict[str, Any]) -> None:
        self.kinesis = clients["kinesis"]
        self.stream = f"{PREFIX}-audio"
        with wave.open(str(RECORDING)) as file:
            self.pcm = file.readframes(CHUNK_BYTES // 2 * SPOKEN_CHUNKS)[-CHUNK_BYTES:]
        self.body = json.dumps({"action": "sendAudio", "audioData": base64.b64encode(self.pcm).decode(), "sequence": 7})
        self.tables = Tables(clients["dynamodb"], PREFIX)
        # A thousand a second: a loop without pauses is faster than real time, and must not be refused for it.
        doors = Doors(clients["dynamodb"], f"{PREFIX}-Connections", 1000, secrets.token_hex(4), now_ms)
        self.writer = OrderedWriter(self.kinesis, self.stream, attempts=WRITE_ATTEMPTS, in_flight=IN_FLIGHT)
        self.metrics = Metrics("bench")
        self.ingest = Ingest(doors, self.writer, self._no_posts, now_ms, Log("bench"), self.metrics)
        self.speakers = MANY

    async def _no_posts(self) -> None:
        raise AssertionError("nobody is to be disconnected")

    async def add_speakers(self) -> None:
        for n in range(MANY):
            await self.tables.add_speaker(Connection(f"c{n}", f"session-{n}", "speaker"), now_ms(), acknowledge=True)

    async def handle(self, n: int, speakers: int) -> None:
        speaker = n % speakers
        context = {
            "routeKey": "sendAudio",
            "connectionId": f"c{speaker}",
            "requestTimeEpoch": now_ms(),
            "requestId": "r",
        }
        answer = await self.ingest.handle(
            {"requestContext": context, "body": self.body, "isBase64Encoded": False}, None
        )
        assert answer["statusCode"] == 200, answer

    async def put(self, n: int, speakers: int) -> None:
        session_id = f"session-{n % speakers}"
        chunk = AudioChunk(
            session_id=session_id,
            connection="c" * 64,
            admitted_at_ms=now_ms(),
            pcm=self.pcm,
            sequence=7,
            times_ms={times.ADMITTED: now_ms()},
        )
        await self.kinesis.put_record(StreamName=self.stream, Data=encode(chunk), PartitionKey=session_id)


async def _sequential(call: Callable[[int, int], Awaitable[None]], speakers: int) -> float:
    """Seconds per call, of BLOCK calls.

    Each speaker speaks thrice before: of one who is silent an instance knows no longer what it knew, nor the pace.
    """
    for n in range(3 * speakers):
        await call(n, speakers)
    started = time.perf_counter()
    for n in range(BLOCK):
        await call(n, speakers)
    return (time.perf_counter() - started) / BLOCK


async def _in_turn(bench: _Bench) -> tuple[float, float, float]:
    """Seconds per chunk of one speaker, per bare put, and per chunk of speakers at the limit.

    Blocks take turns, short enough that all see the same machine.
    """
    blocks = [
        (
            await _sequential(bench.handle, 1),
            await _sequential(bench.put, 1),
            await _sequential(bench.handle, bench.speakers),
        )
        for _ in range(CALLS // BLOCK)
    ]
    one, bare, at_the_limit = (statistics.mean(values) for values in zip(*blocks, strict=True))
    return one, bare, at_the_limit


async def _many(call: Callable[[int, int], Awaitable[None]]) -> float:
    """Seconds per call, MANY at once."""
    calls = 5 * CALLS
    numbers: Iterator[int] = iter(range(calls))

    async def worker() -> None:
        for n in numbers:
            await call(n, MANY)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(MANY)))
    return (time.perf_counter() - started) / calls


async def _measure() -> dict[str, dict[str, Any]]:
    async with Clients() as opened:
        await provision(opened, PREFIX, 4)
        bench = _Bench({name: await opened.get(name) for name in ("kinesis", "dynamodb")})
        await bench.add_speakers()
        for _ in range(2):  # the second time by as many speakers as the first has shown to be right
            bench.speakers = max(1, math.ceil(1 / (await _in_turn(bench))[-1] / CHUNKS_PER_S))
        await _many(bench.handle)
        rounds = [(*await _in_turn(bench), await _many(bench.handle)) for _ in range(ROUNDS)]
        await bench.writer.close()
        one, bare, at_the_limit, many = ([*values] for values in zip(*rounds, strict=True))
        rows = _rows(one, bare, many)
        ratio = statistics.median(at_the_limit) / statistics.median(bare)
        rows["ingest handler, one in flight"]["at_the_limit"] = {"speakers": bench.speakers, "ratio": round(ratio, 3)}
        return rows


def _rows(one: list[float], bare: list[float], many: list[float]) -> dict[str, dict[str, Any]]:
    ours, peer, shared = (statistics.median(values) for values in (one, bare, many))
    return {
        "ingest handler, one in flight": {
            "ours": round(ours * 1000, 3),
            "peer": round(peer * 1000, 3),
            "unit": "ms per chunk",
            "ratio": round(ours / peer, 3),
            "bar": ONE_BAR,
            "holds": ours / peer <= ONE_BAR,
            "spread": _spread(one, bare),
        },
        "ingest handler, 32 in flight": {
            "ours": round(1 / shared),
            "peer": round(1 / peer),
            "unit": "chunks/s",
            "ratio": round(peer / shared, 2),
            "bar": MANY_BAR,
            "holds": peer / shared >= MANY_BAR,
            "spread": _spread(many, bare),
        },
    }


def _spread(ours: list[float], peer: list[float]) -> dict[str, list[float]]:
    """Least and most, in ms per chunk."""
    return {
        "ours": [round(min(ours) * 1000, 3), round(max(ours) * 1000, 3)],
        "peer": [round(min(peer) * 1000, 3), round(max(peer) * 1000, 3)],
    }


def run() -> dict[str, dict[str, Any]]:
    """The rows. Measured in a process of its own, with nothing else in its memory."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environ = (
            os.environ
            | CREDENTIALS
            | {
                "AWS_ENDPOINT_URL_KINESIS": stack.enter_context(kinesis_twin("--limits", "off")),
                "AWS_ENDPOINT_URL_DYNAMODB": stack.enter_context(dynamodb(directory)),
                "AWS_EC2_METADATA_DISABLED": "true",
            }
        )
        argv = [sys.executable, "-m", "bench.ingest", "--measure"]
        done = subprocess.run(argv, env=environ, stdout=subprocess.PIPE, check=True, timeout=300)
    rows: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return rows


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_measure()) if "--measure" in sys.argv else run(), indent=2))
