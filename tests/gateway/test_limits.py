"""Row W21, on a real table: what passes, what is refused, and by whom it is counted."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway import windows
from gateway.admission import Connection
from gateway.control import route
from gateway.errors import WireError
from gateway.limits import Limiter, network_of
from gateway.settings import Settings
from gateway.tables import Tables
from gateway.welcome import Room, welcome
from streams.errors import HeraldError
from streams.telemetry import Log
from tests.support.control_room import ControlRoom, control_room, incoming
from tests.support.services import running

NOW_MS = 1_700_000_000_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
INSTANCES = 4
FLOOD_S = 1.5


@pytest.fixture
def room(tables: Tables, tmp_path: Path) -> ControlRoom:
    """A room with the rates of the requirements."""
    room = control_room(tables, tmp_path)
    room.rates.clear()
    return room


async def _refused(room: ControlRoom, *arguments: Any, **more: Any) -> WireError:
    with pytest.raises(WireError) as refused:
        await route(room.equipment(), incoming(*arguments, **more))
    return refused.value


async def test_ten_control_messages_a_second(room: ControlRoom) -> None:
    """Heartbeats count as any other, and what is refused does not."""
    await room.tables.add_listener(Connection("l1", "s", "listener"), 1)
    for n in range(10):
        await route(room.equipment(), incoming("heartbeat", "l1", arrived_ms=NOW_MS + n))
    for _ in range(15):
        error = await _refused(room, "heartbeat", "l1", arrived_ms=NOW_MS + 900)
        assert (error.code, error.status) == ("RATE_LIMIT_EXCEEDED", 429)
        assert error.details == {"rate": "control", "limit": 10, "windowMs": 1000, "retryAfterMs": 100}
    await route(room.equipment(), incoming("heartbeat", "l1", arrived_ms=NOW_MS + 1000))
    await _refused(room, "heartbeat", "l1", arrived_ms=NOW_MS + 1000)


async def test_each_connection_has_its_own(room: ControlRoom) -> None:
    for name in ("l1", "l2"):
        await room.tables.add_listener(Connection(name, "s", "listener"), 1)
        for _ in range(10):
            await route(room.equipment(), incoming("heartbeat", name, arrived_ms=NOW_MS))


async def test_a_limit_is_a_setting(room: ControlRoom) -> None:
    room.rates["max_control_messages_per_second"] = 1
    await room.tables.add_listener(Connection("l1", "s", "listener"), 1)
    await route(room.equipment(), incoming("heartbeat", "l1", arrived_ms=NOW_MS))
    assert (await _refused(room, "heartbeat", "l1", arrived_ms=NOW_MS)).details["limit"] == 1


async def test_two_status_queries_a_second(room: ControlRoom) -> None:
    """They count as control messages too."""
    limiter = room.equipment().limits
    await room.tables.add_speaker(Connection("c1", "s", "speaker"), 1, acknowledge=True)
    for n in range(2):
        speaker = await limiter.control("c1", "getSessionStatus", NOW_MS, NOW_MS + n)
        assert speaker == Connection("c1", "s", "speaker", last_seen_at=NOW_MS + n)
    with pytest.raises(WireError) as refused:
        await limiter.control("c1", "getSessionStatus", NOW_MS, NOW_MS)
    assert refused.value.details["rate"] == "status"
    for _ in range(8):
        assert await limiter.control("c1", "heartbeat", NOW_MS, NOW_MS)
    with pytest.raises(WireError) as refused:
        await limiter.control("c1", "getSessionStatus", NOW_MS + 999, NOW_MS)
    assert refused.value.details["rate"] == "control"


async def test_a_connection_that_is_not_there_comes_to_nothing(room: ControlRoom) -> None:
    for _ in range(12):
        assert await room.equipment().limits.control("nobody", "heartbeat", NOW_MS, NOW_MS) is None
    assert await room.tables.connection("nobody") is None


async def test_ten_joins_a_minute_from_an_address(room: ControlRoom) -> None:
    """Also those that come to nothing: nobody tries out session ids in a hurry."""
    query = {"action": "joinSession", "sessionId": "no-such-100", "targetLanguage": "es"}
    for n in range(10):
        error = await _refused(room, "$connect", f"l{n}", arrived_ms=NOW_MS + n, **query)
        assert error.code == "SESSION_NOT_FOUND"
    error = await _refused(room, "$connect", "l10", arrived_ms=NOW_MS + MINUTE_MS - 1, **query)
    assert (error.code, error.details["rate"], error.details["retryAfterMs"]) == ("RATE_LIMIT_EXCEEDED", "join", 1)
    other = await _refused(room, "$connect", "l10", arrived_ms=NOW_MS, address="192.0.2.2", **query)
    assert other.code == "SESSION_NOT_FOUND"
    again = await _refused(room, "$connect", "l10", arrived_ms=NOW_MS + MINUTE_MS, **query)
    assert again.code == "SESSION_NOT_FOUND"


async def test_twenty_connects_a_minute_from_an_address(room: ControlRoom) -> None:
    for _ in range(20):
        assert (await _refused(room, "$connect", "c1", arrived_ms=NOW_MS)).code == "INVALID_MESSAGE"
    error = await _refused(room, "$connect", "c1", arrived_ms=NOW_MS)
    assert (error.code, error.details["rate"]) == ("RATE_LIMIT_EXCEEDED", "connect")


async def test_a_flood_from_an_address_does_not_keep_the_table_busy(
    room: ControlRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = room.equipment().limits
    asked = 0
    write = windows.write

    def counted(*arguments: Any) -> windows.Write:
        nonlocal asked
        asked += 1
        return write(*arguments)

    monkeypatch.setattr(windows, "write", counted)
    for n in range(20):
        await limiter.connect("192.0.2.1", NOW_MS + n, joins=False)
    for n in range(500):
        with pytest.raises(WireError) as refused:
            await limiter.connect("192.0.2.1", NOW_MS + 1_000 + n, joins=True)
        assert refused.value.details["rate"] == "connect"
        assert refused.value.details["retryAfterMs"] == MINUTE_MS - 1_000 - n
    assert asked == 21
    await limiter.connect("192.0.2.2", NOW_MS + 1_500, joins=True)
    await limiter.connect("192.0.2.1", NOW_MS + MINUTE_MS, joins=True)
    with pytest.raises(WireError):
        await limiter.connect("192.0.2.1", NOW_MS + MINUTE_MS, joins=True)


async def test_who_may_not_join_may_come_as_a_speaker(room: ControlRoom) -> None:
    limiter = room.equipment().limits
    for _ in range(10):
        await limiter.connect("192.0.2.1", NOW_MS, joins=True)
    for _ in range(2):
        with pytest.raises(WireError):
            await limiter.connect("192.0.2.1", NOW_MS, joins=True)
    await limiter.connect("192.0.2.1", NOW_MS, joins=False)


async def test_so_many_sessions_an_hour_of_a_user(room: ControlRoom) -> None:
    room.rates["max_sessions_per_hour"] = 3
    limiter = room.equipment().limits
    for n in range(3):
        await limiter.session("somebody", NOW_MS + n)
    with pytest.raises(WireError) as refused:
        await limiter.session("somebody", NOW_MS + HOUR_MS - 1)
    assert refused.value.details == {"rate": "session", "limit": 3, "windowMs": HOUR_MS, "retryAfterMs": 1}
    await limiter.session("another", NOW_MS)
    await limiter.session("somebody", NOW_MS + HOUR_MS)


async def test_a_refused_speaker_leaves_nothing(room: ControlRoom) -> None:
    room.rates["max_sessions_per_hour"] = 1
    query = {"action": "createSession", "token": room.token(), "sourceLanguage": "en"}
    assert (await route(room.equipment(), incoming("$connect", **query)))["statusCode"] == 200
    error = await _refused(room, "$connect", "c2", **query)
    assert (error.code, error.details["rate"]) == ("RATE_LIMIT_EXCEEDED", "session")
    assert len(room.published) == 1
    assert await room.tables.connection("c2") is None


async def test_rates_of_more_than_there_are_places(room: ControlRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    """Places that many share: a gateway behind which all clients have one address."""
    monkeypatch.setattr(windows, "MAX_PLACES", 4)
    room.rates["max_connects_per_minute"] = 12
    limiter = room.equipment().limits
    await asyncio.gather(*(limiter.connect("192.0.2.1", NOW_MS, joins=False) for _ in range(12)))
    with pytest.raises(WireError):
        await limiter.connect("192.0.2.1", NOW_MS + MINUTE_MS - 1, joins=False)
    await limiter.connect("192.0.2.1", NOW_MS + MINUTE_MS, joins=False)


async def test_a_crowd_that_comes_at_once_fills_a_session_and_no_more(room: ControlRoom) -> None:
    """Row W22: none of them finds the others in the index; each looks again when it is there itself."""
    room.max_listeners = 5
    posted: dict[str, list[str]] = defaultdict(list)
    closed: list[str] = []

    class Posts:
        async def send(self, connection_id: str, message: str) -> None:
            posted[connection_id].append(json.loads(message).get("code", "welcome"))

        async def disconnect(self, connection_id: str) -> None:
            closed.append(connection_id)

    async def report(session_id: str) -> None:
        pass

    equipment = room.equipment()
    query = {"action": "createSession", "token": room.token(), "sourceLanguage": "en"}
    await route(equipment, incoming("$connect", **query))
    session_id = room.published[0].session_id
    query = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    for n in range(12):
        address = f"192.0.2.{n}"
        assert (await route(equipment, incoming("$connect", f"l{n:02}", address=address, **query)))["statusCode"] == 200
    hall: Any = Room(Posts(), room.tables, equipment.presence, report, lambda: NOW_MS, Log("test"), max_listeners=5)
    await asyncio.gather(*(welcome(task, hall) for task in reversed(room.welcomed[1:])))
    assert await room.tables.count_listeners(session_id) == 5
    assert sorted(closed) == [f"l{n:02}" for n in range(5, 12)]
    assert all(posted[f"l{n:02}"] == ["welcome", "SESSION_FULL"][: 1 + (n >= 5)] for n in range(12))
    assert (await _refused(room, "$connect", "late", address="192.0.2.99", **query)).code == "SESSION_FULL"


async def test_neither_addresses_nor_users_are_stored(room: ControlRoom, dynamo: Any, prefix: str) -> None:
    """Row X2; and rows expire."""
    limiter = room.equipment().limits
    await limiter.connect("192.0.2.77", NOW_MS, joins=True)
    await limiter.session("owner-hash", NOW_MS)
    rows = (await dynamo.scan(TableName=f"{prefix}-Limits"))["Items"]
    assert "192.0.2.77" not in json.dumps(rows)
    assert "owner-hash" not in json.dumps(rows)
    assert sorted(int(row["expiresAt"]["N"]) - NOW_MS // 1000 for row in rows) == [120, 7200]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_whom_an_address_stands_for(address: str, network: str) -> None:
    assert network_of(address) == network


async def test_errors_are_ours(dynamo: Any) -> None:
    missing = Limiter(dynamo, Settings("i", "a", "https://i/", herald_prefix="nowhere"))
    for doing in (
        missing.control("c", "heartbeat", NOW_MS, NOW_MS),
        missing.connect("192.0.2.1", NOW_MS, joins=True),
        missing.session("o", NOW_MS),
    ):
        with pytest.raises(HeraldError):
            await doing


async def test_four_processes_let_no_more_pass_than_one(tables: Tables, dynamodb_url: str, prefix: str) -> None:
    """Each floods the same connection as fast as it can: the rate passes, in every window."""
    await tables.add_listener(Connection("l1", "s", "listener"), 1)
    environ = {
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
        "HERALD_PREFIX": prefix,
        "TOKEN_ISSUER": "https://issuer.test/",
        "TOKEN_AUDIENCE": "herald",
        "TOKEN_JWKS_URL": "https://issuer.test/keys",
    }
    argv = [sys.executable, "-m", "tests.support.flood", "l1", str(FLOOD_S)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with ExitStack() as stack:
        floods = [stack.enter_context(running(argv, environ, **pipes)) for _ in range(INSTANCES)]
        for flood in floods:
            assert flood.stdout is not None
            assert flood.stdout.readline() == "ready\n"
        outputs = []
        for flood in floods:
            assert flood.stdin is not None
            flood.stdin.write("go\n")
            flood.stdin.close()
        for flood in floods:
            assert flood.stdout is not None
            outputs += flood.stdout.read().splitlines()
            assert flood.wait(10) == 0
    passed = sorted((int(came), int(answered)) for came, answered in map(str.split, outputs))
    overtaken_ms = max(answered - came for came, answered in passed)  # by how much they can be out of order
    for (first_ms, _), (eleventh_ms, _) in zip(passed, passed[10:], strict=False):
        assert eleventh_ms - first_ms >= 1000 - overtaken_ms
    assert len(passed) >= 10
