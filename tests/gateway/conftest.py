"""The gateway's tests speak to a real DynamoDB; each test has tables of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

from gateway.tables import Tables
from local.provision import table_definition
from streams.aws import Clients
from streams.resources import CONNECTIONS, LIMITS, SESSIONS
from tests.support.services import CREDENTIALS, dynamodb

_numbers = count()


@pytest.fixture(scope="session")
def dynamodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dynamodb(tmp_path_factory.mktemp("dynamodb")) as url:
        yield url


@pytest.fixture
async def dynamo(dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url}).items():
        monkeypatch.setenv(name, value)
    async with Clients() as clients:
        yield await clients.get("dynamodb")


@pytest.fixture
async def prefix(dynamo: Any) -> str:
    """An environment with the gateway's tables, that no other test has."""
    name = f"g{next(_numbers)}"
    for table in (SESSIONS, CONNECTIONS, LIMITS):
        await dynamo.create_table(**table_definition(f"{name}-{table.name}", table))
    return name


@pytest.fixture
async def tables(dynamo: Any, prefix: str) -> Tables:
    return Tables(dynamo, prefix)
