from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway import sweep as sweeping
from gateway.connecting import connect, disconnect, end
from gateway.control import route
from gateway.sweep import AT_ONCE, SILENT_MS, Task, sweep
from gateway.tables import Tables
from streams.errors import Unavailable
from tests.support.control_room import ControlRoom, control_room, incoming


@pytest.fixture
def room(tables: Tables, tmp_path: Path) -> ControlRoom:
    return control_room(tables, tmp_path)


class Sweeper:
    """Runs the sweep; closed: the connections that it had closed."""

    def __init__(self, room: ControlRoom) -> None:
        self.room = room
        self.closed: list[str] = []
        self.active_ms: dict[str, int] = {}

    async def __call__(self, task: Task | None = None) -> int:
        return await sweep(self.room.equipment(), self._close, self._last_active_ms, task or Task())

    async def _close(self, connection_id: str) -> None:
        self.closed.append(connection_id)

    async def _last_active_ms(self, connection_id: str) -> int | None:
        return self.active_ms.get(connection_id)


@pytest.fixture
def run(room: ControlRoom) -> Sweeper:
    return Sweeper(room)


async def _create(room: ControlRoom, connection_id: str = "c1") -> str:
    query = {"action": "createSession", "token": room.token(), "sourceLanguage": "en"}
    await connect(room.equipment(), incoming("$connect", connection_id, **query))
    return room.published[-1].session_id


async def _join(room: ControlRoom, connection_id: str, session_id: str) -> None:
    query = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    await connect(room.equipment(), incoming("$connect", connection_id, **query))


async def _is_active(room: ControlRoom, session_id: str) -> bool:
    session = await room.tables.session(session_id)
    assert session is not None
    return session.broadcast_state.is_active


def _ends(room: ControlRoom) -> list[str]:
    return [event.session_id for event in room.published if event.event == "ended"]


async def test_the_silent_go_and_who_gives_a_sign_stays(room: ControlRoom, run: Sweeper) -> None:
    session_id = await _create(room)
    await _join(room, "quiet", session_id)
    await _join(room, "alive", session_id)
    room.now_ms += SILENT_MS
    assert await run() == 0
    await route(room.equipment(), incoming("heartbeat", "c1"))
    await route(room.equipment(), incoming("heartbeat", "alive"))
    room.now_ms += 1
    assert await run() == 1
    assert run.closed == ["quiet"]
    assert await room.tables.connection("quiet") is None
    assert await room.tables.connection("alive") is not None
    assert await _is_active(room, session_id)


async def test_a_listener_that_takes_what_is_sent_is_there(room: ControlRoom, run: Sweeper) -> None:
    session_id = await _create(room)
    await _join(room, "listens", session_id)
    await _join(room, "half-open", session_id)
    room.now_ms += SILENT_MS + 1
    await route(room.equipment(), incoming("heartbeat", "c1"))
    run.active_ms = {"listens": room.now_ms - 10_000, "half-open": room.now_ms - SILENT_MS - 1}
    assert await run() == 1
    assert run.closed == ["half-open"]


async def test_a_silent_speaker_s_session_ends_once(room: ControlRoom, run: Sweeper) -> None:
    session_id = await _create(room)
    room.now_ms += SILENT_MS + 1
    assert await run() == 1
    assert _ends(room) == [session_id]
    assert not await _is_active(room, session_id)
    assert await run() == 0
    await disconnect(room.equipment(), incoming("$disconnect"))  # the closed connection's, when it comes
    assert _ends(room) == [session_id]


async def test_after_a_restart_nobody_of_before_is_there(room: ControlRoom, run: Sweeper) -> None:
    before = await _create(room)
    room.now_ms += 1
    started_ms = room.now_ms
    room.draws = [1, 1, 1]
    after = await _create(room, "c2")
    assert await run(Task(started_ms)) == 1
    assert _ends(room) == [before]
    assert await _is_active(room, after)


async def test_an_end_that_was_killed_while_it_waited_for_the_door_is_completed(
    room: ControlRoom, run: Sweeper
) -> None:
    session_id = await _create(room)
    speaker = await room.tables.connection("c1")
    assert speaker is not None

    class Killed(BaseException):
        pass

    async def killed(_: float) -> None:
        raise Killed

    for doing in (
        end(room.equipment()._replace(sleep=killed), speaker, "speaker"),
        disconnect(room.equipment()._replace(sleep=killed), incoming("$disconnect")),
    ):
        with pytest.raises(Killed):
            await doing
    assert await _is_active(room, session_id)
    room.now_ms += SILENT_MS + 1
    assert await run() == 1
    assert _ends(room) == [session_id]
    assert await room.tables.connection("c1") is None


async def test_a_session_whose_speaker_never_got_a_row_is_ended(room: ControlRoom, run: Sweeper) -> None:
    session_id = await _create(room)
    await room.tables.remove_connection("c1")
    assert await run() == 0
    room.now_ms += SILENT_MS + 1
    assert await run() == 1
    assert _ends(room) == [session_id]


async def test_a_silent_speaker_may_come_back(room: ControlRoom, run: Sweeper) -> None:
    """Row W13: so may those of a gateway that was started again; whoever has no row has the same time."""
    room.grace_s = 60
    session_id = await _create(room)
    room.now_ms += SILENT_MS + 1
    assert await run() == 1
    session = await room.tables.session(session_id)
    assert session is not None
    assert (session.ended_at, session.speaker_gone_at) == (None, room.now_ms)
    gone_ms, room.now_ms = room.now_ms, room.now_ms + 5_000
    assert await run() == 0
    session = await room.tables.session(session_id)
    assert session is not None
    assert session.speaker_gone_at == gone_ms
    assert _ends(room) == []


async def test_what_fails_is_told_harms_nobody_else_and_is_done_again(room: ControlRoom, run: Sweeper) -> None:
    session_id = await _create(room)
    for n in range(AT_ONCE + 1):
        await _join(room, f"l{n}", session_id)
    room.now_ms += SILENT_MS + 1
    room.kinesis_is_away = True
    with pytest.raises(Unavailable):
        await run()
    assert [each.connection_id for each in await room.tables.silent_connections(room.now_ms)] == ["c1"]
    room.kinesis_is_away = False
    assert await run() == 1
    assert _ends(room) == [session_id]


async def test_every_message_is_a_sign_of_life(room: ControlRoom) -> None:
    await _create(room)
    room.now_ms += 1_000
    await route(room.equipment(), incoming("heartbeat", "c1"))
    connection = await room.tables.connection("c1")
    assert connection is not None
    assert connection.last_seen_at == room.now_ms


async def test_as_lambda_calls_it(dynamo: Any, tables: Tables, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HERALD_PREFIX": prefix,
        "TOKEN_ISSUER": "https://issuer.test/",
        "TOKEN_AUDIENCE": "herald",
        "TOKEN_JWKS_URL": "https://issuer.test/keys",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        assert await sweeping.handle({"version": "0", "detail-type": "Scheduled Event", "detail": {}}, None) is None
    finally:
        await sweeping.FUNCTION.close()
