"""A message to all listeners at once, over real HTTP and a real table (rows B1, N4)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from gateway.admission import Connection
from gateway.notices import IN_FLIGHT, RETRIES, RETRY_AFTER_S, Notice, Told, tell
from gateway.posts import Posts
from gateway.presence import Presence
from gateway.tables import Tables
from streams.aws import Clients
from tests.support.management_api import ManagementApi, management_api

SESSION = "golden-eagle-427"


class Hall(NamedTuple):
    """A session's listeners, and who posts to them."""

    api: ManagementApi
    posts: Posts
    tables: Tables
    presence: Presence

    async def join(self, *connections: str, session_id: str = SESSION) -> None:
        for connection in connections:
            await self.tables.add_listener(Connection(connection, session_id, "listener"), 5)
            await self.tables.reachable(connection, "es" if connection < "m" else "ca")

    async def tell(self) -> Told:
        notice = Notice(SESSION, '{"type":"x"}', time.time_ns() // 1_000_000)
        return await tell(notice, await self.presence.listeners(SESSION), self.posts, self.tables.remove_connection)


@pytest.fixture
async def hall(tables: Tables, dynamo: Any, prefix: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Hall]:
    async with management_api() as api, Clients() as clients:
        monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", api.url)
        posts = Posts(await clients.get("apigatewaymanagementapi"))
        yield Hall(api, posts, tables, Presence(dynamo, prefix))


async def test_all_of_the_session_are_told_once_and_nobody_else(hall: Hall) -> None:
    await hall.join("a", "b", "z")
    await hall.join("other", session_id="silver-wolf-100")
    await hall.tables.add_speaker(Connection("s", SESSION, "speaker"), 5, acknowledge=True)
    told = await hall.tell()
    assert (len(told.after_ms), told.gone, told.failed) == (3, 0, 0)
    assert dict(hall.api.received) == {name: [{"type": "x"}] for name in ("a", "b", "z")}


async def test_nobody_listens(hall: Hall) -> None:
    assert await hall.tell() == Told([], 0, 0)


async def test_one_that_has_gone_leaves_no_row(hall: Hall) -> None:
    await hall.join("a", "b")
    hall.api.gone.add("a")
    told = await hall.tell()
    assert (len(told.after_ms), told.gone, told.failed) == (1, 1, 0)
    assert await hall.tables.connection("a") is None
    assert await hall.tables.connection("b") is not None


async def test_others_are_tried_twice_more(hall: Hall) -> None:
    await hall.join("a", "b")
    hall.api.broken |= {"a": RETRIES, "b": RETRIES + 1}
    began = time.monotonic()
    told = await hall.tell()
    assert (len(told.after_ms), told.gone, told.failed) == (1, 0, 1)
    assert time.monotonic() - began >= RETRIES * RETRY_AFTER_S
    assert set(hall.api.received) == {"a"}
    assert await hall.tables.connection("b") is not None


async def test_one_that_takes_nothing_delays_no_other(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.notices.POST_WITHIN_S", 0.3)
    await hall.join("a", "b", "c")
    hall.api.stuck.add("b")
    telling = asyncio.create_task(hall.tell())
    async with asyncio.timeout(5):
        while set(hall.api.received) != {"a", "c"}:
            await asyncio.sleep(0.005)
    assert not telling.done()
    assert (await telling).failed == 1


async def test_so_many_posts_are_under_way_at_most(hall: Hall) -> None:
    connections = [f"c{number}" for number in range(2 * IN_FLIGHT)]
    hall.api.delay_s = dict.fromkeys(connections, 0.02)
    notice = Notice(SESSION, '{"type":"x"}', time.time_ns() // 1_000_000)
    told = await tell(notice, connections, hall.posts, hall.tables.remove_connection)
    assert len(told.after_ms) == len(connections)
    assert 10 < hall.api.most_in_flight <= IN_FLIGHT
