"""What every read and write of the two tables has in common, on real tables."""

from typing import Any

import pytest

from gateway.rows import Rows, is_condition
from streams.errors import HeraldError


class Small:
    """The client, with pages of one item."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def scan(self, **arguments: Any) -> Any:
        return await self._client.scan(Limit=1, **arguments)


@pytest.fixture
def rows(dynamo: Any, tables: Any, prefix: str) -> Rows:
    return Rows(dynamo, prefix)


async def _put(dynamo: Any, rows: Rows, *connection_ids: str) -> None:
    for connection_id in connection_ids:
        await dynamo.put_item(TableName=rows._connections, Item={"connectionId": {"S": connection_id}})


async def test_all_pages_are_read(dynamo: Any, rows: Rows) -> None:
    await _put(dynamo, rows, "a", "b", "c")
    found = await rows._items(Small(dynamo).scan, "looking", TableName=rows._connections)
    assert sorted(row["connectionId"]["S"] for row in found) == ["a", "b", "c"]


async def test_a_row_that_is_not_there_is_not_made_and_a_condition_refuses(dynamo: Any, rows: Rows) -> None:
    await _put(dynamo, rows, "a")
    one = {":one": {"N": "1"}}
    assert not await rows._update_connection("nobody", "SET seen = :one", one)
    assert await rows._update_connection("a", "SET seen = :one", one, "attribute_not_exists(seen)")
    assert not await rows._update_connection("a", "SET seen = :one", one, "attribute_not_exists(seen)")
    assert await rows._update_session("no-session-100", "changing", "SET seen = :one", one) is None
    found = await rows._items(dynamo.scan, "looking", TableName=rows._connections)
    assert [row["connectionId"]["S"] for row in found] == ["a"]


async def test_failures_say_what_was_being_done(dynamo: Any) -> None:
    nowhere = Rows(dynamo, "no-such-place")
    with pytest.raises(HeraldError, match="looking"):
        await nowhere._items(dynamo.scan, "looking", TableName=nowhere._connections)
    with pytest.raises(HeraldError, match="changing"):
        await nowhere._update_session("s", "changing", "SET seen = :one", {":one": {"N": "1"}})
    assert not is_condition(ValueError())
