"""The door's tests speak to a real DynamoDB and to the Kinesis twin; each test has an environment of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

from gateway.tables import Tables
from local.provision import table_definition
from streams.aws import Clients
from streams.resources import CONNECTIONS
from tests.support.services import CREDENTIALS, dynamodb, kinesis_twin

_numbers = count()


@pytest.fixture(scope="session")
def kinesis_url() -> Iterator[str]:
    with kinesis_twin("--limits", "off") as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dynamodb(tmp_path_factory.mktemp("dynamodb")) as url:
        yield url


@pytest.fixture
async def clients(kinesis_url: str, dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    urls = {"AWS_ENDPOINT_URL_KINESIS": kinesis_url, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url}
    for name, value in (CREDENTIALS | urls).items():
        monkeypatch.setenv(name, value)
    async with Clients() as opened:
        yield opened


@pytest.fixture
async def dynamo(clients: Clients) -> Any:
    return await clients.get("dynamodb")


@pytest.fixture
async def prefix(dynamo: Any) -> str:
    """An environment with the table of connections, that no other test has."""
    name = f"i{next(_numbers)}"
    await dynamo.create_table(**table_definition(f"{name}-{CONNECTIONS.name}", CONNECTIONS))
    return name


@pytest.fixture
async def tables(dynamo: Any, prefix: str) -> Tables:
    return Tables(dynamo, prefix)
