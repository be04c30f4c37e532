"""Reshards and dead letters on the real twins."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import stack_file
from ops.chaos.plan import Fault
from ops.chaos.streams import Letter, Streams
from ops.stack_file import Stack
from streams.aws import Clients
from streams.dead_letters import DeadLetters
from streams.errors import Failure
from streams.kinesis import StoredRecord, list_shards
from streams.resources import DEAD_LETTERS
from streams.stage import Position
from tests.ops.chaos.running import running_stack
from tests.support.services import CREDENTIALS, dynamodb, kinesis_twin


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    (tmp_path / "db").mkdir()
    with kinesis_twin() as kinesis, dynamodb(tmp_path / "db") as tables:
        urls = {"kinesis": kinesis, "dynamodb": tables}
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        for name, url in urls.items():
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name.upper()}", url)
        with running_stack(tmp_path, {}, urls) as paths:
            found = stack_file.read(paths)
            assert found is not None
            found.environment = dict(CREDENTIALS)
            yield found


async def test_shards_are_split_merged_and_updated(stack: Stack) -> None:
    streams = Streams(stack)
    async with Clients() as clients:
        kinesis = await clients.get("kinesis")

        async def open_shards() -> int:
            return sum(shard.is_open for shard in await list_shards(kinesis, "herald-audio"))

        await kinesis.create_stream(StreamName="herald-audio", ShardCount=2)
        counts = []
        for kind, target in (("split", 3), ("merge", 2), ("update", 4), ("merge", 3), ("update", 2)):
            note = await streams.reshard(Fault(0, kind, "audio", 0, {"shards": target}, 0.7))
            assert note == ""
            async with asyncio.timeout(5):  # of an update it takes a moment
                while await open_shards() != target:
                    await asyncio.sleep(0.05)
            counts.append(await open_shards())
        assert counts == [3, 2, 4, 3, 2]


async def test_what_cannot_be_merged_is_noted(stack: Stack) -> None:
    async with Clients() as clients:
        await (await clients.get("kinesis")).create_stream(StreamName="herald-audio", ShardCount=1)
        assert "one shard" in await Streams(stack).reshard(Fault(0, "merge", "audio", 0, {"shards": 0}, 0.7))


async def test_dead_letters_are_read(stack: Stack) -> None:
    async with Clients() as clients:
        client = await clients.get("dynamodb")
        await client.create_table(
            TableName="herald-DeadLetters",
            KeySchema=[
                {"AttributeName": DEAD_LETTERS.hash_key, "KeyType": "HASH"},
                {"AttributeName": str(DEAD_LETTERS.range_key), "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "part")],
            BillingMode="PAY_PER_REQUEST",
        )
        letters = DeadLetters(client, "herald-DeadLetters", "translate", "transcripts")
        record = StoredRecord(Position("shardId-1", 5), "calm-fox-1", b"x" * 400_000, 0)
        letter_id = await letters.bury(record, Failure("BadRecord", "no record of ours", retryable=False))
    expected = Letter("calm-fox-1", "translate", "BadRecord", "no record of ours", letter_id)
    assert await Streams(stack).letters() == [expected]
