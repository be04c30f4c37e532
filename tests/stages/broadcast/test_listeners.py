"""Who listens, on a real table."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

from stages.broadcast.listeners import Listeners
from streams.aws import Clients
from streams.errors import NotFound
from tests.support.listeners import make_connections_table, put_connection
from tests.support.services import CREDENTIALS, dynamodb

_numbers = count()


@pytest.fixture(scope="module")
def dynamodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dynamodb(tmp_path_factory.mktemp("dynamodb")) as url:
        yield url


@pytest.fixture
async def dynamo(dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url)
    async with Clients() as clients:
        yield await clients.get("dynamodb")


@pytest.fixture
async def table(dynamo: Any) -> str:
    name = await make_connections_table(dynamo, f"t{next(_numbers)}")
    await put_connection(dynamo, name, "speaker", "s1")
    for connection, language in [("a", "es"), ("b", "es"), ("c", "ca")]:
        await put_connection(dynamo, name, connection, "s1", language)
    await put_connection(dynamo, name, "d", "s2", "es")
    return name


async def test_by_language_or_all_and_never_the_speaker(dynamo: Any, table: str) -> None:
    listeners = Listeners(dynamo, table, ttl_ms=0)
    assert sorted((await listeners.find("s1", "es")).connections) == ["a", "b"]
    assert sorted((await listeners.find("s1", "")).connections) == ["a", "b", "c"]
    assert (await listeners.find("s1", "fr")).connections == []
    await listeners.close()


async def test_who_has_come_back(dynamo: Any, table: str) -> None:
    await put_connection(dynamo, table, "e", "s1", "es", returned=True)
    listeners = Listeners(dynamo, table, ttl_ms=0)
    assert (await listeners.find("s1", "es")).returned == {"e"}
    assert (await listeners.find("s1", "ca")).returned == set()
    await listeners.close()


async def test_an_answer_is_kept_for_its_time_only(dynamo: Any, table: str) -> None:
    cached, fresh = Listeners(dynamo, table, ttl_ms=60_000), Listeners(dynamo, table, ttl_ms=0)
    assert sorted((await cached.find("s1", "es")).connections) == ["a", "b"]
    await fresh.remove("a")
    assert sorted((await cached.find("s1", "es")).connections) == ["a", "b"]
    assert (await fresh.find("s1", "es")).connections == ["b"]
    await asyncio.gather(cached.close(), fresh.close())


async def test_a_failure_is_not_kept(dynamo: Any) -> None:
    listeners = Listeners(dynamo, "no-such-table", ttl_ms=60_000)
    for _ in range(2):
        with pytest.raises(NotFound):
            await listeners.find("s1", "es")
    with pytest.raises(NotFound):
        await listeners.remove("a")
    await listeners.close()
