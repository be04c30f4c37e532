"""The Kinesis twin beside two others.

- Steady load: 5,000 records/s of 3.2 KB in PutRecords of 50, and one reader of all shards, five windows of six
  seconds each, alternating with the same load on a bare peer. Measured: CPU of the server, user and system.
- Sequential puts of 3.2 KB by one client, beside the bare peer and beside moto's Kinesis (behind werkzeug's server,
  as in moto's own, but without the Flask application around it).

The bare peer is the least that could be called a stream server: granian, the standard library's `json`, one
SQLite table in WAL mode, one commit per turn of the loop. No signatures, limits, lineage or validation. It runs
from this file: `python bench/kinesis_twin.py peer`.

The client signs with a cached key and keeps its connection, so that it costs less than what it measures.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil  # type: ignore[import-untyped]  # it ships no types

RECORD_BYTES = 3_200  # 100 ms of 16 kHz PCM16
BATCH = 50
BATCHES_PER_S = 100
SHARDS = 32  # 16 MB/s need 16 by the service's limit; keys spread unevenly
WINDOW_S = 6.0
ROUNDS = 5
PUTS = 400
READS_PER_S = 4  # per shard; the service allows 5
STREAM = "bench"
KEY_ID, SECRET, REGION = "bench", "bench-secret", "us-east-1"
CPU_BAR = 0.5


class Client:
    """One keep-alive connection that signs."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._hashes: dict[int, str] = {}
        self._key: tuple[str, bytes] = ("", b"")

    def call(self, operation: str, body: bytes, *, kept: bool = False) -> tuple[int, bytes]:
        """Status and body of the answer. `kept` says that the same body object comes again: its hash is remembered."""
        target = f"Kinesis_20131202.{operation}"
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        digest = self._hashes.get(id(body)) if kept else None
        if digest is None:
            digest = hashlib.sha256(body).hexdigest()
            if kept:
                self._hashes[id(body)] = digest
        host = f"127.0.0.1:{self._port}"
        names = "host;x-amz-date;x-amz-target"
        canonical = f"POST\n/\n\nhost:{host}\nx-amz-date:{stamp}\nx-amz-target:{target}\n\n{names}\n{digest}"
        scope = f"{stamp[:8]}/{REGION}/kinesis/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self._signing_key(stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
        headers = {
            "host": host,
            "x-amz-date": stamp,
            "x-amz-target": target,
            "content-type": "application/x-amz-json-1.1",
            "authorization": (
                f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
            ),
        }
        self._connection.request("POST", "/", body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _signing_key(self, date: str) -> bytes:
        if self._key[0] != date:
            key = f"AWS4{SECRET}".encode()
            for part in (date, REGION, "kinesis", "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self._key = (date, key)
        return self._key[1]

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """A call that must succeed."""
        status, body = self.call(operation, json.dumps(members).encode())
        if status != 200:
            raise RuntimeError(f"{operation}: {status} {body[:200]!r}")
        answer: dict[str, Any] = json.loads(body or b"{}")
        return answer


class _Page(msgspec.Struct, rename="pascal"):
    records: list[msgspec.Raw]
    next_shard_iterator: str


@contextlib.contextmanager
def server(*command: str, cwd: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A server that prints `ready http://127.0.0.1:PORT`, as a child; ended afterwards."""
    environment = os.environ | {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=log, text=True, cwd=cwd, env=environment
        ) as child,
    ):
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            if not line.startswith("ready "):
                log.seek(0)
                raise RuntimeError(f"{command} did not start: {log.read()[-500:]}")
            yield int(line.rsplit(":", 1)[1]), psutil.Process(child.pid)
        finally:
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()


def prepare(port: int) -> None:
    """Create the stream and wait until it can be written."""
    client = Client(port)
    client.ask("CreateStream", StreamName=STREAM, ShardCount=SHARDS)
    for _ in range(200):
        if (
            client.ask("DescribeStreamSummary", StreamName=STREAM)["StreamDescriptionSummary"]["StreamStatus"]
            == "ACTIVE"
        ):
            return
        time.sleep(0.02)
    raise RuntimeError("the stream did not become active")


def bodies() -> list[bytes]:
    """Forty different PutRecords."""
    made = []
    for number in range(40):
        data = base64.b64encode(os.urandom(RECORD_BYTES)).decode()
        records = [{"Data": data, "PartitionKey": f"session-{number}-{i}"} for i in range(BATCH)]
        made.append(json.dumps({"StreamName": STREAM, "Records": records}).encode())
    return made


class Load:
    """A paced writer and a reader, in two threads."""

    def __init__(self, port: int, batches: list[bytes]) -> None:
        self._port = port
        self._batches = batches
        self._end = threading.Event()
        self.written = self.read = self.refused = 0
        self.late_s = 0.0
        self._iterators: dict[str, str] = {}
        self._failures: list[BaseException] = []

    def run(self, seconds: float) -> None:
        """Write and read for so long, then until everything written has been read."""
        threads = [threading.Thread(target=self._guard, args=(part,)) for part in (self._write, self._read)]
        self._seconds = seconds
        self._reader = Client(self._port)
        for number in range(SHARDS):
            shard = f"shardId-{number:012d}"
            answer = self._reader.ask("GetShardIterator", StreamName=STREAM, ShardId=shard, ShardIteratorType="LATEST")
            self._iterators[shard] = answer["ShardIterator"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _guard(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as error:  # noqa: BLE001 - raised again by run, in the main thread
            self._failures.append(error)
        finally:
            self._end.set()

    def _write(self) -> None:
        client = Client(self._port)
        begin = time.perf_counter()
        for number in range(round(self._seconds * BATCHES_PER_S)):
            due = begin + number / BATCHES_PER_S
            ahead = due - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
            self.late_s = max(self.late_s, -ahead)
            status, body = client.call("PutRecords", self._batches[number % len(self._batches)], kept=True)
            if status != 200:
                raise RuntimeError(f"PutRecords: {status} {body[:200]!r}")
            self.refused += json.loads(body)["FailedRecordCount"]
            self.written += BATCH

    def _read(self) -> None:
        client, iterators = self._reader, self._iterators
        decoder = msgspec.json.Decoder(_Page)
        deadline = None
        while True:
            began = time.perf_counter()
            for shard, iterator in iterators.items():
                status, body = client.call("GetRecords", b'{"ShardIterator":"%s"}' % iterator.encode())
                if status != 200:
                    raise RuntimeError(f"GetRecords: {status} {body[:200]!r}")
                page = decoder.decode(body)
                self.read += len(page.records)
                iterators[shard] = page.next_shard_iterator
            if self._end.is_set():
                deadline = deadline or time.perf_counter() + 5
                if self.read >= self.written - self.refused or time.perf_counter() > deadline:
                    return
            time.sleep(max(0.0, 1 / READS_PER_S - (time.perf_counter() - began)))


def window(port: int, process: psutil.Process, batches: list[bytes]) -> float:
    """CPU that a server spends per second of the load, in cores."""
    load = Load(port, batches)
    before = process.cpu_times()
    load.run(WINDOW_S)
    after = process.cpu_times()
    if load.refused or load.read != load.written:
        raise RuntimeError(f"written {load.written}, refused {load.refused}, read {load.read}")
    used_s: float = after.user + after.system - before.user - before.system
    return used_s / WINDOW_S


def sequential_puts(client: Client, batch: int) -> float:
    """Puts/s of one client that waits for each answer."""
    data = base64.b64encode(os.urandom(RECORD_BYTES)).decode()
    begin = time.perf_counter()
    for number in range(PUTS):
        body = b'{"StreamName":"%s","PartitionKey":"s-%d-%d","Data":"%s"}' % (
            STREAM.encode(),
            batch,
            number,
            data.encode(),
        )
        status, answer = client.call("PutRecord", body)
        if status != 200:
            raise RuntimeError(f"PutRecord: {status} {answer[:200]!r}")
    return PUTS / (time.perf_counter() - begin)


def row(ours: list[float], peer: list[float], unit: str, bar: str, holds: bool) -> dict[str, Any]:
    """A row of the table: medians, their ratio, and the spread (lowest and highest) of both."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return {
        "ours": round(mine, 3),
        "peer": round(theirs, 3),
        "unit": unit,
        "ratio": round(mine / theirs, 3),
        "bar": bar,
        "holds": holds,
        "spread": {
            "ours": [round(min(ours), 3), round(max(ours), 3)],
            "peer": [round(min(peer), 3), round(max(peer), 3)],
        },
    }


def run() -> dict[str, dict[str, Any]]:
    """Measure everything; about a minute and a half."""
    root = Path(__file__).parent.parent
    with contextlib.ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="herald-bench-")))
        ours_port, ours = stack.enter_context(server("-m", "local.kinesis", "--data", str(data / "ours"), cwd=root))
        peer_port, peer = stack.enter_context(server(__file__, "peer", str(data / "peer.sqlite"), cwd=root))
        prepare(ours_port)
        prepare(peer_port)
        batches = bodies()
        cores: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            cores[0].append(window(ours_port, ours, batches))
            cores[1].append(window(peer_port, peer, batches))
        rate_ours, rate_peer = _alternate(Client(ours_port), Client(peer_port))
        memory_mb = ours.memory_info().rss / 1e6
        moto_port, _ = stack.enter_context(server(__file__, "moto", cwd=root))
        prepare(moto_port)
        rate_ours_again, rate_moto = _alternate(Client(ours_port), Client(moto_port))
    used = statistics.median(cores[0])
    steady = row(*cores, "cores", f"<= {CPU_BAR} cores", used <= CPU_BAR) | {"memory_mb": round(memory_mb)}
    faster = statistics.median(rate_ours_again) > statistics.median(rate_moto)
    beside = statistics.median(rate_ours) >= 0.8 * statistics.median(rate_peer)
    return {
        "kinesis_twin_steady_load_cpu": steady,
        "kinesis_twin_sequential_puts": row(rate_ours, rate_peer, "puts/s", ">= 0.8x a bare peer", beside),
        "kinesis_twin_sequential_puts_moto": row(rate_ours_again, rate_moto, "puts/s", "> moto", faster),
    }


def _alternate(ours: Client, peer: Client) -> tuple[list[float], list[float]]:
    sequential_puts(ours, 0)
    sequential_puts(peer, 0)
    rates: tuple[list[float], list[float]] = ([], [])
    for number in range(1, ROUNDS + 1):
        rates[0].append(sequential_puts(ours, number))
        rates[1].append(sequential_puts(peer, number))
    return rates


class Peer:
    """The bare peer: one table, keys dealt over the shards by hash."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "pragma journal_mode=wal; pragma synchronous=normal; pragma cache_size=-65536;"
            "create table record(shard int, seq int, at real, key text, data blob,"
            " primary key(shard, seq)) without rowid;"
        )
        self._seq = 0
        self._pending: list[tuple[int, int, float, str, bytes]] = []
        self._flush: asyncio.Future[None] | None = None

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        body = json.loads(await protocol() or b"{}")
        match scope.headers.get("x-amz-target").rpartition(".")[2]:
            case "PutRecord":
                answer = self._put(body)
                await self._commit()
            case "PutRecords":
                answer = {"FailedRecordCount": 0, "Records": [self._put(record) for record in body["Records"]]}
                await self._commit()
            case "GetShardIterator":
                answer = {"ShardIterator": f"{int(body['ShardId'][8:])}:{self._seq}"}
            case "GetRecords":
                answer = self._get(*map(int, body["ShardIterator"].split(":")))
            case "DescribeStreamSummary":
                answer = {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE"}}
            case _:
                answer = {}
        protocol.response_bytes(200, [("content-type", "application/x-amz-json-1.1")], json.dumps(answer).encode())

    def _put(self, record: dict[str, str]) -> dict[str, Any]:
        shard = int.from_bytes(hashlib.md5(record["PartitionKey"].encode()).digest(), "big") * SHARDS >> 128
        self._seq += 1
        data = base64.b64decode(record["Data"])
        self._pending.append((shard, self._seq, time.time(), record["PartitionKey"], data))
        return {"ShardId": f"shardId-{shard:012d}", "SequenceNumber": str(self._seq)}

    async def _commit(self) -> None:
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(self._write)
        await self._flush

    def _write(self) -> None:
        self._db.execute("begin")
        self._db.executemany("insert into record values(?,?,?,?,?)", self._pending)
        self._db.execute("commit")
        self._pending.clear()
        if self._flush is not None:
            self._flush.set_result(None)
            self._flush = None

    def _get(self, shard: int, after: int) -> dict[str, Any]:
        rows = self._db.execute(
            "select seq, at, key, data from record where shard=? and seq>? limit 10000", (shard, after)
        )
        records = [
            {
                "SequenceNumber": str(seq),
                "ApproximateArrivalTimestamp": at,
                "PartitionKey": key,
                "Data": base64.b64encode(data).decode(),
            }
            for seq, at, key, data in rows
        ]
        last = records[-1]["SequenceNumber"] if records else after
        return {"Records": records, "NextShardIterator": f"{shard}:{last}", "MillisBehindLatest": 0}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _serve_peer(path: str) -> None:
    from granian.server.embed import Server

    async def serve() -> None:
        port = _free_port()
        print(f"ready http://127.0.0.1:{port}", flush=True)
        await Server(Peer(path), address="127.0.0.1", port=port, log_enabled=False).serve()

    import uvloop

    uvloop.run(serve())


def _serve_moto() -> None:
    from moto.kinesis.responses import KinesisResponse
    from werkzeug.serving import WSGIRequestHandler, make_server
    from werkzeug.wrappers import Request, Response

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *_: Any) -> None:
            """Nothing: the log would cost what is measured."""

    @Request.application
    def application(request: Request) -> Response:
        vars(request).update(from_wsgi_server=True, raw_path=request.path)  # as moto's own server does
        status, headers, body = KinesisResponse.dispatch(request, request.url, request.headers)
        return Response(body, status, headers)

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    print(f"ready http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["peer", database]:
            _serve_peer(database)
        case ["moto"]:
            _serve_moto()
        case _:
            print(json.dumps(run(), indent=2))
