from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.admission import Connection
from gateway.control import route
from gateway.errors import WireError
from gateway.tables import Tables
from tests.support.control_room import ControlRoom, control_room, incoming


@pytest.fixture
async def room(tables: Tables, tmp_path: Path) -> ControlRoom:
    """A room with a session, its speaker c1 and a listener l1."""
    room = control_room(tables, tmp_path)
    query = {"action": "createSession", "token": room.token(), "sourceLanguage": "en"}
    assert (await route(room.equipment(), incoming("$connect", **query)))["statusCode"] == 200
    session_id = room.published.pop().session_id
    query = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    assert (await route(room.equipment(), incoming("$connect", "l1", **query)))["statusCode"] == 200
    return room


async def _answer(room: ControlRoom, *arguments: Any) -> dict[str, Any]:
    answer = await route(room.equipment(), incoming(*arguments))
    assert answer["statusCode"] == 200
    body: dict[str, Any] = json.loads(answer["body"])
    return body


async def _refused(room: ControlRoom, *arguments: Any) -> str:
    with pytest.raises(WireError) as refused:
        await route(room.equipment(), incoming(*arguments))
    return refused.value.code


async def test_end_session(room: ControlRoom) -> None:
    ended = await _answer(room, "endSession")
    assert (ended["type"], ended["reason"]) == ("sessionEnded", "speaker")
    assert [event.event for event in room.published] == ["ended"]
    assert await _refused(room, "endSession") == "SESSION_NOT_FOUND"
    assert len(room.published) == 1


async def test_heartbeats_of_both(room: ControlRoom) -> None:
    for connection_id in ("c1", "l1"):
        ack = await _answer(room, "heartbeat", connection_id)
        assert ack == {"type": "heartbeatAck", "timestamp": room.now_ms // 1000}


async def test_only_its_speaker_may_act_on_a_session(room: ControlRoom) -> None:
    await room.tables.add_speaker(Connection("c2", "other-session-100", "speaker"), 1, acknowledge=True)
    mine = (await room.tables.connection("c1") or Connection("", "", "speaker")).session_id
    assert await _refused(room, "endSession", "l1") == "UNAUTHORIZED"
    assert await _refused(room, "endSession", "c2", {"action": "endSession", "sessionId": mine}) == "UNAUTHORIZED"
    assert await _refused(room, "endSession", "nobody") == "CONNECTION_NOT_FOUND"
    assert room.published == []


async def test_rubbish(room: ControlRoom) -> None:
    assert await _refused(room, "$default", "c1", "no json") == "INVALID_MESSAGE"
    assert await _refused(room, "endSession", "c1", "[]") == "INVALID_MESSAGE"
    assert await _refused(room, "endSession", "c1", '{"action":"endSession","x":"%s"}' % ("x" * 5000)) == (
        "PAYLOAD_TOO_LARGE"
    )
    assert room.published == []


async def test_going(room: ControlRoom) -> None:
    assert (await route(room.equipment(), incoming("$disconnect")))["statusCode"] == 200
    assert [event.event for event in room.published] == ["ended"]
