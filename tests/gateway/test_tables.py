from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.admission import Connection
from gateway.messages import BroadcastState
from gateway.state import Change
from gateway.tables import Session, Tables, connection_of, door_to_item
from streams.errors import HeraldError

SESSION = Session("golden-eagle-427", "c1", "hash", "en-US", "standard", BroadcastState(last_state_change=5), 5)
SPEAKER = Connection("c1", "golden-eagle-427", "speaker", last_seen_at=5)
LISTENER = Connection("c2", "golden-eagle-427", "listener", "es", last_seen_at=5)


async def test_a_session_is_read_as_it_was_written(tables: Tables) -> None:
    assert await tables.session(SESSION.session_id) is None
    assert await tables.add_session(SESSION)
    assert await tables.session(SESSION.session_id) == SESSION


async def test_an_id_is_given_once_however_many_ask_at_once(tables: Tables) -> None:
    given = await asyncio.gather(*(tables.add_session(SESSION) for _ in range(8)))
    assert given.count(True) == 1


async def test_the_first_end_counts(tables: Tables) -> None:
    assert await tables.end_session("nobody-here-100", 7) is None
    await tables.add_session(SESSION)
    first = await tables.end_session(SESSION.session_id, 7)
    again = await tables.end_session(SESSION.session_id, 9)
    assert first is not None
    assert first == again
    assert (first.ended_at, first.broadcast_state.is_active, first.end_published) == (7, False, False)
    await tables.mark_end_published(SESSION.session_id)
    ended = await tables.session(SESSION.session_id)
    assert ended is not None
    assert ended.end_published


async def test_connections_come_and_go(tables: Tables) -> None:
    await tables.add_speaker(SPEAKER, 5, acknowledge=True)
    assert await tables.connection("c1") == SPEAKER
    assert await tables.remove_connection("c1") == SPEAKER
    assert await tables.remove_connection("c1") is None
    assert await tables.connection("c1") is None


async def test_a_listener_is_in_the_index_once_it_can_be_reached(tables: Tables) -> None:
    await tables.add_speaker(SPEAKER, 5, acknowledge=True)
    await tables.add_listener(LISTENER, 5)
    assert await tables.count_listeners(LISTENER.session_id) == 0
    assert await tables.reachable("c2", "es")
    assert await tables.count_listeners(LISTENER.session_id) == 1
    assert await tables.connection("c2") == LISTENER


async def test_the_silent_are_found(tables: Tables) -> None:
    await tables.add_speaker(SPEAKER, 5, acknowledge=True)
    await tables.add_listener(LISTENER, 5)
    await tables.add_listener(LISTENER, 9)
    assert await tables.silent_connections(5) == []
    assert await tables.silent_connections(9) == [SPEAKER]


async def test_sessions_are_unended_until_their_end_is_published(tables: Tables) -> None:
    await tables.add_session(SESSION)
    assert await tables.speakers_of_unended_sessions(SESSION.created_at) == []
    speaker = Connection("c1", SESSION.session_id, "speaker")
    await tables.end_session(SESSION.session_id, 7)
    assert await tables.speakers_of_unended_sessions(SESSION.created_at + 1) == [speaker]
    await tables.mark_end_published(SESSION.session_id)
    assert await tables.speakers_of_unended_sessions(SESSION.created_at + 1) == []


async def test_one_that_went_meanwhile_does_not_come_back(tables: Tables) -> None:
    assert not await tables.reachable("c2", "es")
    assert not await tables.close_door("c2")
    assert await tables.connection("c2") is None


async def test_the_door(tables: Tables, dynamo: Any, prefix: str) -> None:
    await tables.add_speaker(SPEAKER, 5, acknowledge=False)
    key = {"connectionId": {"S": "c1"}}
    row = (await dynamo.get_item(TableName=f"{prefix}-Connections", Key=key))["Item"]
    assert row["door"]["M"] == {"isActive": {"BOOL": True}, "isPaused": {"BOOL": False}, "isMuted": {"BOOL": False}}
    assert row["acknowledge"] == {"BOOL": False}
    assert await tables.close_door("c1")
    row = (await dynamo.get_item(TableName=f"{prefix}-Connections", Key=key))["Item"]
    assert row["door"]["M"]["isActive"] == {"BOOL": False}
    assert row["lastSeenAt"] == {"N": "5"}
    assert connection_of(row) == msgspec.structs.replace(SPEAKER, last_seen_at=5)


async def test_listeners_are_counted_over_all_pages(tables: Tables, dynamo: Any, prefix: str) -> None:
    for n in range(9):
        await tables.add_listener(Connection(f"l{n}", "s", "listener"), 5)
        await tables.reachable(f"l{n}", "es" if n % 2 else "fr")
    assert await Tables(_Paged(dynamo), prefix).count_listeners("s") == 9


class _Paged:
    """Has queries answered two rows at a time."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def query(self, **arguments: Any) -> Any:
        return await self._client.query(**arguments, Limit=2)


async def test_errors_are_ours(dynamo: Any) -> None:
    missing = Tables(dynamo, "nowhere")
    for doing in (
        missing.add_session(SESSION),
        missing.session("s"),
        missing.end_session("s", 1),
        missing.mark_end_published("s"),
        missing.add_speaker(SPEAKER, 1, acknowledge=True),
        missing.connection("c"),
        missing.remove_connection("c"),
        missing.count_listeners("s"),
    ):
        with pytest.raises(HeraldError):
            await doing


async def test_a_hundred_changes_at_once_leave_the_state_of_some_order_of_them(tables: Tables) -> None:
    """Row W18: each has a number of its own, none is lost, and what the last one did not name is of those before."""
    await tables.add_session(SESSION)
    changes = [
        (Change(is_paused=bool(n % 2)), Change(is_muted=bool(n % 3)), Change(volume=n / 100))[n % 3] for n in range(100)
    ]
    found = await asyncio.gather(*(tables.change_state(SESSION.session_id, one, n) for n, one in enumerate(changes)))
    by_version = sorted(
        ((after.state_version, n, after.broadcast_state) for n, after in enumerate(found) if after is not None),
        key=lambda each: each[0],
    )
    assert [version for version, _, _ in by_version] == list(range(1, 101))
    state = SESSION.broadcast_state
    for _, n, after in by_version:
        named = {name: value for name, value in msgspec.structs.asdict(changes[n]).items() if value is not None}
        state = msgspec.structs.replace(state, **named, last_state_change=n)
        assert after == state
    session = await tables.session(SESSION.session_id)
    assert session is not None
    assert (session.broadcast_state, session.state_version) == (state, 100)


async def test_what_is_not_there_or_has_ended_is_not_changed(tables: Tables) -> None:
    assert await tables.change_state("nobody-here-100", Change(is_muted=True), 5) is None
    await tables.add_session(SESSION)
    await tables.end_session(SESSION.session_id, 7)
    assert await tables.change_state(SESSION.session_id, Change(is_muted=True), 8) is None
    session = await tables.session(SESSION.session_id)
    assert session is not None
    assert not session.broadcast_state.is_muted


@pytest.mark.parametrize("volume", [0.0, 0.001, 0.3, 1.0])
async def test_volumes_are_read_as_they_were_written(tables: Tables, volume: float) -> None:
    await tables.add_session(SESSION)
    changed = await tables.change_state(SESSION.session_id, Change(volume=volume), 8)
    assert changed is not None
    assert changed.broadcast_state == msgspec.structs.replace(
        SESSION.broadcast_state, volume=volume, last_state_change=8
    )


async def test_a_door_goes_by_the_newest_state_whatever_comes_last(tables: Tables) -> None:
    await tables.add_speaker(SPEAKER, 5, acknowledge=True)
    assert await tables.set_door("c1", BroadcastState(is_muted=True), 3)
    assert not await tables.set_door("c1", BroadcastState(), 2)
    assert not await tables.set_door("c1", BroadcastState(), 3)
    row = (await tables._client.get_item(TableName=tables._connections, Key={"connectionId": {"S": "c1"}}))["Item"]
    assert row["door"] == door_to_item(BroadcastState(is_muted=True), 3)
    assert not await tables.set_door("nobody", BroadcastState(), 4)


async def test_a_listener_who_has_chosen_another_language_keeps_it(tables: Tables) -> None:
    """Row W9, however late its welcome is."""
    assert not await tables.set_language("c2", "ca")
    await tables.add_listener(LISTENER, 5)
    assert await tables.set_language("c2", "ca")
    assert await tables.reachable("c2", "es")
    listener = await tables.connection("c2")
    assert listener is not None
    assert listener.target_language == "ca"
