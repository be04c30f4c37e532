"""The driver beside its limits.

- From memory: a copying stage under the whole driver (records decoded, stepped, encoded, written, snapshots taken),
  with a Kinesis and a DynamoDB that are Python lists. Bar: 5,000 records/s of 3.2 KB on one core.
- Over the Kinesis twin: the embedded runner copying a filled stream, beside a bare loop of GetRecords and PutRecords by
  the same client as it comes, with the same page size and as many requests in flight. Bar: 0.8 times the bare loop.

Five rounds each, alternating; medians.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiobotocore.session import get_session

from streams.aws import Clients
from streams.dead_letters import DeadLetters
from streams.embedded import Options, Worker
from streams.journal import Journal
from streams.kinesis import OrderedWriter, StoredRecord, get_iterator, get_page, list_shards
from streams.leases import Leases
from streams.records import AudioChunk, encode
from streams.resources import DEAD_LETTERS, SNAPSHOTS, lease_table
from streams.runtime import Equipment, ShardRuntime
from streams.snapshots import Snapshots
from streams.stage import Position
from streams.telemetry import Log, Metrics
from tests.support.copy_stage import CopyStage
from tests.support.services import CREDENTIALS, dynamodb, kinesis_twin

ROUNDS = 5
SESSIONS = 100
MEMORY_RECORDS = 10_000
STREAM_RECORDS = 12_000
RECORD_BYTES = 3_200
PAGE = 1_000
RATE_BAR = 5_000


class MemoryKinesis:
    """PutRecords that always succeed, one turn of the loop later."""

    def __init__(self) -> None:
        self.written = 0

    async def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        await asyncio.sleep(0)
        rows = []
        for _ in Records:
            self.written += 1
            rows.append({"ShardId": "out", "SequenceNumber": str(self.written)})
        return {"FailedRecordCount": 0, "Records": rows}


class MemoryDynamoDB:
    """Snapshots into a dict."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}

    async def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        return {"Responses": {}, "UnprocessedKeys": {}}

    async def put_item(self, Item: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        await asyncio.sleep(0)
        self.items[Item["key"]["S"]] = Item
        return {}


def equipment(kinesis: Any, dynamo: Any, output: str, prefix: str) -> Equipment:
    log = Log("bench")
    return Equipment(
        stage="copy",
        build=CopyStage,
        services=[],
        breakers={},
        writer=OrderedWriter(kinesis, output),
        snapshots=Snapshots(dynamo, f"{prefix}-{SNAPSHOTS.name}", "copy"),
        dead_letters=DeadLetters(dynamo, f"{prefix}-{DEAD_LETTERS.name}", "copy", "in"),
        journal=Journal(None, "copy", "w", "0", log),
        log=log,
        metrics=Metrics("bench"),
    )


def chunks(number: int, sessions: int = SESSIONS) -> list[tuple[str, bytes]]:
    pcm = bytes(RECORD_BYTES)
    return [
        (key, encode(AudioChunk(session_id=key, connection="c", admitted_at_ms=n, pcm=pcm, sequence=n // sessions)))
        for n in range(number)
        for key in (f"s{n % sessions}",)
    ]


async def from_memory() -> tuple[float, float]:
    """Records per second, and per second of this process' CPU."""
    records = [StoredRecord(Position("in", n + 1), k, d, 0) for n, (k, d) in enumerate(chunks(MEMORY_RECORDS))]
    kinesis = MemoryKinesis()
    runtime = ShardRuntime(equipment(kinesis, MemoryDynamoDB(), "out", "x"), "in", 1, {}, lambda: 0.5)
    begun, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(records), PAGE):
        await runtime.give(records[at : at + PAGE])
        await asyncio.sleep(0)
    await runtime.drain(60)
    took, cpu = time.perf_counter() - begun, time.process_time() - cpu
    assert kinesis.written == MEMORY_RECORDS
    await runtime.stop()
    return MEMORY_RECORDS / took, MEMORY_RECORDS / cpu


async def fill(kinesis: Any, stream: str) -> None:
    writer = OrderedWriter(kinesis, stream)
    await asyncio.gather(*[writer.put(key, data) for key, data in chunks(STREAM_RECORDS)])
    await writer.close()


async def make(kinesis: Any, *names: str) -> None:
    for name in names:
        await kinesis.create_stream(StreamName=name, ShardCount=1)
        await kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 0.05})


async def make_tables(dynamo: Any, prefix: str, stage: str) -> None:
    for spec in (SNAPSHOTS, DEAD_LETTERS, lease_table(stage)):
        keys = [(spec.hash_key, "HASH")] + ([(spec.range_key, "RANGE")] if spec.range_key else [])
        await dynamo.create_table(
            TableName=f"{prefix}-{spec.name}",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            BillingMode="PAY_PER_REQUEST",
        )


async def bare_loop(kinesis: Any, source: str, target: str) -> float:
    """Records per second of GetRecords and PutRecords with nothing between."""
    (shard,) = await list_shards(kinesis, source)
    iterator: str | None = await get_iterator(kinesis, source, shard.shard_id, ShardIteratorType="TRIM_HORIZON")
    copied = 0
    begun = time.perf_counter()
    while copied < STREAM_RECORDS and iterator is not None:
        page = await get_page(kinesis, shard.shard_id, iterator, PAGE)
        iterator = page.iterator
        rows = [{"Data": stored.data, "PartitionKey": stored.key} for stored in page.records]
        puts = [
            kinesis.put_records(StreamName=target, Records=rows[at : at + SESSIONS])
            for at in range(0, len(rows), SESSIONS)
        ]
        for at in range(0, len(puts), 4):
            await asyncio.gather(*puts[at : at + 4])
        copied += len(rows)
    return copied / (time.perf_counter() - begun)


class CountingWriter(OrderedWriter):
    """Says when so many records are durable."""

    def __init__(self, client: Any, stream: str, expected: int) -> None:
        super().__init__(client, stream)
        self._missing = expected
        self.begun = 0.0
        self.complete = asyncio.Event()

    def put(self, key: str, data: bytes, may_go: Callable[[], bool] = lambda: True) -> "asyncio.Future[Position]":
        self.begun = self.begun or time.perf_counter()
        done = super().put(key, data, may_go)
        done.add_done_callback(self._count)
        return done

    def _count(self, _: object) -> None:
        self._missing -= 1
        if self._missing == 0:
            self.complete.set()


async def driven(kinesis: Any, dynamo: Any, source: str, target: str, prefix: str) -> float:
    """Records per second of the embedded runner, from the first emit to the last one's acknowledgement."""
    writer = CountingWriter(kinesis, target, STREAM_RECORDS)
    tools = equipment(kinesis, dynamo, target, prefix)._replace(writer=writer)
    leases = Leases(dynamo, f"{prefix}-leases-copy", "w")
    worker = Worker(kinesis, leases, tools, "w", Options(source, target, poll_s=0.02, limit=PAGE))
    task = asyncio.create_task(worker.run(lambda: None))
    await writer.complete.wait()
    rate = STREAM_RECORDS / (time.perf_counter() - writer.begun)
    worker.stop()
    await task
    await writer.close()
    return rate


async def over_kinesis() -> tuple[list[float], list[float]]:
    ours: list[float] = []
    peers: list[float] = []
    async with Clients() as clients:
        kinesis, dynamo = await clients.get("kinesis"), await clients.get("dynamodb")
        await make(kinesis, "source")
        await fill(kinesis, "source")
        async with get_session().create_client("kinesis", config=kinesis.meta.config) as bare:
            for number in range(ROUNDS):
                prefix = f"r{number}"
                await make(kinesis, f"{prefix}-peer", f"{prefix}-out")
                await make_tables(dynamo, prefix, "copy")
                peers.append(await bare_loop(bare, "source", f"{prefix}-peer"))
                ours.append(await driven(kinesis, dynamo, "source", f"{prefix}-out", prefix))
    return ours, peers


def run() -> dict[str, dict[str, Any]]:
    """Both measurements, as rows for `python -m bench`."""
    rates = [asyncio.run(from_memory()) for _ in range(ROUNDS)]
    by_cpu = [rate for _, rate in rates]
    with (
        tempfile.TemporaryDirectory() as state,
        kinesis_twin("--limits", "off") as kinesis,
        dynamodb(Path(state)) as db,
    ):
        os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL_KINESIS=kinesis, AWS_ENDPOINT_URL_DYNAMODB=db)
        ours, peers = asyncio.run(over_kinesis())
    return {
        "driver from memory": row(by_cpu, [float(RATE_BAR)], "records/s and core", 1.0),
        "driver over the Kinesis twin": row(ours, peers, "records/s", 0.8),
    }


def row(ours: list[float], peers: list[float], unit: str, bar: float) -> dict[str, Any]:
    mine, theirs = statistics.median(ours), statistics.median(peers)
    return {
        "ours": round(mine),
        "peer": round(theirs),
        "unit": unit,
        "ratio": round(mine / theirs, 2),
        "bar": bar,
        "holds": mine / theirs >= bar,
        "spread": [round(min(ours)), round(max(ours))],
    }


if __name__ == "__main__":
    import json

    sys.stdout.write(json.dumps(run(), indent=2) + "\n")
