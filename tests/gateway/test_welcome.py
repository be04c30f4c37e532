from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.admission import Connection
from gateway.connecting import Welcome
from gateway.messages import BroadcastState
from gateway.presence import Presence
from gateway.routes import function
from gateway.state import Change
from gateway.tables import Session, Tables
from gateway.welcome import LOOK_FROM_S, OVERLAP_S, WAITS_S, Room, welcome
from streams.errors import NotFound, Unavailable
from streams.telemetry import Log


class Posts:
    """Finds nobody a number of times."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.sent: list[tuple[str, str]] = []
        self.closed: list[str] = []

    async def send(self, connection_id: str, message: str) -> None:
        if self._errors:
            raise self._errors.pop(0)
        self.sent.append((connection_id, message))

    async def disconnect(self, connection_id: str) -> None:
        self.closed.append(connection_id)


class Visit:
    """Welcomes; slept_s: how long between attempts, and before a connection is closed; reported: sessions."""

    def __init__(self, posts: Any, tables: Tables) -> None:
        self.slept_s: list[float] = []
        self.reported: list[str] = []
        prefix = tables._sessions.removesuffix("-Sessions")
        presence = Presence(tables._client, prefix)
        self._room = Room(posts, tables, presence, self._report, lambda: 7, Log("test"), self._sleep)

    async def __call__(self, task: Welcome) -> bool:
        return await welcome(task, self._room)

    async def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)

    async def _report(self, session_id: str) -> None:
        self.reported.append(session_id)


LISTENER = Welcome("l1", "{}", "es", session_id="s")


@pytest.fixture
async def joined(tables: Tables) -> Tables:
    await tables.add_listener(Connection("l1", "s", "listener"), 5)
    return tables


async def test_once_it_has_its_message_a_listener_is_in_the_index_and_the_speaker_told(joined: Tables) -> None:
    posts = Posts(NotFound("gone"), NotFound("gone"))
    visit = Visit(posts, joined)
    assert await visit(LISTENER)
    assert visit.slept_s == list(WAITS_S[:2])
    assert posts.sent == [("l1", "{}")]
    assert await joined.count_listeners("s") == 1
    assert visit.reported == ["s"]


async def test_one_that_comes_back_is_known_as_such(joined: Tables) -> None:
    """So that the broadcast stage shows it what it missed."""
    assert await Visit(Posts(), joined)(msgspec.structs.replace(LISTENER, returning=True))
    await joined.add_listener(Connection("l2", "s", "listener"), 5)
    assert await Visit(Posts(), joined)(msgspec.structs.replace(LISTENER, connection_id="l2"))
    rows = (await joined._client.scan(TableName=joined._connections))["Items"]
    assert {row["connectionId"]["S"]: row.get("returned") for row in rows} == {"l1": {"BOOL": True}, "l2": None}


async def test_one_that_never_came_is_forgotten(joined: Tables) -> None:
    visit = Visit(Posts(*[NotFound("gone")] * 20), joined)
    assert not await visit(LISTENER)
    assert visit.slept_s == list(WAITS_S)
    assert visit.reported == []
    assert await joined.connection("l1") is None


async def test_one_whose_disconnect_has_come_is_not_waited_for(joined: Tables) -> None:
    await joined.remove_connection("l1")
    visit = Visit(Posts(*[NotFound("gone")] * 20), joined)
    assert not await visit(LISTENER)
    assert (visit.slept_s, visit.reported) == ([wait_s for wait_s in WAITS_S if wait_s < LOOK_FROM_S], [])


async def test_other_failures_are_for_lambda_to_repeat(joined: Tables) -> None:
    with pytest.raises(Unavailable):
        await Visit(Posts(Unavailable("away")), joined)(LISTENER)
    assert await joined.connection("l1") is not None


async def test_the_connection_whose_place_was_taken_is_closed_a_moment_later(joined: Tables) -> None:
    """Row W12."""
    await joined.add_listener(Connection("old", "s", "listener"), 5)
    await joined.reachable("old", "es")
    posts = Posts()
    visit = Visit(posts, joined)
    assert await visit(Welcome("l1", "{}", "es", session_id="s", replaces="old"))
    assert (visit.slept_s, posts.closed, visit.reported) == ([OVERLAP_S], ["old"], ["s", "s"])
    assert await joined.connection("old") is None
    assert await joined.count_listeners("s") == 1
    assert sum(WAITS_S) + OVERLAP_S < function("welcome").time_limit_s


async def test_a_speaker_who_came_back_and_went_before_it_was_welcomed_is_away(tables: Tables) -> None:
    """Row W13: its `$disconnect` may come when its row is gone, so this says it."""
    state = BroadcastState(last_state_change=5)
    await tables.add_session(Session("s", "c2", "hash", "en-US", "standard", state, 5))
    for connection_id in ("c1", "c2"):
        await tables.add_speaker(Connection(connection_id, "s", "speaker"), 5, acknowledge=True)
    posts = Posts(*[NotFound("gone")] * 20)
    assert not await Visit(posts, tables)(Welcome("c2", "{}", session_id="s", replaces="c1"))
    session = await tables.session("s")
    assert session is not None
    assert (session.speaker_gone_at, posts.closed) == (7, [])


async def test_a_listener_is_told_what_changed_while_it_came(joined: Tables) -> None:
    """Row W18: between the look at the state and its place in the index a notice passed it by."""
    state = BroadcastState(last_state_change=5)
    await joined.add_session(Session("s", "c1", "hash", "en-US", "standard", state, 5))
    posts = Posts()
    assert await Visit(posts, joined)(LISTENER)
    assert len(posts.sent) == 1
    await joined.change_state("s", Change(is_muted=True, volume=0.5), 7_000)
    assert await Visit(posts, joined)(LISTENER)
    changed = json.loads(posts.sent[-1][1])
    assert (len(posts.sent), changed["type"], changed["stateVersion"]) == (3, "speakerStateChanged", 1)
    assert (changed["state"]["isMuted"], changed["state"]["volume"], changed["timestamp"]) == (True, 0.5, 7)
    assert await Visit(posts, joined)(msgspec.structs.replace(LISTENER, state_version=1))
    assert len(posts.sent) == 4
