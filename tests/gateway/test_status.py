from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from gateway import status
from gateway.admission import Connection
from gateway.connecting import connect
from gateway.control import route
from gateway.presence import Presence
from gateway.status import LEAST_MS, SETTLE_MS, Reporter, report_change, report_due, report_periodically, status_of
from gateway.tables import Report, Session, Tables
from streams.errors import NotFound
from streams.telemetry import Log
from tests.support.control_room import ControlRoom, control_room, incoming


@pytest.mark.parametrize(
    ("told", "now", "reason"),
    [
        (None, {}, None),
        (None, {"es": 1}, "newLanguage"),
        ({}, {"es": 1}, "newLanguage"),
        ({"es": 10}, {"es": 11}, None),
        ({"es": 10}, {"es": 9}, None),
        ({"es": 10}, {"es": 12}, "listenerCountChange"),
        ({"es": 10}, {"es": 8}, "listenerCountChange"),
        ({"es": 10}, {"es": 9, "ca": 1}, "newLanguage"),
        ({"es": 9, "ca": 1}, {"es": 10}, None),
        ({"es": 1}, {}, "listenerCountChange"),
        ({"es": 500}, {"es": 450}, None),
        ({"es": 500}, {"es": 449}, "listenerCountChange"),
    ],
)
def test_when_a_speaker_is_told(told: dict[str, int] | None, now: dict[str, int], reason: str | None) -> None:
    """Row W14: a count that moved by more than 10 %, a language that appears."""
    assert report_due(None if told is None else Report(5, told), now) == reason


class Desk:
    """A reporter over real tables; told: what it posted. Its time stands still but for its own sleep."""

    def __init__(self, room: ControlRoom) -> None:
        self.room = room
        self.told: list[dict[str, Any]] = []
        self.is_gone = False
        presence = Presence(room.tables._client, room.equipment().settings.herald_prefix)
        self.reporter = Reporter(room.tables, presence, self._post, lambda: self.room.now_ms, self._sleep)

    async def _post(self, connection_id: str, message: str) -> None:
        if self.is_gone:
            raise NotFound("gone")
        self.told.append({"to": connection_id} | json.loads(message))

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.room.now_ms += round(seconds * 1000)


@pytest.fixture
def room(tables: Tables, tmp_path: Path) -> ControlRoom:
    return control_room(tables, tmp_path)


@pytest.fixture
async def session_id(room: ControlRoom) -> str:
    query = {"action": "createSession", "token": room.token(), "sourceLanguage": "en"}
    await connect(room.equipment(), incoming("$connect", **query))
    return room.published[-1].session_id


@pytest.fixture
def desk(room: ControlRoom) -> Desk:
    return Desk(room)


async def _come(room: ControlRoom, session_id: str, connection_id: str, language: str = "es") -> None:
    await room.tables.add_listener(Connection(connection_id, session_id, "listener"), room.now_ms)
    await room.tables.reachable(connection_id, language)


async def _last_report_ms(room: ControlRoom, session_id: str) -> int:
    session = await room.tables.session(session_id)
    assert session is not None
    assert session.last_report is not None
    return session.last_report.at_ms


async def test_a_change_is_told_once_and_when_it_is_one(room: ControlRoom, desk: Desk, session_id: str) -> None:
    """Row W14."""
    assert await report_change(desk.reporter, session_id) is None
    await _come(room, session_id, "l1")
    assert await report_change(desk.reporter, session_id) == "newLanguage"
    assert await report_change(desk.reporter, session_id) is None
    await _come(room, session_id, "l2")
    assert await report_change(desk.reporter, session_id) == "listenerCountChange"
    assert [(told["to"], told["updateReason"], told["languageDistribution"]) for told in desk.told] == [
        ("c1", "newLanguage", {"es": 1}),
        ("c1", "listenerCountChange", {"es": 2}),
    ]


async def test_a_burst_of_joins_is_one_report_with_all_of_them(room: ControlRoom, desk: Desk, session_id: str) -> None:
    """Row W14: of invocations at the same time one looks, and not before LEAST_MS after the last report."""
    for n in range(20):
        await _come(room, session_id, f"l{n}", "es" if n % 2 else "ca")
    reasons = await asyncio.gather(*(report_change(desk.reporter, session_id) for _ in range(20)))
    assert [reason for reason in reasons if reason] == ["newLanguage"]
    assert [told["listenerCount"] for told in desk.told] == [20]
    first_ms = await _last_report_ms(room, session_id)
    for n in range(20, 40):
        await _come(room, session_id, f"l{n}")
    await report_change(desk.reporter, session_id)
    # Not exactly so long after it: one of the twenty may have been so late that it waited for its turn, in vain.
    assert await _last_report_ms(room, session_id) - first_ms >= LEAST_MS + SETTLE_MS
    assert [told["listenerCount"] for told in desk.told] == [20, 40]


async def test_nobody_is_told_of_a_session_without_a_speaker(room: ControlRoom, desk: Desk, session_id: str) -> None:
    await _come(room, session_id, "l1")
    session = await room.tables.session(session_id)
    assert session is not None
    desk.is_gone = True
    assert not await report_periodically(desk.reporter, session)
    desk.is_gone = False
    await desk.reporter.presence.speaker_left(session_id, "c1", room.now_ms)
    await _come(room, session_id, "l2", "ca")
    assert await report_change(desk.reporter, session_id) is None
    await room.tables.end_session(session_id, room.now_ms)
    assert await report_change(desk.reporter, session_id) is None
    assert await report_change(desk.reporter, "nobody-here-100") is None
    assert desk.told == []


async def test_counts_are_right_after_a_thousand_joins_and_leaves_and_a_crash(
    room: ControlRoom, desk: Desk, session_id: str
) -> None:
    """Rows W7 and W14: nothing is counted but what is there."""
    dice = random.Random(7)
    there: dict[str, str] = {}
    slots = asyncio.Semaphore(16)

    async def listen(connection_id: str, language: str, *, goes: bool, crashes: bool) -> None:
        async with slots:
            await room.tables.add_listener(Connection(connection_id, session_id, "listener"), room.now_ms)
            if not crashes:  # `welcome` died before it gave the listener its place
                await room.tables.reachable(connection_id, language)
            if goes:
                await room.tables.remove_connection(connection_id)

    listening = []
    leaves = 0
    for n in range(620):
        language, goes, crashes = dice.choice(("es", "ca", "en")), dice.random() < 0.7, dice.random() < 0.05
        listening.append(listen(f"l{n}", language, goes=goes, crashes=crashes))
        leaves += goes
        if not goes and not crashes:
            there[f"l{n}"] = language
    assert leaves + len(listening) >= 1_000
    await asyncio.gather(*listening)
    counted = {language: list(there.values()).count(language) for language in ("ca", "en", "es")}

    answer = json.loads((await route(room.equipment(), incoming("getSessionStatus")))["body"])
    assert (answer["type"], answer["updateReason"]) == ("sessionStatus", "requested")
    assert (answer["listenerCount"], answer["languageDistribution"]) == (len(there), counted)
    session = await room.tables.session(session_id)
    assert session is not None
    assert await report_periodically(desk.reporter, session)
    assert desk.told[-1]["languageDistribution"] == counted
    assert desk.told[-1]["updateReason"] == "periodic"


async def test_a_status_says_how_things_are(room: ControlRoom, session_id: str) -> None:
    """Row W7."""
    room.now_ms += 61_999
    session = await room.tables.session(session_id)
    assert isinstance(session, Session)
    message = status_of(session, {"es": 2, "ca": 1}, room.now_ms, "requested")
    assert (message.listener_count, message.session_duration) == (3, 61)
    assert (message.timestamp, message.broadcast_state) == (room.now_ms // 1000, session.broadcast_state)


async def test_as_lambda_calls_it(dynamo: Any, tables: Tables, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_PREFIX", prefix)
    monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "http://127.0.0.1:1")
    try:
        assert await status.handle({"sessionId": "nobody-here-100"}, None) is None
    finally:
        await status.FUNCTION.close()


async def test_a_report_that_cannot_be_asked_for_stops_nothing() -> None:
    class Away:
        async def invoke(self, **_: Any) -> None:
            raise ConnectionRefusedError

    await status.reporting(Away(), "herald", Log("test"))("golden-eagle-427")
