from __future__ import annotations

from typing import Any

import pytest

from gateway.admission import Connection
from gateway.connecting import Welcome
from gateway.tables import Tables
from gateway.welcome import WAITS_S, welcome
from streams.errors import NotFound, Unavailable
from streams.telemetry import Log


class Posts:
    """Finds nobody a number of times."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.sent: list[tuple[str, str]] = []

    async def send(self, connection_id: str, message: str) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.sent.append((connection_id, message))


async def _welcome(posts: Any, tables: Tables) -> tuple[bool, list[float]]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return await welcome(Welcome("l1", "{}", "es"), posts, tables, Log("test"), sleep), slept


@pytest.fixture
async def joined(tables: Tables) -> Tables:
    await tables.add_listener(Connection("l1", "s", "listener"), 5)
    return tables


async def test_once_it_has_its_message_a_listener_is_in_the_index(joined: Tables) -> None:
    posts = Posts(NotFound("gone"), NotFound("gone"))
    assert await _welcome(posts, joined) == (True, list(WAITS_S[:2]))
    assert posts.sent == [("l1", "{}")]
    assert await joined.count_listeners("s") == 1


async def test_one_that_never_came_is_forgotten(joined: Tables) -> None:
    was_there, slept = await _welcome(Posts(*[NotFound("gone")] * 20), joined)
    assert not was_there
    assert slept == list(WAITS_S)
    assert await joined.connection("l1") is None


async def test_other_failures_are_for_lambda_to_repeat(joined: Tables) -> None:
    with pytest.raises(Unavailable):
        await _welcome(Posts(Unavailable("away")), joined)
    assert await joined.connection("l1") is not None
