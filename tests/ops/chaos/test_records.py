import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import msgspec
import pytest

from ops import stack_file
from ops.chaos import records
from ops.stack_file import Stack
from streams.records import AudioChunk, Record, SessionEvent, encode
from tests.ops.chaos.running import running_stack
from tests.support.services import CREDENTIALS, kinesis_twin


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with kinesis_twin() as url, running_stack(tmp_path, {}, {"kinesis": url}) as paths:
        found = stack_file.read(paths)
        assert found is not None
        found.environment = dict(CREDENTIALS)
        yield found


async def test_each_session_has_its_own_records_in_order_across_a_split(stack: Stack, tmp_path: Path) -> None:
    kinesis = boto3.client(
        "kinesis",
        endpoint_url=stack.parts["kinesis"].url,
        region_name="us-east-1",
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )

    def active() -> bool:
        summary = kinesis.describe_stream_summary(StreamName="herald-audio")["StreamDescriptionSummary"]
        return bool(summary["StreamStatus"] == "ACTIVE")

    def wait_for_the_stream() -> None:
        while not active():
            time.sleep(0.02)

    def put(record: Record) -> None:
        kinesis.put_record(StreamName="herald-audio", Data=encode(record), PartitionKey=record.session_id)

    def chunk(session_id: str, sequence: int) -> AudioChunk:
        return AudioChunk(session_id=session_id, connection="c", admitted_at_ms=1, pcm=b"\0\1" * 800, sequence=sequence)

    for name in records.READ:
        kinesis.create_stream(StreamName=f"herald-{name}", ShardCount=1)
    wait_for_the_stream()
    for sequence in range(3):
        put(chunk("s", sequence))
        put(chunk("another", sequence))
    kinesis.split_shard(StreamName="herald-audio", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    wait_for_the_stream()
    put(chunk("s", 3))
    put(SessionEvent(session_id="t", event="created", timestamp=1))
    kinesis.put_record(StreamName="herald-audio", Data=b"rubbish", PartitionKey="t")

    found = await records.read(stack, ["s", "t"])

    assert [getattr(seen.record, "sequence", None) for seen in found["s"].audio] == [0, 1, 2, 3]
    assert all(seen.size_bytes == 1600 for seen in found["s"].audio)
    assert [seen.record is None for seen in found["t"].audio] == [False, True]
    assert found["s"].exact
    records.keep(found, tmp_path / "evidence")
    kept = msgspec.json.decode((tmp_path / "evidence" / "s.json").read_bytes())
    assert len(kept["audio"]) == 4
