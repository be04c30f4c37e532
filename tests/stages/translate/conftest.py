"""The adapters' tests speak to real twins, started once."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

from streams.aws import Clients
from tests.local.running import KEY, SECRET, Running, running
from tests.support.listeners import make_connections_table
from tests.support.services import CREDENTIALS, dynamodb

_numbers = count()


@pytest.fixture(scope="session")
def translate_twin() -> Iterator[Running]:
    with running("translate") as twin:
        yield twin


@pytest.fixture(scope="session")
def polly_twin() -> Iterator[Running]:
    with running("polly") as twin:
        yield twin


@pytest.fixture(scope="session")
def dynamodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dynamodb(tmp_path_factory.mktemp("dynamodb")) as url:
        yield url


@pytest.fixture(scope="session")
def kinesis_url() -> Iterator[str]:
    with running("kinesis") as twin:
        yield twin.url


@pytest.fixture
async def clients(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    for name, value in (CREDENTIALS | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}).items():
        monkeypatch.setenv(name, value)
    async with Clients() as opened:
        yield opened


@pytest.fixture
async def translate(clients: Clients, translate_twin: Running, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL_TRANSLATE", translate_twin.url)
    return await clients.get("translate")


@pytest.fixture
async def polly(clients: Clients, polly_twin: Running, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL_POLLY", polly_twin.url)
    return await clients.get("polly")


@pytest.fixture
async def dynamo(clients: Clients, dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url)
    return await clients.get("dynamodb")


@pytest.fixture
async def kinesis(clients: Clients, kinesis_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KINESIS", kinesis_url)
    return await clients.get("kinesis")


@pytest.fixture
async def connections_table(dynamo: Any) -> str:
    return await make_connections_table(dynamo, f"t{next(_numbers)}")
