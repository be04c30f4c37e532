from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from gateway.admission import Connection
from gateway.control import route
from gateway.errors import WireError
from gateway.messages import BroadcastState
from gateway.tables import Tables
from streams.errors import Unavailable
from streams.speaker_state import SpeakerState
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


SHUTTING = [("pauseBroadcast", {}), ("muteBroadcast", {}), ("speakerStateChange", {"state": {"isMuted": True}})]
OPENING = [("resumeBroadcast", {}), ("unmuteBroadcast", {}), ("setVolume", {"volumeLevel": 0.5})]


async def _door(room: ControlRoom, connection_id: str = "c1") -> Any:
    tables = room.tables
    row = await tables._client.get_item(
        TableName=tables._connections, Key={"connectionId": {"S": connection_id}}, ConsistentRead=True
    )
    return TypeDeserializer().deserialize(row["Item"]["door"])


def _said(action: str, **fields: Any) -> dict[str, Any]:
    return {"action": action, **fields}


@pytest.mark.parametrize(
    ("action", "fields", "answer", "paused", "muted", "volume"),
    [
        ("pauseBroadcast", {}, "broadcastPaused", True, False, 1.0),
        ("resumeBroadcast", {}, "broadcastResumed", False, False, 1.0),
        ("muteBroadcast", {}, "broadcastMuted", False, True, 1.0),
        ("unmuteBroadcast", {}, "broadcastUnmuted", False, False, 1.0),
        ("setVolume", {"volumeLevel": 0.5}, "volumeChanged", False, False, 0.5),
        ("speakerStateChange", {"state": {"isPaused": True, "volume": 0.1}}, "speakerStateChanged", True, False, 0.1),
    ],
)
async def test_a_change_of_state_reaches_row_door_stream_and_listeners(
    room: ControlRoom, action: str, fields: dict[str, Any], answer: str, paused: bool, muted: bool, volume: float
) -> None:
    """Rows W3 to W6, W18: all four say the same, by the same number."""
    room.now_ms += 5_000
    told = await _answer(room, action, "c1", _said(action, **fields))
    session_id = told["sessionId"]
    assert (told["type"], told["timestamp"], told["stateVersion"]) == (answer, room.now_ms // 1000, 1)
    session = await room.tables.session(session_id)
    assert session is not None
    assert session.broadcast_state == BroadcastState(True, paused, muted, volume, room.now_ms)
    assert await _door(room) == {"isActive": True, "isPaused": paused, "isMuted": muted, "version": 1}
    (event,) = room.published
    assert (event.session_id, event.version) == (session_id, 1)
    assert (event.is_paused, event.is_muted, event.volume) == (paused, muted, volume)
    (notice,) = room.notified
    assert (notice.session_id, json.loads(notice.message), notice.since_ms) == (session_id, told, room.now_ms)


async def test_the_whole_state_is_told_and_what_is_not_named_stays(room: ControlRoom) -> None:
    await _answer(room, "muteBroadcast")
    told = await _answer(room, "speakerStateChange", "c1", _said("speakerStateChange", state={"volume": 0.25}))
    now = {"isActive": True, "isPaused": False, "isMuted": True, "volume": 0.25, "lastStateChange": room.now_ms}
    assert told["state"] == now
    told = await _answer(room, "speakerStateChange", "c1", _said("speakerStateChange", state={}))
    assert told["state"] == now
    assert [event.version for event in room.published] == [1, 2, 3]


@pytest.mark.parametrize(("action", "fields"), SHUTTING)
async def test_a_door_is_shut_before_the_stream_is_told(room: ControlRoom, action: str, fields: dict[str, Any]) -> None:
    """Row A7: and who asks again after a failure completes it."""
    room.kinesis_is_away = True
    with pytest.raises(Unavailable):
        await _answer(room, action, "c1", _said(action, **fields))
    door = await _door(room)
    assert door["isPaused"] or door["isMuted"]
    assert room.notified == []
    room.kinesis_is_away = False
    told = await _answer(room, action, "c1", _said(action, **fields))
    assert [event.version for event in room.published] == [told["stateVersion"]] == [2]
    assert len(room.notified) == 1


async def test_a_door_is_opened_after_the_stream_was_told(room: ControlRoom) -> None:
    """Row A7: what is in the stream before the event that opens was said while muted."""
    await _answer(room, "muteBroadcast")
    room.kinesis_is_away = True
    with pytest.raises(Unavailable):
        await _answer(room, "unmuteBroadcast")
    assert (await _door(room))["isMuted"]
    room.kinesis_is_away = False
    await _answer(room, "unmuteBroadcast")
    assert await _door(room) == {"isActive": True, "isPaused": False, "isMuted": False, "version": 3}
    assert [event.event for event in room.published] == ["muted", "unmuted"]


async def test_any_other_change_completes_what_failed_half_way(room: ControlRoom) -> None:
    room.kinesis_is_away = True
    with pytest.raises(Unavailable):
        await _answer(room, "pauseBroadcast")
    room.kinesis_is_away = False
    await _answer(room, "setVolume", "c1", _said("setVolume", volumeLevel=0.5))
    (event,) = room.published
    assert (event.event, event.is_paused, event.volume, event.version) == ("volume", True, 0.5, 2)


async def test_unmuting_does_not_open_the_door_of_one_who_is_paused_too(room: ControlRoom) -> None:
    for action in ("pauseBroadcast", "muteBroadcast", "unmuteBroadcast"):
        await _answer(room, action)
    assert (await _door(room))["isPaused"]
    await _answer(room, "resumeBroadcast")
    assert not (await _door(room))["isPaused"]


@pytest.mark.parametrize(("action", "fields"), SHUTTING + OPENING)
async def test_what_has_ended_does_not_change(room: ControlRoom, action: str, fields: dict[str, Any]) -> None:
    await _answer(room, "endSession")
    assert await _refused(room, action, "c1", _said(action, **fields)) == "SESSION_NOT_FOUND"
    assert [event.event for event in room.published] == ["ended"]
    assert room.notified == []


@pytest.mark.parametrize("volume", [-0.001, 1.001, "1", None, True, [], {}])
async def test_a_wrong_volume_is_named_and_nothing_happens(room: ControlRoom, volume: Any) -> None:
    assert await _refused(room, "setVolume", "c1", _said("setVolume", volumeLevel=volume)) == "INVALID_VOLUME"
    wrong = _said("speakerStateChange", state={"isMuted": True, "volume": volume})
    assert await _refused(room, "speakerStateChange", "c1", wrong) == "INVALID_VOLUME"
    assert room.published == room.notified == []


async def test_changes_at_once_end_in_one_state_everywhere(room: ControlRoom) -> None:
    """Row W18: what is newest in the row is newest at the door, and in the stream, whatever came last there."""
    actions = ["pauseBroadcast", "resumeBroadcast", "muteBroadcast", "unmuteBroadcast"] * 5
    room.rates["max_control_messages_per_second"] = 1000
    told = await asyncio.gather(*(_answer(room, action) for action in actions))
    session = await room.tables.session(told[0]["sessionId"])
    assert session is not None
    state = session.broadcast_state
    door = await _door(room)
    assert (door["isPaused"], door["isMuted"], door["version"]) == (state.is_paused, state.is_muted, len(actions))
    assert sorted(event.version for event in room.published) == list(range(1, len(actions) + 1))
    heard = SpeakerState()
    for event in room.published:
        heard = heard.after(event) or heard
    assert (heard.is_paused, heard.is_muted) == (state.is_paused, state.is_muted)


async def test_a_listener_pauses_for_itself(room: ControlRoom) -> None:
    """Row W8: the broadcast goes on."""
    assert await _answer(room, "pausePlayback", "l1") == {"type": "playbackPaused", "timestamp": room.now_ms // 1000}
    assert room.published == room.notified == []
    assert await _refused(room, "pausePlayback", "c1") == "UNAUTHORIZED"


async def test_a_listener_changes_its_language(room: ControlRoom) -> None:
    """Row W9."""
    await room.tables.reachable("l1", "es")
    changed = await _answer(room, "changeLanguage", "l1", _said("changeLanguage", targetLanguage="CA-es"))
    assert changed == {"type": "languageChanged", "targetLanguage": "ca", "timestamp": room.now_ms // 1000}
    listener = await room.tables.connection("l1")
    assert listener is not None
    assert listener.target_language == "ca"
    assert room.reported == [listener.session_id]


async def test_a_language_that_is_not_on_offer_is_refused_with_those_that_are(room: ControlRoom) -> None:
    await room.tables.reachable("l1", "es")
    with pytest.raises(WireError) as refused:
        await _answer(room, "changeLanguage", "l1", _said("changeLanguage", targetLanguage="tlh"))
    assert refused.value.code == "UNSUPPORTED_LANGUAGE"
    assert refused.value.details == {"languages": ["ca", "en", "es"]}
    assert await _refused(room, "changeLanguage", "l1", _said("changeLanguage")) == "INVALID_MESSAGE"
    listener = await room.tables.connection("l1")
    assert listener is not None
    assert listener.target_language == "es"
