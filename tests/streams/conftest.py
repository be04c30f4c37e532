"""Streams' tests speak to the real Kinesis twin and to a real DynamoDB, started once."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

from streams.aws import Clients
from streams.resources import DEAD_LETTERS, SNAPSHOTS, TableSpec, lease_table
from tests.support.services import CREDENTIALS, dynamodb, kinesis_twin

_numbers = count()


@pytest.fixture(scope="session")
def kinesis_url() -> Iterator[str]:
    with kinesis_twin() as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dynamodb(tmp_path_factory.mktemp("dynamodb")) as url:
        yield url


@pytest.fixture
async def clients(kinesis_url: str, dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", kinesis_url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url)
    async with Clients() as opened:
        yield opened


@pytest.fixture
async def kinesis(clients: Clients) -> Any:
    return await clients.get("kinesis")


@pytest.fixture
async def dynamo(clients: Clients) -> Any:
    return await clients.get("dynamodb")


@pytest.fixture
def prefix() -> str:
    """A name that no other test has."""
    return f"t{next(_numbers)}"


async def make_stream(kinesis: Any, name: str, shards: int = 1) -> str:
    await kinesis.create_stream(StreamName=name, ShardCount=shards)
    await kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 0.05})
    return name


async def make_table(dynamo: Any, prefix: str, spec: TableSpec) -> str:
    keys = [(spec.hash_key, "HASH")] + ([(spec.range_key, "RANGE")] if spec.range_key else [])
    await dynamo.create_table(
        TableName=f"{prefix}-{spec.name}",
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return f"{prefix}-{spec.name}"


@pytest.fixture
async def snapshots_table(dynamo: Any, prefix: str) -> str:
    return await make_table(dynamo, prefix, SNAPSHOTS)


@pytest.fixture
async def dead_letters_table(dynamo: Any, prefix: str) -> str:
    return await make_table(dynamo, prefix, DEAD_LETTERS)


@pytest.fixture
async def leases_table(dynamo: Any, prefix: str) -> str:
    return await make_table(dynamo, prefix, lease_table("copy")._replace(indexes=()))
