from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.connecting import ID_ATTEMPTS, connect, disconnect, end
from gateway.control import route
from gateway.errors import WireError
from gateway.session_ids import ADJECTIVES, NOUNS
from gateway.tables import DOOR_KEPT_MS, Tables
from streams.errors import Unavailable
from tests.support.control_room import ControlRoom, control_room, incoming

FIRST_ID = f"{ADJECTIVES[0]}-{NOUNS[0]}-100"


@pytest.fixture
def room(tables: Tables, tmp_path: Path) -> ControlRoom:
    return control_room(tables, tmp_path)


async def _create(room: ControlRoom, connection_id: str = "c1", **query: str) -> None:
    wanted = {"action": "createSession", "token": room.token(), "sourceLanguage": "en"} | query
    await connect(room.equipment(), incoming("$connect", connection_id, **wanted))


async def _join(room: ControlRoom, connection_id: str, session_id: str = FIRST_ID, language: str = "es") -> None:
    query = {"action": "joinSession", "sessionId": session_id, "targetLanguage": language}
    await connect(room.equipment(), incoming("$connect", connection_id, **query))


async def _refused(doing: Any) -> str:
    with pytest.raises(WireError) as refused:
        await doing
    return refused.value.code


async def test_a_speaker_s_session(room: ControlRoom) -> None:
    await _create(room, qualityTier="premium")
    session = await room.tables.session(FIRST_ID)
    assert session is not None
    assert (session.source_language, session.quality_tier, session.speaker_connection_id) == ("en-US", "premium", "c1")
    assert [(event.event, event.session_id) for event in room.published] == [("created", FIRST_ID)]
    assert room.published[0].source_language == "en-US"
    message = json.loads(room.welcomed[0].message)
    assert message["type"] == "sessionCreated"
    assert message["targetLanguages"] == ["ca", "en", "es"]
    assert message["timestamp"] == room.now_ms // 1000
    assert message["broadcastState"]["lastStateChange"] == room.now_ms
    assert message["limits"]["maxAudioChunksPerSecond"] == 50
    assert room.welcomed[0].target_language is None


async def test_who_may_not_speak(room: ControlRoom) -> None:
    assert await _refused(_create(room, token="")) == "UNAUTHENTICATED"
    assert await _refused(_create(room, token="x.y.z")) == "UNAUTHENTICATED"
    assert await _refused(_create(room, token=room.token("listener"))) == "UNAUTHORIZED"
    assert await _refused(_create(room, sourceLanguage="tlh")) == "UNSUPPORTED_LANGUAGE"
    assert await _refused(_create(room, qualityTier="best")) == "INVALID_MESSAGE"
    assert await _refused(connect(room.equipment(), incoming("$connect", action="dance"))) == "INVALID_MESSAGE"
    assert await _refused(connect(room.equipment(), incoming("$connect"))) == "INVALID_MESSAGE"
    assert room.published == room.welcomed == []
    assert await room.tables.connection("c1") is None


async def test_a_taken_id_is_drawn_again(room: ControlRoom) -> None:
    await _create(room)
    room.draws = [0, 0, 0, 1, 2, 3]
    await _create(room, "c2")
    assert room.published[1].session_id == f"{ADJECTIVES[1]}-{NOUNS[2]}-103"


async def test_after_ten_taken_ids_it_is_503(room: ControlRoom) -> None:
    await _create(room)
    room.draws = [0, 0, 0] * ID_ATTEMPTS + [1, 1, 1]
    assert await _refused(_create(room, "c2")) == "SERVICE_UNAVAILABLE"
    assert room.draws == [1, 1, 1]


async def test_a_listener_joins(room: ControlRoom) -> None:
    await _create(room)
    await _join(room, "l1", language="ES")
    message = json.loads(room.welcomed[1].message)
    assert (message["type"], message["targetLanguage"], message["sourceLanguage"]) == ("sessionJoined", "es", "en-US")
    assert room.welcomed[1].target_language == "es"
    listener = await room.tables.connection("l1")
    assert listener is not None
    assert (listener.role, listener.target_language) == ("listener", None)


async def test_a_listener_who_was_here_before_says_so(room: ControlRoom) -> None:
    await _create(room)
    query = {"action": "joinSession", "sessionId": FIRST_ID, "targetLanguage": "es"}
    await connect(room.equipment(), incoming("$connect", "l1", **query))
    await connect(room.equipment(), incoming("$connect", "l2", **query, returning="true"))
    assert [task.returning for task in room.welcomed if task.target_language] == [False, True]


async def test_who_may_not_listen(room: ControlRoom) -> None:
    room.max_listeners = 1
    await _create(room)
    assert await _refused(_join(room, "l1", "no-such-100")) == "SESSION_NOT_FOUND"
    assert await _refused(_join(room, "l1", language="tlh")) == "UNSUPPORTED_LANGUAGE"
    query = {"action": "joinSession", "sessionId": FIRST_ID}
    assert await _refused(connect(room.equipment(), incoming("$connect", **query))) == "INVALID_MESSAGE"
    await _join(room, "l1")
    await room.tables.reachable("l1", "es")
    assert await _refused(_join(room, "l2")) == "SESSION_FULL"
    await room.tables.remove_connection("l1")
    await _join(room, "l2")


@pytest.mark.parametrize(
    ("wanted", "given"),
    [("pt-PT", "pt-pt"), ("pt-BR", "pt"), ("PT", "pt"), ("es-MX", "es"), ("es", "es"), ("fr-CA", None), ("tlh", None)],
)
async def test_a_regional_target_is_what_is_offered_of_it(room: ControlRoom, wanted: str, given: str | None) -> None:
    room.languages = ("es", "pt", "pt-pt")
    await _create(room)
    if given is None:
        with pytest.raises(WireError) as refused:
            await _join(room, "l1", language=wanted)
        assert refused.value.code == "UNSUPPORTED_LANGUAGE"
        assert refused.value.details == {"languages": ["es", "pt", "pt-pt"]}
    else:
        await _join(room, "l1", language=wanted)
        assert room.welcomed[1].target_language == given
        assert json.loads(room.welcomed[1].message)["targetLanguage"] == given


@pytest.mark.parametrize("wanted", ["fr-FR", "fr", "tlh"])
async def test_a_source_that_is_not_heard_here_is_refused_naming_those_that_are(room: ControlRoom, wanted: str) -> None:
    room.sources = "en-US,es-ES"
    with pytest.raises(WireError) as refused:
        await _create(room, sourceLanguage=wanted)
    assert refused.value.code == "UNSUPPORTED_LANGUAGE"
    assert refused.value.details == {"languages": ["en-US", "es-ES"]}
    await _create(room, sourceLanguage="es")
    assert room.published[0].source_language == "es-ES"


async def test_an_ended_session_takes_nobody(room: ControlRoom) -> None:
    await _create(room)
    await disconnect(room.equipment(), incoming("$disconnect"))
    assert await _refused(_join(room, "l1")) == "SESSION_NOT_FOUND"


@pytest.mark.parametrize("action", ["joinSession", "refreshConnection"])
async def test_a_listener_that_cannot_be_greeted_has_no_row(room: ControlRoom, action: str) -> None:
    async def fails(_: Any) -> None:
        raise Unavailable("invoking welcome")

    await _create(room)
    query = {"action": action, "sessionId": FIRST_ID, "targetLanguage": "es"}
    equipment = room.equipment()._replace(welcome=fails)
    with pytest.raises(Unavailable):
        await route(equipment, incoming("$connect", "l1", **query))
    assert await room.tables.connection("l1") is None


async def test_a_speaker_who_goes_ends_the_session(room: ControlRoom) -> None:
    await _create(room)
    await disconnect(room.equipment(), incoming("$disconnect"))
    assert [(event.event, event.reason) for event in room.published[1:]] == [("ended", "speakerDisconnected")]
    await disconnect(room.equipment(), incoming("$disconnect"))
    assert len(room.published) == 2


async def test_a_speaker_who_goes_is_waited_for(room: ControlRoom) -> None:
    """Row W13: its row goes, so that its door is shut; listeners are told, once."""
    room.grace_s = 60
    await _create(room)
    for _ in range(2):
        await disconnect(room.equipment(), incoming("$disconnect"))
    assert await room.tables.connection("c1") is None
    session = await room.tables.session(FIRST_ID)
    assert session is not None
    assert (session.ended_at, session.speaker_gone_at) == (None, room.now_ms)
    assert [json.loads(notice.message) for notice in room.notified] == [
        {"type": "speakerDisconnected", "sessionId": FIRST_ID, "timestamp": room.now_ms // 1000}
    ]
    await _join(room, "l1")


async def test_a_listener_who_goes_ends_nothing(room: ControlRoom) -> None:
    await _create(room)
    await _join(room, "l1")
    await disconnect(room.equipment(), incoming("$disconnect", "l1"))
    assert await room.tables.connection("l1") is None
    assert len(room.published) == 1
    await _join(room, "l2")
    await room.tables.reachable("l2", "es")
    await disconnect(room.equipment(), incoming("$disconnect", "l2"))
    assert room.reported == [FIRST_ID]  # the speaker is told of who was in the index


async def test_the_end_comes_after_every_door_is_shut(room: ControlRoom) -> None:
    await _create(room)
    speaker = await room.tables.connection("c1")
    assert speaker is not None
    await end(room.equipment(), speaker, "speaker")
    assert room.slept_s == [DOOR_KEPT_MS / 1000]


async def test_an_end_that_failed_half_way_is_completed_with_the_same_id(room: ControlRoom) -> None:
    await _create(room)
    speaker = await room.tables.connection("c1")
    assert speaker is not None
    room.kinesis_is_away = True
    with pytest.raises(Unavailable):
        await end(room.equipment(), speaker, "speaker")
    room.kinesis_is_away = False
    first_attempt_ms, room.now_ms = room.now_ms, room.now_ms + 5_000
    assert await end(room.equipment(), speaker, "speaker") is not None
    assert room.published[1].event_id == f"{FIRST_ID}:ended:{first_attempt_ms}"
    assert await end(room.equipment(), speaker, "speaker") is None
    assert len(room.published) == 2
