from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway import pulse as pulsing
from gateway.admission import Connection
from gateway.connecting import connect, disconnect
from gateway.presence import Presence
from gateway.pulse import BROKEN_OFF_MS, ROUND_S, ROUNDS, Done, Task, pulse
from gateway.routes import function
from gateway.status import Reporter
from gateway.tables import Tables
from streams.errors import NotFound, Unavailable
from tests.support.control_room import ControlRoom, control_room, incoming

GRACE_S = 60


class Pulse:
    """Runs the pulse; told: what it posted, and when."""

    def __init__(self, room: ControlRoom) -> None:
        self.room = room
        self.told: list[tuple[int, str, dict[str, Any]]] = []
        self.gone: set[str] = set()

    async def __call__(self, rounds: int = 1, round_s: float = ROUND_S) -> list[Done]:
        equipment = self.room.equipment()._replace(sleep=self._sleep)
        presence = Presence(self.room.tables._client, equipment.settings.herald_prefix)
        reporter = Reporter(self.room.tables, presence, self._post, equipment.now_ms, self._sleep)
        done: list[Done] = []
        await pulse(equipment, reporter, Task(rounds, round_s), done.append)
        return done

    async def _post(self, connection_id: str, message: str) -> None:
        if connection_id in self.gone:
            raise NotFound("gone")
        self.told.append((self.room.now_ms, connection_id, json.loads(message)))

    async def _sleep(self, seconds: float) -> None:
        self.room.now_ms += round(seconds * 1000)


@pytest.fixture
def room(tables: Tables, tmp_path: Path) -> ControlRoom:
    room = control_room(tables, tmp_path)
    room.grace_s = GRACE_S
    return room


@pytest.fixture
def run(room: ControlRoom) -> Pulse:
    return Pulse(room)


async def _create(room: ControlRoom, connection_id: str = "c1") -> str:
    query = {"action": "createSession", "token": room.token(), "sourceLanguage": "en"}
    await connect(room.equipment(), incoming("$connect", connection_id, **query))
    return room.published[-1].session_id


def _ends(room: ControlRoom) -> list[tuple[str, str]]:
    return [(event.session_id, event.reason) for event in room.published if event.event == "ended"]


async def test_a_session_ends_when_its_speaker_s_time_is_over(room: ControlRoom, run: Pulse) -> None:
    """Row W13: within a round of the end of the grace period; before that it waits."""
    session_id = await _create(room)
    await disconnect(room.equipment(), incoming("$disconnect"))
    gone_ms = room.now_ms
    room.now_ms += GRACE_S * 1000 - 1
    assert await run() == [Done()]
    assert _ends(room) == []
    done = await run(rounds=2)
    assert sum(each.ended for each in done) == 1
    assert _ends(room) == [(session_id, "speakerDisconnected")]
    assert room.now_ms - gone_ms <= (GRACE_S + ROUND_S) * 1000
    assert await run(rounds=2) == [Done(), Done()]
    session = await room.tables.session(session_id)
    assert session is not None
    assert (session.broadcast_state.is_active, session.end_published) == (False, True)


async def test_an_end_that_broke_off_is_completed(room: ControlRoom, run: Pulse) -> None:
    session_id = await _create(room)
    await room.tables.end_session(session_id, room.now_ms)
    room.now_ms += BROKEN_OFF_MS - 1
    assert await run() == [Done()]
    room.now_ms += 1
    assert await run() == [Done(ended=1)]
    assert [ended for ended, _ in _ends(room)] == [session_id]


async def test_what_fails_harms_nobody_else_and_is_done_again(room: ControlRoom, run: Pulse) -> None:
    session_id = await _create(room)
    room.draws = [1, 1, 1]
    await _create(room, "c2")
    await disconnect(room.equipment(), incoming("$disconnect"))
    room.now_ms += GRACE_S * 1000
    room.kinesis_is_away = True
    assert await run() == [Done(reported=1)]
    room.kinesis_is_away = False
    room.now_ms += BROKEN_OFF_MS
    assert await run() == [Done(ended=1, reported=1)]
    assert [ended for ended, _ in _ends(room)] == [session_id]


async def test_every_speaker_is_told_each_30_seconds(room: ControlRoom, run: Pulse) -> None:
    """Row W14: all rounds of a minute, and the next minute's."""
    session_id = await _create(room)
    await room.tables.add_listener(Connection("l1", session_id, "listener"), room.now_ms)
    await room.tables.reachable("l1", "es")
    began_ms = room.now_ms
    for minute in range(2):
        room.now_ms = began_ms + minute * 60_000
        await run(ROUNDS)
    assert [at_ms - began_ms for at_ms, _, _ in run.told] == [0, 30_000, 60_000, 90_000]
    assert {message["updateReason"] for _, _, message in run.told} == {"periodic"}
    assert run.told[0][2]["languageDistribution"] == {"es": 1}


def test_all_rounds_fit_the_function_s_time_and_its_schedule() -> None:
    spec = function("pulse")
    assert spec.every_s == ROUNDS * ROUND_S
    assert spec.time_limit_s >= (ROUNDS - 1) * ROUND_S + 10


async def test_clients_are_warned_once_before_their_connection_ends(room: ControlRoom, run: Pulse) -> None:
    """Row W17: 15 min before the cap of 2 h."""
    await _create(room)
    await room.tables.add_listener(Connection("l1", "s", "listener"), room.now_ms + 60_000)
    await room.tables.add_listener(Connection("left", "s", "listener"), room.now_ms)
    run.gone = {"left"}
    room.now_ms += 6_300_000
    assert (await run())[0].warned == 0
    room.now_ms += 1_000
    assert (await run())[0].warned == 1
    room.now_ms += 60_000
    assert (await run())[0].warned == 1
    assert (await run())[0].warned == 0
    warnings = [(to, message) for _, to, message in run.told if message["type"] == "connectionWarning"]
    assert [(to, message["remainingSeconds"]) for to, message in warnings] == [("c1", 899), ("l1", 899)]


async def test_an_absent_table_ends_no_round(room: ControlRoom, run: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(Presence, "unended", away)
    assert await run(rounds=2) == [Done(), Done()]


async def test_as_lambda_calls_it(dynamo: Any, tables: Tables, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HERALD_PREFIX": prefix,
        "TOKEN_ISSUER": "https://issuer.test/",
        "TOKEN_AUDIENCE": "herald",
        "TOKEN_JWKS_URL": "https://issuer.test/keys",
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        event = {"version": "0", "detail-type": "Scheduled Event", "detail": {}, "rounds": 1}
        assert await pulsing.handle(event, None) is None
    finally:
        await pulsing.FUNCTION.close()
