"""Which languages have a listener, on a real table."""

import asyncio
from typing import Any

import pytest

from stages.translate.listeners import Listeners
from stages.translate.requests import FindLanguages, Languages
from streams.errors import NotFound
from tests.support.listeners import put_connection


def ignore(value: object) -> None:
    raise AssertionError(value)


async def test_each_language_once_and_no_speaker(dynamo: Any, connections_table: str) -> None:
    await put_connection(dynamo, connections_table, "speaker", "s1")
    for i, language in enumerate(["es", "ca", "es", "fr", "es"]):
        await put_connection(dynamo, connections_table, f"l{i}", "s1", language)
    await put_connection(dynamo, connections_table, "other", "s2", "de")
    listeners = Listeners(dynamo, connections_table, ttl_ms=0)
    assert await listeners.perform("s1", FindLanguages(), ignore) == Languages(["ca", "es", "fr"])
    assert await listeners.perform("s3", FindLanguages(), ignore) == Languages([])
    await listeners.close()


async def test_an_answer_is_kept_for_its_time_only(dynamo: Any, connections_table: str) -> None:
    await put_connection(dynamo, connections_table, "l", "s1", "es")
    cached, fresh = Listeners(dynamo, connections_table, ttl_ms=60_000), Listeners(dynamo, connections_table, ttl_ms=0)
    for listeners in (cached, fresh):
        assert (await listeners.perform("s1", FindLanguages(), ignore)).codes == ["es"]
    await dynamo.delete_item(TableName=connections_table, Key={"connectionId": {"S": "l"}})
    assert (await cached.perform("s1", FindLanguages(), ignore)).codes == ["es"]
    assert (await fresh.perform("s1", FindLanguages(), ignore)).codes == []
    await asyncio.gather(cached.close(), fresh.close())


async def test_a_failure_is_not_kept(dynamo: Any) -> None:
    listeners = Listeners(dynamo, "no-such-table", ttl_ms=60_000)
    for _ in range(2):
        with pytest.raises(NotFound):
            await listeners.perform("s1", FindLanguages(), ignore)
    await listeners.close()
