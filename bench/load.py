"""Many speakers at once through the whole door (row N11): WebSocket, gateway, `sendAudio`, Kinesis; control too.

The load generator is a process of its own (`python bench/load.py chunks|control ...`), with a client as any other. It
sends by the clock, whatever the answers do, and times each answer from when its message was due: a server that stalls
is charged for all that waited meanwhile. Chunks are 20 ms of sound, so 50 a second are real time. The stages do not
run: a sink reads all shards while the load lasts, and counts.

If 100 speakers do not fit this machine together with their generator, fewer are tried until the bar holds; what binds
is told by the CPU that each part took.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import math
import os
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import msgspec
import psutil
import uvloop

from bench.stack import ROOT, up
from streams.records import SAMPLE_RATE_HZ, AudioChunk, decode
from streams.resources import STAGES

SPEAKERS = (100, 80, 65, 50, 40, 30, 20, 10)
CHUNKS_PER_S = 50
CONTROLS_PER_S = 10
CHUNK_BYTES = 640
CHUNKS_S = float(os.environ.get("HERALD_BENCH_LOAD_S", "60"))
TRY_S = 10.0
"""A first look at whether so many fit, before the whole time is spent on it."""
SHARDS = 16
"""1,000 records/s each; sessions spread unevenly."""
CHUNK_BAR_MS, CHUNK_AIM_MS, CONTROL_BAR_MS, NOTICE_BAR_MS = 50.0, 20.0, 100.0, 150.0
READ_EVERY_S = 0.5
SETTLE_S = 10.0


class _Answer(msgspec.Struct):
    type: str = ""
    sequence: int = -1
    code: str = ""
    stateVersion: int = -1  # noqa: N815 - the name on the wire
    sessionId: str = ""  # noqa: N815


_decoder = msgspec.json.Decoder(_Answer)


async def _first(socket: aiohttp.ClientWebSocketResponse, wanted: str) -> _Answer:
    while True:
        answer = _decoder.decode(await socket.receive_str(timeout=30))
        if answer.type == wanted:
            return answer


class Tally:
    """What the load generator saw. Times in milliseconds."""

    def __init__(self) -> None:
        self.sent = 0
        self.took_ms: list[float] = []
        self.notices_ms: list[float] = []
        self.refused: Counter[str] = Counter()

    def report(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "sent": self.sent,
            "acknowledged": len(self.took_ms),
            "refused": dict(self.refused),
            "notices": len(self.notices_ms),
            **percentiles("", self.took_ms),
            **percentiles("notice_", self.notices_ms),
        }


def percentiles(prefix: str, times_ms: list[float]) -> dict[str, float]:
    if len(times_ms) < 2:
        return {}
    cuts = statistics.quantiles(times_ms, n=100)
    return {f"{prefix}p50_ms": cuts[49], f"{prefix}p95_ms": cuts[94], f"{prefix}p99_ms": cuts[98]}


class Caller:
    """One speaker of the load: sends at a fixed pace, and takes answers as they come."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session_id: str, tally: Tally) -> None:
        self.session_id = session_id
        self.due_s: dict[int, float] = {}
        self._socket = socket
        self._tally = tally
        self._order: list[float] = []  # of control messages, whose answers come in order

    async def send(self, per_s: float, seconds: float, begin_s: float, make: Any) -> None:
        """Send `make(number)` at each of its times."""
        clock = time.perf_counter
        for number in range(round(per_s * seconds)):
            due_s = begin_s + number / per_s
            if (wait_s := due_s - clock()) > 0:
                await asyncio.sleep(wait_s)
            self.due_s[number] = due_s
            self._tally.sent += 1
            await self._socket.send_str(make(number))

    async def take(self) -> None:
        """Until cancelled."""
        async for message in self._socket:
            now_s = time.perf_counter()
            answer = _decoder.decode(message.data)
            if answer.type == "error":
                self._tally.refused[answer.code] += 1
            elif answer.type == "audioReceived":
                self._tally.took_ms.append((now_s - self.due_s[answer.sequence]) * 1000)
            elif answer.type == "volumeChanged":
                self._tally.took_ms.append((now_s - self.due_s[answer.stateVersion - 1]) * 1000)

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """One listener of this speaker: notices are timed from when their message was due."""
        async for message in socket:
            now_s = time.perf_counter()
            answer = _decoder.decode(message.data)
            if answer.type == "volumeChanged":
                self._tally.notices_ms.append((now_s - self.due_s[answer.stateVersion - 1]) * 1000)


async def generate(kind: str, url: str, token: str, speakers: int, seconds: float) -> dict[str, Any]:
    """One round; the report."""
    tally = Tally()
    samples = (round(8_000 * math.sin(2 * math.pi * 440 * at / SAMPLE_RATE_HZ)) for at in range(CHUNK_BYTES // 2))
    audio = base64.b64encode(struct.pack(f"<{CHUNK_BYTES // 2}h", *samples)).decode()

    def chunk(number: int) -> str:
        return f'{{"action":"sendAudio","sequence":{number},"audioData":"{audio}"}}'

    def volume(number: int) -> str:
        return f'{{"action":"setVolume","volumeLevel":{number % 10 / 10}}}'

    per_s, make = (CHUNKS_PER_S, chunk) if kind == "chunks" else (CONTROLS_PER_S, volume)
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(sock_connect=30)
            )
        )

        async def connect(**query: str) -> aiohttp.ClientWebSocketResponse:
            return await stack.enter_async_context(session.ws_connect(url, params=query))

        callers, tasks = [], []
        for _ in range(speakers):
            socket = await connect(action="createSession", token=token, sourceLanguage="en-US")
            caller = Caller(socket, (await _first(socket, "sessionCreated")).sessionId, tally)
            callers.append(caller)
            tasks.append(asyncio.create_task(caller.take()))
            if kind == "control":
                ear = await connect(action="joinSession", sessionId=caller.session_id, targetLanguage="es")
                await _first(ear, "sessionJoined")
                tasks.append(asyncio.create_task(caller.listen(ear)))
        begin_s = time.perf_counter() + 1
        await asyncio.gather(
            *(
                caller.send(per_s, seconds, begin_s + number / speakers / per_s, make)
                for number, caller in enumerate(callers)
            )
        )
        await _settled(tally, kind)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tally.report() | {"sessions": [caller.session_id for caller in callers]}


async def _settled(tally: Tally, kind: str) -> None:
    """Wait for what is still on its way."""
    for _ in range(round(SETTLE_S / 0.05)):
        answered = len(tally.took_ms) + tally.refused.total()
        if answered >= tally.sent and (kind == "chunks" or len(tally.notices_ms) >= len(tally.took_ms)):
            return
        await asyncio.sleep(0.05)


class Sink:
    """Reads all shards of the audio stream, as a stage would, and counts each session's chunks."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._client = boto3.client(
            "kinesis",
            region_name=environment["AWS_REGION"],
            endpoint_url=environment["AWS_ENDPOINT_URL_KINESIS"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        self._stream = f"{environment['HERALD_PREFIX']}-audio"
        self._raw: list[bytes] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Sink:
        self._iterators = [
            self._client.get_shard_iterator(
                StreamName=self._stream, ShardId=row["ShardId"], ShardIteratorType="LATEST"
            )["ShardIterator"]
            for row in self._client.list_shards(StreamName=self._stream)["Shards"]
        ]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def counted(self) -> dict[str, Counter[int]]:
        """By session, how many times each sequence is in the stream. Call it when the load is over."""
        found: dict[str, Counter[int]] = {}
        for data in self._raw:
            record = decode(data)
            if isinstance(record, AudioChunk) and record.sequence is not None:
                found.setdefault(record.session_id, Counter())[record.sequence] += 1
        return found

    def _read(self) -> None:
        last = False
        while not last:
            last = self._done.is_set()  # once more, for what came meanwhile
            began_s = time.monotonic()
            for index, iterator in enumerate(self._iterators):
                answer = self._client.get_records(ShardIterator=iterator, Limit=10_000)
                self._raw += [row["Data"] for row in answer["Records"]]
                self._iterators[index] = answer["NextShardIterator"]
            if not last:
                self._done.wait(max(0.0, READ_EVERY_S - time.monotonic() + began_s))


@contextlib.contextmanager
def door(folder: Path) -> Iterator[dict[str, Any]]:
    """A stack without its stages; its `stack.json`."""
    with up(folder, "tones", "--shards", str(SHARDS)):
        stack = json.loads((folder / "stack.json").read_text())
        for stage in STAGES:
            os.kill(stack["parts"][stage.name]["pid"], signal.SIGTERM)
        time.sleep(3)
        yield stack


def measured(stack: dict[str, Any], kind: str, speakers: int, seconds: float) -> dict[str, Any]:
    """One round, with the CPU that each part took (cores), and for chunks what is in the stream."""
    environment = {**os.environ, **stack["environment"]}
    token = subprocess.run(
        [sys.executable, "-m", "ops", "token", "--role", "speaker"],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    parts = {
        name: psutil.Process(part["pid"])
        for name, part in stack["parts"].items()
        if part["pid"] and _lives(part["pid"])
    }
    before = {name: _cpu_s(process) for name, process in parts.items()}
    argv = [sys.executable, "-m", "bench.load", kind, stack["url"], token, str(speakers), str(seconds)]
    began_s = time.monotonic()
    pipe = subprocess.PIPE
    with (
        Sink(stack["environment"]) as sink,
        subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as child,
    ):
        generator = psutil.Process(child.pid)
        assert child.stdout is not None
        line = child.stdout.readline()
        cpu_s = {name: _cpu_s(process) - before[name] for name, process in parts.items()}
        wall_s = time.monotonic() - began_s
        cpu_s["generator"] = _cpu_s(generator)
        child.communicate()
    found: dict[str, Any] = json.loads(line)
    counted = sink.counted() if kind == "chunks" else {}
    expected = found["acknowledged"]
    mine = {session: counted.get(session, Counter()) for session in found.pop("sessions")}
    found["in_stream_once"] = sum(1 for one in mine.values() for times in one.values() if times == 1)
    found["in_stream_twice"] = sum(1 for one in mine.values() for times in one.values() if times > 1)
    found["all_there"] = kind != "chunks" or (found["in_stream_once"] == expected and not found["in_stream_twice"])
    found["cores"] = {name: round(taken / wall_s, 2) for name, taken in cpu_s.items() if taken / wall_s >= 0.01}
    found["speakers"] = speakers
    return found


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def _cpu_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def fits(found: dict[str, Any]) -> bool:
    """Whether the bars hold, and everything was answered and is there."""
    complete = found["acknowledged"] == found["sent"] and not found["refused"] and found["all_there"]
    if "notice_p95_ms" in found:
        complete = complete and found["notices"] == found["sent"] and found["notice_p95_ms"] <= NOTICE_BAR_MS
        return complete and found.get("p95_ms", 1e9) <= CONTROL_BAR_MS
    return complete and found.get("p95_ms", 1e9) <= CHUNK_BAR_MS


def highest(stack: dict[str, Any], kind: str, seconds: float) -> dict[str, Any]:
    """The whole time with the most speakers that fit."""
    found: dict[str, Any] = {}
    for speakers in SPEAKERS:
        found = measured(stack, kind, speakers, min(TRY_S, seconds))
        print(json.dumps({"load": kind} | found), file=sys.stderr, flush=True)
        if fits(found):
            found = measured(stack, kind, speakers, seconds)
            print(json.dumps({"load": kind} | found), file=sys.stderr, flush=True)
            if fits(found):
                break
    return found


def row(ours: float, bar: float, unit: str, found: dict[str, Any]) -> dict[str, Any]:
    """A row of the table. The bar is a fixed number: it stands in for a peer."""
    return {
        "ours": round(ours, 1), "peer": bar, "unit": unit, "ratio": round(ours / bar, 3),
        "bar": 1.0, "holds": fits(found) and ours <= bar, "spread": found,
    }  # fmt: skip


def run() -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as name, door(Path(name)) as stack:
        chunks = highest(stack, "chunks", CHUNKS_S)
        control = highest(stack, "control", CHUNKS_S / 3)
    speakers = {"peer": SPEAKERS[0], "unit": "speakers", "bar": 1.0}
    rows = {
        "load_chunks_p95": row(chunks["p95_ms"], CHUNK_BAR_MS, f"ms, {chunks['speakers']} speakers", chunks),
        "load_control_p95": row(control["p95_ms"], CONTROL_BAR_MS, f"ms, {control['speakers']} speakers", control),
        "load_notices_p95": row(
            control.get("notice_p95_ms", 1e9), NOTICE_BAR_MS, f"ms, {control['speakers']} speakers", control
        ),
    }
    for title, found in (("load_chunks_speakers", chunks), ("load_control_speakers", control)):
        count = found["speakers"]
        ratio = count / SPEAKERS[0]
        rows[title] = {**speakers, "ours": count, "ratio": ratio, "holds": fits(found) and count >= SPEAKERS[0]}
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="The load generator.")
    parser.add_argument("kind", choices=("chunks", "control"))
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("speakers", type=int)
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    report = uvloop.run(generate(arguments.kind, arguments.url, arguments.token, arguments.speakers, arguments.seconds))
    print(json.dumps(report), flush=True)
    sys.stdin.read()  # until who reads the report has looked at this process
    return 0


if __name__ == "__main__":
    sys.exit(main())
