from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.connecting import connect, disconnect
from gateway.control import route
from gateway.errors import WireError
from gateway.events import connection_hash
from gateway.returning import end_abandoned
from gateway.tables import Session, Tables
from ingest.doors import _door
from tests.support.control_room import ControlRoom, control_room, incoming


@pytest.fixture
def room(tables: Tables, tmp_path: Path) -> ControlRoom:
    room = control_room(tables, tmp_path)
    room.grace_s = 60
    return room


@pytest.fixture
async def session_id(room: ControlRoom) -> str:
    query = {"action": "createSession", "token": room.token(), "sourceLanguage": "en"}
    await connect(room.equipment(), incoming("$connect", **query))
    return room.published[-1].session_id


async def _back(room: ControlRoom, connection_id: str, session_id: str, **query: str) -> dict[str, Any]:
    """Come back as the speaker; what the client is greeted with."""
    wanted = {"action": "resumeSession", "sessionId": session_id, "token": room.token()} | query
    await route(room.equipment(), incoming("$connect", connection_id, **wanted))
    greeting: dict[str, Any] = json.loads(room.welcomed[-1].message)
    return greeting


async def _refused(doing: Any) -> str:
    with pytest.raises(WireError) as refused:
        await doing
    return refused.value.code


async def _session(room: ControlRoom, session_id: str) -> Session:
    session = await room.tables.session(session_id)
    assert session is not None
    return session


async def _door_of(room: ControlRoom, connection_id: str) -> Any:
    table = room.tables._connections
    answer = await room.tables._client.get_item(TableName=table, Key={"connectionId": {"S": connection_id}})
    return _door(answer.get("Item"))


def _notices(room: ControlRoom) -> list[str]:
    return [json.loads(notice.message)["type"] for notice in room.notified]


async def test_a_speaker_comes_back_to_its_session(room: ControlRoom, session_id: str) -> None:
    """Row W13: the state that it had, paused; listeners are told of both; nothing ends."""
    await route(room.equipment(), incoming("pauseBroadcast"))
    await disconnect(room.equipment(), incoming("$disconnect"))
    assert (await _session(room, session_id)).speaker_gone_at == room.now_ms
    room.now_ms += 59_000
    greeting = await _back(room, "c2", session_id)
    assert (greeting["type"], greeting["sessionId"]) == ("sessionResumed", session_id)
    assert greeting["broadcastState"]["isPaused"] is True
    assert greeting["targetLanguages"] == ["ca", "en", "es"]
    assert greeting["limits"]["maxAudioChunksPerSecond"] == 50
    session = await _session(room, session_id)
    assert (session.speaker_connection_id, session.speaker_gone_at) == ("c2", None)
    door = await _door_of(room, "c2")
    assert (door.is_active, door.is_paused, door.is_muted) == (True, True, False)
    assert _notices(room) == ["broadcastPaused", "speakerDisconnected", "speakerReconnected"]
    assert "ended" not in [event.event for event in room.published]
    await route(room.equipment(), incoming("resumeBroadcast", "c2"))
    assert not (await _door_of(room, "c2")).is_paused


async def test_the_old_connection_s_end_is_not_the_session_s(room: ControlRoom, session_id: str) -> None:
    """Row W12: a refresh is a return without a gap; `welcome` closes the connection that it replaces."""
    greeting = await _back(room, "c2", session_id, action="refreshConnection")
    assert (greeting["type"], greeting["qualityTier"]) == ("connectionRefreshed", "standard")
    assert (room.welcomed[-1].replaces, room.welcomed[-1].session_id) == ("c1", session_id)
    assert (await _door_of(room, "c1")).is_active
    await disconnect(room.equipment(), incoming("$disconnect"))
    session = await _session(room, session_id)
    assert (session.speaker_connection_id, session.speaker_gone_at) == ("c2", None)
    assert _notices(room) == []
    assert await room.tables.connection("c1") is None


@pytest.mark.parametrize("grace_s", [0, 60])
async def test_without_a_grace_period_a_refresh_still_ends_nothing(
    room: ControlRoom, session_id: str, grace_s: int
) -> None:
    room.grace_s = grace_s
    await _back(room, "c2", session_id, action="refreshConnection")
    await disconnect(room.equipment(), incoming("$disconnect"))
    assert (await _session(room, session_id)).ended_at is None
    await disconnect(room.equipment(), incoming("$disconnect", "c2"))
    assert ((await _session(room, session_id)).ended_at is not None) is (grace_s == 0)


async def test_whose_numbers_a_new_connection_goes_on_with(room: ControlRoom, session_id: str) -> None:
    """Row A4: one that goes on keeps the count of the first, through any number of connections; one that begins anew
    has its own, and so no chunk of it is taken for a repeat."""
    await _back(room, "c2", session_id, continueSequence="true")
    assert (await _door_of(room, "c2")).audio_count == connection_hash("c1")
    await _back(room, "c3", session_id, continueSequence="true", action="refreshConnection")
    assert (await _door_of(room, "c3")).audio_count == connection_hash("c1")
    await _back(room, "c4", session_id)
    assert (await _door_of(room, "c4")).audio_count == connection_hash("c4")
    await _back(room, "c5", session_id, continueSequence="true")
    assert (await _door_of(room, "c5")).audio_count == connection_hash("c4")


async def test_who_may_not_come_back(room: ControlRoom, session_id: str) -> None:
    """Row X1: the owner only, and only to a session that goes on."""
    other = room.issuer.sign("somebody else", "speaker")
    for action in ("resumeSession", "refreshConnection"):
        assert await _refused(_back(room, "c2", session_id, action=action, token=other)) == "UNAUTHORIZED"
        assert await _refused(_back(room, "c2", session_id, action=action, token="x.y.z")) == "UNAUTHENTICATED"
        assert await _refused(_back(room, "c2", session_id, token=room.token("listener"))) == "UNAUTHORIZED"
        assert await _refused(_back(room, "c2", "nobody-here-100", action=action)) == "SESSION_NOT_FOUND"
    assert await _refused(_back(room, "c2", session_id, token="")) == "UNAUTHENTICATED"
    assert await _refused(_back(room, "c2", session_id, continueSequence="yes")) == "INVALID_MESSAGE"
    nothing = {"action": "refreshConnection", "sessionId": session_id}
    assert await _refused(route(room.equipment(), incoming("$connect", "c2", **nothing))) == "INVALID_MESSAGE"
    assert await room.tables.connection("c2") is None
    await route(room.equipment(), incoming("endSession"))
    assert await _refused(_back(room, "c2", session_id)) == "SESSION_NOT_FOUND"
    assert await room.tables.connection("c2") is None
    assert (await _session(room, session_id)).speaker_connection_id == "c1"


async def test_of_those_who_come_back_at_once_the_last_has_the_session(room: ControlRoom, session_id: str) -> None:
    await asyncio.gather(_back(room, "c2", session_id), _back(room, "c3", session_id))
    owner = (await _session(room, session_id)).speaker_connection_id
    assert (await _door_of(room, owner)).is_active
    assert {task.replaces for task in room.welcomed if task.replaces} == {"c1", "c2", "c3"} - {owner}


async def test_the_end_of_the_grace_period_and_a_return_exclude_each_other(room: ControlRoom, session_id: str) -> None:
    await disconnect(room.equipment(), incoming("$disconnect"))
    waiting = await _session(room, session_id)
    await _back(room, "c2", session_id)
    assert not await end_abandoned(room.equipment(), waiting)
    await disconnect(room.equipment(), incoming("$disconnect", "c2"))
    assert await end_abandoned(room.equipment(), await _session(room, session_id))
    assert [event.reason for event in room.published if event.event == "ended"] == ["speakerDisconnected"]
    assert await _refused(_back(room, "c3", session_id)) == "SESSION_NOT_FOUND"


async def test_a_listener_s_connection_is_refreshed_in_a_full_session(room: ControlRoom, session_id: str) -> None:
    """Row W12: it takes its own place, once; nobody else's."""
    room.max_listeners = 1
    join = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    await connect(room.equipment(), incoming("$connect", "l1", **join))
    assert json.loads(room.welcomed[-1].message)["connectionId"] == "l1"
    await room.tables.reachable("l1", "es")

    async def refresh(connection_id: str, **query: str) -> dict[str, Any]:
        wanted = join | {"action": "refreshConnection"} | query
        await route(room.equipment(), incoming("$connect", connection_id, **wanted))
        greeting: dict[str, Any] = json.loads(room.welcomed[-1].message)
        return greeting

    assert await _refused(refresh("l2")) == "SESSION_FULL"
    assert await _refused(refresh("l2", connectionId="nobody")) == "SESSION_FULL"
    assert await _refused(refresh("l2", connectionId="c1")) == "SESSION_FULL"
    assert await _refused(refresh("l2", connectionId="l1", targetLanguage="tlh")) == "UNSUPPORTED_LANGUAGE"
    greeting = await refresh("l2", connectionId="l1", targetLanguage="CA")
    assert (greeting["type"], greeting["targetLanguage"]) == ("connectionRefreshed", "ca")
    assert greeting["connectionId"] == "l2"
    task = room.welcomed[-1]
    assert (task.connection_id, task.target_language, task.replaces) == ("l2", "ca", "l1")
    assert await _refused(refresh("l3", connectionId="l1")) == "SESSION_FULL"
    await route(room.equipment(), incoming("endSession"))
    assert await _refused(refresh("l3", connectionId="l2")) == "SESSION_NOT_FOUND"
