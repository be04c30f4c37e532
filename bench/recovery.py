"""What recovery costs: starting again, snapshots and checkpoints, and a neighbour whose service hangs.

- Restart: `stages.emotion` as a process of its own, on the Kinesis twin and DynamoDB, killed (-9) while people speak
  and started again under its id; to the first record on its output stream that the new life wrote. Bar: 3 s.
- Snapshots and checkpoints: CPU time of the embedded runner copying 1,000 records/s of 3.2 KB, 25 sessions on a shard,
  with them and without, alternating; the difference, in per cent of the time. Peer: all the rest. Bar: 5 %.
- Parking: how late a session's records are copied while its neighbour's service hangs, beside how late when it does not
  (medians of the 95th percentiles), with Kinesis' own limits on reads. Bar: one interval between reads more, 250 ms.
- Snapshots' sizes (BENCH_TALK=off leaves it out): every snapshot that a stage stored while real recordings were spoken
  to a whole stack. Bar: a tenth of DynamoDB's 400 KB.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from bench.driver import CountingWriter, chunks, equipment, make, make_tables
from bench.stack import ROOT, talks, up
from ops import stack_file
from ops.paths import Paths
from streams import driver
from streams.aws import Clients
from streams.catch_up import InputLog
from streams.embedded import Options, Worker
from streams.errors import Throttled
from streams.kinesis import OrderedWriter, get_iterator, get_page, list_shards
from streams.leases import Leases
from streams.records import AudioChunk, decode, encode
from streams.resources import SNAPSHOTS
from tests.support.asking_stage import AskingStage, Patient
from tests.support.services import CREDENTIALS, dynamodb, kinesis_twin

ROUNDS = 5
RESTART_BAR_S = 3.0
COST_BAR_PERCENT = 5.0
PARKING_BAR_MS = 250.0
SNAPSHOT_BAR_BYTES = 40_000
RATE = 1_000
COPIED_S = 6
SPEAKERS = 25
"""What a shard takes at 40 chunks/s each; so each one's snapshot is stored every 4 s."""
PAGES_PER_S = 4
HANGS_S = 6.0
CAUGHT_UP_BAR_S = 20.0
CHUNK_MS = 100
NEVER_MS = 10**12


class World(NamedTuple):
    """The twins, and their clients."""

    kinesis: Any
    dynamo: Any
    folder: Path
    environment: dict[str, str]


@asynccontextmanager
async def speaking(world: World, stream: str, *sessions: str, times: int = 1) -> AsyncIterator[None]:
    """Chunks of 100 ms for each session, `times` as fast as people speak."""
    writer = OrderedWriter(world.kinesis, stream)

    async def speak() -> None:
        sequence = 0
        while True:
            for session_id in sessions:
                chunk = AudioChunk(
                    session_id=session_id,
                    connection="c",
                    admitted_at_ms=time.time_ns() // 1_000_000,
                    pcm=bytes(32 * CHUNK_MS),
                    sequence=sequence,
                )
                writer.put(session_id, encode(chunk))
            sequence += 1
            await asyncio.sleep(CHUNK_MS / 1000 / times)

    task = asyncio.create_task(speak())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await writer.close()


# --- restart --------------------------------------------------------------------------------------------------------


async def first_write_s(world: World, stream: str, since: float) -> float:
    """Seconds from `since` until a record of a later time is on the stream."""
    (shard,) = await list_shards(world.kinesis, stream)
    iterator: str | None = await get_iterator(world.kinesis, stream, shard.shard_id, ShardIteratorType="LATEST")
    while iterator is not None:
        page = await get_page(world.kinesis, shard.shard_id, iterator)
        if page.records:
            return page.records[0].arrived_ms / 1000 - since
        iterator = page.iterator
        await asyncio.sleep(0.02)
    raise RuntimeError(f"{stream} was closed")


async def restarts(world: World) -> list[float]:
    prefix = "restart"
    await make(world.kinesis, *(f"{prefix}-{name}" for name in ("audio", "emotions", "journal")))
    await make_tables(world.dynamo, prefix, "emotion")
    environment = world.environment | {"HERALD_PREFIX": prefix, "HERALD_WORKER_ID": "w", "OPENBLAS_NUM_THREADS": "1"}
    took = []
    process: asyncio.subprocess.Process | None = None
    async with speaking(world, f"{prefix}-audio", "a", "b", "c"):
        try:
            for number in range(ROUNDS + 1):
                if process is not None:
                    process.kill()
                    await process.wait()
                began = time.time()
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "stages.emotion"),
                    env=environment,
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                async with asyncio.timeout(60):
                    found = await first_write_s(world, f"{prefix}-emotions", began)
                if number:
                    took.append(found)
                await asyncio.sleep(2)
        finally:
            if process is not None:
                process.kill()
                await process.wait()
    return took


# --- snapshots and checkpoints ----------------------------------------------------------------------------------------


async def cpu_s(world: World, prefix: str, *, snapshots: bool) -> float:
    """CPU seconds of this process for copying COPIED_S x RATE records, at that rate."""
    await make(world.kinesis, f"{prefix}-out")
    await make_tables(world.dynamo, prefix, "copy")
    writer = CountingWriter(world.kinesis, f"{prefix}-out", COPIED_S * RATE)
    tools = equipment(world.kinesis, world.dynamo, f"{prefix}-out", prefix)._replace(writer=writer)
    leases = Leases(world.dynamo, f"{prefix}-leases-copy", "w")
    options = Options("paced", f"{prefix}-out", poll_s=1 / PAGES_PER_S, limit=RATE // PAGES_PER_S)
    every_ms = driver.SNAPSHOT_EVERY_MS if snapshots else NEVER_MS
    with patch.object(driver, "SNAPSHOT_EVERY_MS", every_ms), patch.object(driver, "IDLE_MS", NEVER_MS):
        worker = Worker(world.kinesis, leases, tools, "w", options)
        task = asyncio.create_task(worker.run(lambda: None))
        while not writer.begun:
            await asyncio.sleep(0.01)
        began = time.process_time()
        await writer.complete.wait()
        took = time.process_time() - began
        checkpoint = next(iter((await leases.list()).values())).checkpoint
        if checkpoint.isdigit() != snapshots:
            raise RuntimeError(f"snapshots {snapshots}, but the checkpoint is {checkpoint}")
        worker.stop()
        await task
    await writer.close()
    return took


async def costs(world: World) -> tuple[list[float], list[float]]:
    await make(world.kinesis, "paced")
    writer = OrderedWriter(world.kinesis, "paced")
    await asyncio.gather(*[writer.put(key, data) for key, data in chunks(COPIED_S * RATE, SPEAKERS)])
    await writer.close()
    ours, peers = [], []
    for number in range(ROUNDS):
        peers.append(await cpu_s(world, f"without{number}", snapshots=False))
        ours.append(await cpu_s(world, f"with{number}", snapshots=True))
    return ours, peers


# --- a neighbour that hangs -------------------------------------------------------------------------------------------


async def copied_at_ms(world: World, stream: str) -> dict[str, dict[int, int]]:
    """By session and number, when Kinesis had it first."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    (shard,) = await list_shards(world.kinesis, stream)
    iterator: str | None = await get_iterator(world.kinesis, stream, shard.shard_id, ShardIteratorType="TRIM_HORIZON")
    while iterator is not None:
        try:
            page = await get_page(world.kinesis, shard.shard_id, iterator)
        except Throttled:
            await asyncio.sleep(0.25)
            continue
        for stored in page.records:
            chunk = decode(stored.data)
            assert isinstance(chunk, AudioChunk)
            found[stored.key].setdefault(chunk.sequence or 0, stored.arrived_ms)
        iterator = page.iterator if page.behind_ms else None
    return found


async def neighbours(world: World, prefix: str, *, hangs: bool) -> tuple[float, float]:
    """The good session's delay (p95, ms), and how long the other took to be up to date again (s)."""
    source, target = f"{prefix}-in", f"{prefix}-out"
    await make(world.kinesis, source, target)
    await make_tables(world.dynamo, prefix, "copy")
    oracle = Patient()
    tools = equipment(world.kinesis, world.dynamo, target, prefix)._replace(
        build=lambda session_id, snapshot: AskingStage("w", snapshot),
        services=[oracle],
        source=InputLog(world.kinesis, source),
    )
    leases = Leases(world.dynamo, f"{prefix}-leases-copy", "w")
    worker = Worker(world.kinesis, leases, tools, "w", Options(source, target, poll_s=0.25))
    ready = asyncio.Event()
    task = asyncio.create_task(worker.run(ready.set))
    await ready.wait()
    if hangs:
        oracle.hanging.add("slow")
    async with speaking(world, source, "slow", times=4), speaking(world, source, "good"):
        await asyncio.sleep(HANGS_S)
    released = time.time()
    oracle.hanging.clear()
    wanted = await copied_at_ms(world, source)
    async with asyncio.timeout(60):
        found = await copied_at_ms(world, target)
        while any(len(found[session_id]) < len(wanted[session_id]) for session_id in wanted):
            await asyncio.sleep(0.1)
            found = await copied_at_ms(world, target)
    late = sorted(at_ms - wanted["good"][number] for number, at_ms in found["good"].items())
    worker.stop()
    await task
    await tools.writer.close()
    caught_up = max(found["slow"].values()) / 1000 - released
    return float(late[int(0.95 * len(late))]), max(0.0, caught_up)


async def parking(world: World) -> tuple[list[float], list[float], list[float]]:
    alone, beside, caught_up = [], [], []
    for number in range(ROUNDS):
        alone.append((await neighbours(world, f"alone{number}", hangs=False))[0])
        late, took = await neighbours(world, f"beside{number}", hangs=True)
        beside.append(late)
        caught_up.append(took)
    return beside, alone, caught_up


# --- the sizes of snapshots -------------------------------------------------------------------------------------------


async def watch_snapshots(folder: Path, is_over: Callable[[], bool]) -> dict[str, list[int]]:
    """By stage, the size of every snapshot that was seen."""
    stack = stack_file.read(Paths(folder))
    if stack is None:
        raise RuntimeError("the stack is gone")
    os.environ.update(stack.environment)
    sizes: dict[str, list[int]] = defaultdict(list)
    seen: dict[str, str] = {}
    async with Clients() as clients:
        dynamo = await clients.get("dynamodb")
        while not is_over():
            for row in (await dynamo.scan(TableName=f"{stack.prefix}-{SNAPSHOTS.name}"))["Items"]:
                key = row["key"]["S"]
                if "state" in row and seen.get(key) != row["sequence"]["S"]:
                    seen[key] = row["sequence"]["S"]
                    sizes[key.partition("#")[0]].append(len(row["state"]["B"]))
            await asyncio.sleep(0.5)
    return sizes


def snapshot_sizes() -> dict[str, list[int]]:
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as name, up(Path(name), "pocketsphinx"):
        sizes: dict[str, list[int]] = {}

        def during() -> None:
            deadline = time.monotonic() + 45
            sizes.update(asyncio.run(watch_snapshots(Path(name), lambda: time.monotonic() > deadline)))

        try:
            talks(Path(name), 1, during=during)
        finally:
            os.environ.clear()
            os.environ.update(before)
    return sizes


# --- rows -------------------------------------------------------------------------------------------------------------


async def measured(environment: dict[str, str], folder: Path) -> dict[str, dict[str, Any]]:
    async with Clients() as clients:
        world = World(await clients.get("kinesis"), await clients.get("dynamodb"), folder, environment)
        took = await restarts(world)
        ours, peers = await costs(world)
    return {
        "embedded stage, from kill -9 to its first record": row(took, [RESTART_BAR_S], "s", 1.0),
        "snapshots and checkpoints at 1,000 records/s": cost(ours, peers),
    }


async def measured_with_limits(environment: dict[str, str], folder: Path) -> dict[str, dict[str, Any]]:
    async with Clients() as clients:
        world = World(await clients.get("kinesis"), await clients.get("dynamodb"), folder, environment)
        beside, alone, caught_up = await parking(world)
    return {
        "delay of a session beside one that hangs, p95": added(beside, alone),
        f"until one that hung for {HANGS_S:g} s, at 4 times the rate, is up to date": row(
            caught_up, [CAUGHT_UP_BAR_S], "s", 1.0
        ),
    }


def run() -> dict[str, dict[str, Any]]:
    """All measurements, as rows for `python -m bench`."""
    before = dict(os.environ)
    rows: dict[str, dict[str, Any]] = {}
    try:
        with tempfile.TemporaryDirectory() as state, dynamodb(Path(state)) as db:
            for arguments, measure in ((("--limits", "off"), measured), ((), measured_with_limits)):
                with kinesis_twin(*arguments) as kinesis:
                    os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL_KINESIS=kinesis, AWS_ENDPOINT_URL_DYNAMODB=db)
                    rows |= asyncio.run(measure(dict(os.environ), Path(state)))
    finally:
        os.environ.clear()
        os.environ.update(before)
    if os.environ.get("BENCH_TALK") != "off":
        for stage, sizes in sorted(snapshot_sizes().items()):
            rows[f"snapshot of {stage}, during a talk"] = row(
                list(map(float, sizes)), [SNAPSHOT_BAR_BYTES], "bytes", 1.0
            )
    return rows


def row(ours: list[float], peers: list[float], unit: str, bar: float) -> dict[str, Any]:
    """Medians; the bar is how many times the peer's (or a fixed number's) ours may be."""
    mine, theirs = statistics.median(ours), statistics.median(peers)
    return {
        "ours": round(mine, 2),
        "peer": round(theirs, 2),
        "unit": unit,
        "ratio": round(mine / theirs, 3),
        "bar": bar,
        "holds": mine / theirs <= bar,
        "spread": [round(min(ours), 2), round(max(ours), 2)],
    }


def cost(ours: list[float], peers: list[float]) -> dict[str, Any]:
    """A row of CPU seconds with and without, as per cent of a core over the time that was measured."""
    more = [100 * (mine - theirs) / COPIED_S for mine, theirs in zip(ours, peers, strict=True)]
    found = row(more, [100 * theirs / COPIED_S for theirs in peers], "% of a core", COST_BAR_PERCENT)
    return found | {"holds": found["ours"] <= COST_BAR_PERCENT}


def added(ours: list[float], peers: list[float]) -> dict[str, Any]:
    """A row whose bar is how much more than the peer ours may be."""
    found = row(ours, peers, "ms", PARKING_BAR_MS)
    return found | {"holds": found["ours"] - found["peer"] <= PARKING_BAR_MS}


if __name__ == "__main__":
    import json

    sys.stdout.write(json.dumps(run(), indent=2) + "\n")
