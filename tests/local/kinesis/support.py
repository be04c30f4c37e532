"""A twin as a child process, and one in memory with a clock of the test's own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import msgspec
from botocore.config import Config

from local.kinesis import wire
from local.kinesis.operations import OPERATIONS
from local.kinesis.store import Store
from local.kinesis.twin import Options, Twin

KEY_ID, SECRET, REGION = "test-key", "test-secret", "us-east-1"
ROOT = Path(__file__).parents[3]
BEGIN_MS = 1_760_000_000_000


class Process:
    """A running twin."""

    def __init__(self, child: subprocess.Popen[str], url: str) -> None:
        self.child = child
        self.url = url

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[Process]:
    """Start `python -m local.kinesis`, and end it by its own id whatever happens."""
    environment = os.environ | {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    command = [sys.executable, "-m", "local.kinesis", "--port", "0", "--die-with-parent", *arguments]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=environment) as child,
    ):
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            if not line.startswith("ready "):
                log.seek(0)
                raise AssertionError(f"the twin did not start: {log.read()}")
            yield Process(child, line.split()[1])
        finally:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(5)
                except subprocess.TimeoutExpired:
                    child.kill()


def client(url: str, **options: Any) -> Any:
    """A boto3 client of a twin, that retries nothing."""
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=options.pop("key_id", KEY_ID),
        aws_secret_access_key=options.pop("secret", SECRET),
        config=Config(**{"retries": {"total_max_attempts": 1}, "read_timeout": 20} | options),
    )


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
    """Ask again and again; fail by name when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)


class Bench:
    """A twin in memory, called without a wire; time stands still unless the test moves it."""

    def __init__(self, store: Store | None = None, **options: Any) -> None:
        self.now_ms = BEGIN_MS
        self.twin = Twin(store or Store(None), Options(**({"transition_ms": 0, "limit_scale": None} | options)))

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """Decode as from CBOR, serve, make durable; the answer with plain times (Unix ms)."""
        kind, handler, _ = OPERATIONS[operation]
        request = msgspec.convert(members, type=kind)
        answer = handler(self.twin, request, self.now_ms)
        self.twin.commit()
        plain: dict[str, Any] = _plain(answer)
        return plain

    def stream(self, name: str = "talk", shards: int = 1) -> str:
        self.call("CreateStream", StreamName=name, ShardCount=shards)
        return name

    def put(self, data: bytes, *, stream: str = "talk", key: str = "k", at: int | None = None) -> str:
        extra = {} if at is None else {"ExplicitHashKey": str(at)}
        answer = self.call("PutRecord", StreamName=stream, PartitionKey=key, Data=data, **extra)
        return str(answer["SequenceNumber"])

    def iterator(self, shard: int = 0, kind: str = "TRIM_HORIZON", *, stream: str = "talk", **more: Any) -> str:
        answer = self.call(
            "GetShardIterator", StreamName=stream, ShardId=f"shardId-{shard:012d}", ShardIteratorType=kind, **more
        )
        return str(answer["ShardIterator"])

    def read(self, shard: int = 0, kind: str = "TRIM_HORIZON", *, stream: str = "talk", **more: Any) -> list[bytes]:
        answer = self.call("GetRecords", ShardIterator=self.iterator(shard, kind, stream=stream, **more))
        return [record["Data"] for record in answer["Records"]]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value.ms if isinstance(value, wire.Timestamp) else value
