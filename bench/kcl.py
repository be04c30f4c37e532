"""The runner on the Kinesis Client Library, beside what the library does alone.

- How soon shards are read again: by a worker back under its own id, by others after a non-leader and after the leader
  were killed. Bars: 12 s; the failover time + 6 s; for the leader's, 3 s more, in which a leader that lives would act.
- Throughput of a filled stream through daemon and processes, nothing written: ours decodes, steps and settles every
  record, stores snapshots and writes checkpoints; beside the library's own Python sample processor, which does nothing
  with them, under the same daemon with the same settings. Bar: 0.8 times. And beside `async-kinesis`, a consumer in
  pure Python without a daemon, without leases.

The stream's own limits are off. Real daemons: about three minutes.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from kinesis import Consumer
from kinesis.aggregators import SimpleAggregator
from kinesis.processors import Processor
from kinesis.serializers import Serializer

from local.provision import table_definition
from streams.kcl_daemon import LEADER_FIRST_S
from streams.kinesis import hash_of
from streams.records import AudioChunk, encode
from streams.resources import DEAD_LETTERS, SNAPSHOTS, lease_table
from tests.support.kcl_worker import KclWorker
from tests.support.services import CREDENTIALS, ROOT, dynamodb, kinesis_twin

FAILOVER_S = 10.0
BACK_WITHIN_S = 12.0
TAKEN_OVER_WITHIN_S = FAILOVER_S + 6.0
LEADERLESS_WITHIN_S = FAILOVER_S + LEADER_FIRST_S + 6.0
RATIO_BAR = 0.8
SHARDS = 2
PUT_EVERY_S = 0.05
RECORDS = 24_000
"""A multiple of 60 for each of the 50 keys: see `kcl_copier`."""
RECORD_BYTES = 3_200
WITHIN_S = 90.0
COPIER = "tests.support.kcl_copier"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what is measured did not happen")
        time.sleep(0.05)


class Stage:
    """A copying stage's streams and tables, of its own prefix."""

    def __init__(self, prefix: str, shards: int) -> None:
        self.prefix = prefix
        self.kinesis, self.dynamodb = boto3.client("kinesis"), boto3.client("dynamodb")
        for name, count in (("audio", shards), ("transcripts", 1), ("journal", 1)):
            self.kinesis.create_stream(StreamName=f"{prefix}-{name}", ShardCount=count)
            self.kinesis.get_waiter("stream_exists").wait(
                StreamName=f"{prefix}-{name}", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
            )
        for spec in (SNAPSHOTS, DEAD_LETTERS, lease_table("copy")):
            self.dynamodb.create_table(**table_definition(f"{self.prefix}-{spec.name}", spec))

    @property
    def audio(self) -> str:
        return f"{self.prefix}-audio"

    @property
    def leases(self) -> str:
        return f"{self.prefix}-leases-copy"

    def worker(self, folder: Path, worker_id: str, module: str = COPIER, **environment: str) -> KclWorker:
        own = {"HERALD_PREFIX": self.prefix, "LEASE_FAILOVER_S": str(FAILOVER_S), "HERALD_JOURNAL": "off"}
        aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        return KclWorker(folder, module, worker_id, aws | own | environment)

    def forget(self) -> None:
        """As if nobody had read anything yet."""
        for row in self.dynamodb.scan(TableName=self.leases)["Items"]:
            self.dynamodb.delete_item(TableName=self.leases, Key={"leaseKey": row["leaseKey"]})

    def keys(self) -> dict[str, str]:
        """A partition key for each shard."""
        found = {}
        for shard in self.kinesis.list_shards(StreamName=self.audio)["Shards"]:
            first, last = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
            found[shard["ShardId"]] = next(
                key for key in (f"s{n}" for n in range(1_000)) if first <= hash_of(key) <= last
            )
        return found

    def owners(self) -> dict[str, str]:
        """Whose processes read each shard."""
        rows = self.dynamodb.scan(TableName=self.leases, ConsistentRead=True)["Items"]
        return {
            row["leaseKey"]["S"]: row["leaseOwner"]["S"]
            for row in rows
            if "leaseOwner" in row and row.get("heraldReading") == row.get("heraldClaim", {"N": "0"})
        }

    def leader(self) -> str:
        rows = self.dynamodb.scan(TableName=f"{self.leases}-CoordinatorState")["Items"]
        return next(str(row["ownerName"]["S"]) for row in rows if "ownerName" in row)

    def copied_since(self, moment_s: float) -> dict[str, float]:
        """For each key, when the first copy after that moment arrived (Unix seconds)."""
        (shard,) = self.kinesis.list_shards(StreamName=f"{self.prefix}-transcripts")["Shards"]
        iterator = self.kinesis.get_shard_iterator(
            StreamName=f"{self.prefix}-transcripts",
            ShardId=shard["ShardId"],
            ShardIteratorType="AT_TIMESTAMP",
            Timestamp=moment_s,
        )["ShardIterator"]
        found: dict[str, float] = {}
        while True:
            page = self.kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            for row in page["Records"]:
                found.setdefault(row["PartitionKey"], row["ApproximateArrivalTimestamp"].timestamp())
            if not page["MillisBehindLatest"]:
                return found
            iterator = page["NextShardIterator"]


@contextlib.contextmanager
def speaking(stage: Stage) -> Iterator[None]:
    """Puts a record into each shard, 20 times a second, in a process of its own."""
    argv = [sys.executable, "-m", "bench.kcl", "speak", stage.audio, *stage.keys().values()]
    speaker = subprocess.Popen(argv, cwd=ROOT, env=os.environ)
    try:
        yield
    finally:
        speaker.kill()
        speaker.wait()


def speak(stream: str, keys: list[str]) -> None:
    kinesis = boto3.client("kinesis")
    number = 0
    while True:
        rows = [
            {
                "PartitionKey": key,
                "Data": encode(AudioChunk(session_id=key, connection="c", admitted_at_ms=0, pcm=b"", sequence=number)),
            }
            for key in keys
        ]
        kinesis.put_records(StreamName=stream, Records=rows)
        number += 1
        time.sleep(PUT_EVERY_S)


def resumed_s(stage: Stage, keys: set[str], since_s: float) -> float:
    """How long after that moment the last of the keys was copied again."""
    until(lambda: keys <= stage.copied_since(since_s).keys())
    return max(at for key, at in stage.copied_since(since_s).items() if key in keys) - since_s


def recoveries(folder: Path) -> dict[str, float]:
    """Seconds until shards are read again, by what happened to their worker."""
    stage = Stage("recovery", SHARDS)
    keys = stage.keys()
    workers = {name: stage.worker(folder, name) for name in ("one", "two")}
    with workers["one"] as one, workers["two"] as two:
        started_s = one.start()
        with speaking(stage):
            two.start()
            until(lambda: set(stage.owners().values()) == {"one", "two"} and len(stage.owners()) == SHARDS)
            leader = stage.leader()
            other = "two" if leader == "one" else "one"

            taken_over_s = killed(stage, workers[other], keys)
            workers[other].start()
            until(lambda: set(stage.owners().values()) == {"one", "two"} and len(stage.owners()) == SHARDS)
            leader = stage.leader()
            leaderless_s = killed(stage, workers[leader], keys)

            last = workers["two" if leader == "one" else "one"]
            last.signal_all(signal.SIGKILL)
            last.ended()
            begun_s = time.time()
            last.start()
            back_s = resumed_s(stage, set(keys.values()), begun_s)
    return {"start": started_s, "non-leader": taken_over_s, "leader": leaderless_s, "own id": back_s}


def killed(stage: Stage, worker: KclWorker, keys: dict[str, str]) -> float:
    """Kill a worker; how long until all that it had is copied again."""
    name = worker.worker_id
    had = {keys[shard_id] for shard_id, owner in stage.owners().items() if owner == name}
    worker.signal_all(signal.SIGKILL)
    worker.ended()
    killed_at_s = time.time()
    time.sleep(0.5)  # what was under way has arrived
    return resumed_s(stage, had, killed_at_s + 0.5) + 0.5


# --- throughput ------------------------------------------------------------------------------------------------------


def fill(stage: Stage) -> None:
    pcm = bytes(RECORD_BYTES)
    for start in range(0, RECORDS, 500):
        rows = [
            {
                "PartitionKey": f"s{n % 50}",
                "Data": encode(
                    AudioChunk(session_id=f"s{n % 50}", connection="c", admitted_at_ms=0, pcm=pcm, sequence=n // 50)
                ),
            }
            for n in range(start, start + 500)
        ]
        stage.kinesis.put_records(StreamName=stage.audio, Records=rows)


def per_s(folder: Path, worker: KclWorker) -> float:
    """Records a second, by what the shards' processes note: a line `time count` for each batch."""
    with worker:
        worker.launch()
        until(lambda: sum(number for _, number in noted(folder)) >= RECORDS)
        worker.signal_all(signal.SIGKILL)
    lines = sorted(noted(folder))
    (begun, first), (ended, _) = lines[0], lines[-1]
    return (RECORDS - first) / (ended - begun)


def noted(folder: Path) -> list[tuple[float, int]]:
    lines = [line.split() for path in folder.glob("*.notes") for line in path.read_text().splitlines()]
    return [(float(line[0]), int(line[1])) for line in lines if len(line) == 2]


def throughputs(folder: Path) -> dict[str, float]:
    """Records a second of ours, of the library's sample, and of async-kinesis."""
    stage = Stage("throughput", 2)
    fill(stage)
    found = {}
    for name, module in (("ours", "tests.support.kcl_copier"), ("sample", "bench.kcl_sample")):
        notes = folder / name
        notes.mkdir()
        worker = stage.worker(notes, name, module=module, COPIES="0", NOTES=str(notes))
        found[name] = per_s(notes, worker)
        stage.forget()
    found["async-kinesis"] = asyncio.run(consumed_per_s(stage.audio))
    return found


class Raw(Serializer):  # type: ignore[misc]
    def serialize(self, item: bytes) -> tuple[int, bytes]:
        return len(item), item

    def deserialize(self, data: bytes) -> bytes:
        return data


class RawProcessor(Processor, SimpleAggregator, Raw):  # type: ignore[misc]
    """Records as they are."""


async def consumed_per_s(stream: str) -> float:
    async with Consumer(
        stream, endpoint_url=os.environ["AWS_ENDPOINT_URL_KINESIS"], processor=RawProcessor(), record_limit=1_000
    ) as consumer:
        number, begun = 0, 0.0
        async with asyncio.timeout(WITHIN_S):
            while number < RECORDS:
                async for _ in consumer:
                    begun = begun or time.perf_counter()
                    number += 1
                    if number == RECORDS:
                        break
        return RECORDS / (time.perf_counter() - begun)


def run() -> dict[str, dict[str, Any]]:
    """All of it, as rows for `python -m bench`."""
    with tempfile.TemporaryDirectory() as folder, kinesis_twin("--limits", "off") as twin, contextlib.ExitStack() as up:
        path = Path(folder)
        for name in ("db", "recoveries", "throughputs"):
            (path / name).mkdir()
        db = up.enter_context(dynamodb(path / "db"))
        os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL_KINESIS=twin, AWS_ENDPOINT_URL_DYNAMODB=db)
        os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
        rates = throughputs(path / "throughputs")
        times = recoveries(path / "recoveries")
    ratio = rates["ours"] / rates["sample"]
    throughput = {"ours": round(rates["ours"]), "unit": "records/s"}
    beside = rates["async-kinesis"]
    return {
        "kcl: back under its own id, reads after": within(times["own id"], BACK_WITHIN_S),
        "kcl: a killed non-leader's shards": within(times["non-leader"], TAKEN_OVER_WITHIN_S),
        "kcl: a killed leader's shards": within(times["leader"], LEADERLESS_WITHIN_S),
        "kcl: first start": within(times["start"], BACK_WITHIN_S),
        "kcl: throughput, beside the library's sample": throughput
        | {"peer": round(rates["sample"]), "ratio": round(ratio, 2), "bar": RATIO_BAR, "holds": ratio >= RATIO_BAR},
        "kcl: throughput, beside async-kinesis": throughput
        | {"peer": round(beside), "ratio": round(rates["ours"] / beside, 2), "bar": None, "holds": True},
    }


def within(took_s: float, bar_s: float) -> dict[str, Any]:
    ratio = round(took_s / bar_s, 2)
    return {"ours": round(took_s, 1), "peer": None, "unit": "s", "ratio": ratio, "bar": bar_s, "holds": ratio <= 1}


if __name__ == "__main__":
    if sys.argv[1:2] == ["speak"]:
        speak(sys.argv[2], sys.argv[3:])
    import json

    sys.stdout.write(json.dumps(run(), indent=2) + "\n")
