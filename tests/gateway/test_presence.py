from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.admission import Connection
from gateway.messages import BroadcastState
from gateway.presence import Aged, Presence
from gateway.tables import Report, Session, Tables
from streams.errors import HeraldError

SESSION = Session("golden-eagle-427", "c1", "hash", "en-US", "standard", BroadcastState(last_state_change=5), 5)


@pytest.fixture
async def presence(dynamo: Any, prefix: str, tables: Tables) -> Presence:
    await tables.add_session(SESSION)
    return Presence(dynamo, prefix)


async def _session(tables: Tables) -> Session:
    session = await tables.session(SESSION.session_id)
    assert session is not None
    return session


async def test_a_session_waits_since_its_speaker_left_first(presence: Presence, tables: Tables) -> None:
    """Row W13."""
    first = await presence.speaker_left(SESSION.session_id, "c1", 7)
    again = await presence.speaker_left(SESSION.session_id, "c1", 9)
    assert first == again == msgspec.structs.replace(SESSION, speaker_gone_at=7)
    assert await presence.speaker_left("nobody-here-100", "c1", 9) is None
    assert await presence.speaker_left(SESSION.session_id, "another", 9) is None
    await tables.end_session(SESSION.session_id, 11)
    assert await presence.speaker_left(SESSION.session_id, "c1", 12) is None


async def test_who_came_after_a_session_was_full(presence: Presence, tables: Tables) -> None:
    """Row W22. Who has not been welcomed yet does not count, nor who has its successor."""
    for n, connection_id in enumerate(["d", "c", "b", "a"]):
        await tables.add_listener(Connection(connection_id, SESSION.session_id, "listener"), 5 + n // 2)
    for connection_id in "abc":
        assert await tables.reachable(connection_id, "es")
    assert await presence.beyond(SESSION.session_id, 3) == []
    assert await presence.beyond(SESSION.session_id, 2) == ["b"]
    assert await presence.beyond(SESSION.session_id, 1) == ["a", "b"]
    assert await presence.mark_refreshed("c", SESSION.session_id)
    assert await presence.beyond(SESSION.session_id, 1) == ["b"]


async def test_of_many_who_come_back_at_once_one_has_the_session(presence: Presence, tables: Tables) -> None:
    """Row W13."""
    waiting = await presence.speaker_left(SESSION.session_id, "c1", 7)
    assert waiting is not None
    taken = await asyncio.gather(*(presence.take_over(waiting, f"n{n}", "count") for n in range(8)))
    [winner] = [session for session in taken if session is not None]
    assert (winner.speaker_gone_at, winner.audio_count, winner.last_report) == (None, "count", None)
    assert await _session(tables) == winner
    assert await presence.take_over(waiting, "late", "count") is None


async def test_whether_a_session_has_its_speaker_back_or_ends_is_decided_once(
    presence: Presence, tables: Tables
) -> None:
    """Row W13."""
    waiting = await presence.speaker_left(SESSION.session_id, "c1", 7)
    assert waiting is not None
    back, ended = await asyncio.gather(presence.take_over(waiting, "c2", ""), presence.end_abandoned(waiting, 70))
    assert (back is not None) is not ended
    assert (await _session(tables)).ended_at == (70 if ended else None)
    assert not await presence.end_abandoned(waiting, 80)


async def test_a_door_is_opened_once_its_row_is_there(presence: Presence, tables: Tables) -> None:
    assert not await presence.open_door("c2")
    await tables.add_speaker(Connection("c2", "s", "speaker"), 5, acknowledge=True, is_open=False)
    assert await presence.open_door("c2")


async def test_a_listener_s_connection_has_one_successor(presence: Presence, tables: Tables) -> None:
    """Row W12."""
    await tables.add_listener(Connection("l1", "s", "listener"), 5)
    await tables.add_speaker(Connection("c1", "s", "speaker"), 5, acknowledge=True)
    assert not await presence.mark_refreshed("l1", "another")
    assert not await presence.mark_refreshed("c1", "s")
    assert not await presence.mark_refreshed("nobody", "s")
    assert await presence.mark_refreshed("l1", "s")
    assert not await presence.mark_refreshed("l1", "s")


async def test_old_connections_are_warned_once(presence: Presence, tables: Tables) -> None:
    """Row W17."""
    await tables.add_listener(Connection("old", "s", "listener"), 5)
    await tables.add_listener(Connection("young", "s", "listener"), 6)
    assert await presence.old_connections(6) == [Aged("old", "s", 5)]
    assert sorted(await presence.everybody()) == ["old", "young"]
    assert await presence.mark_warned("old", 100)
    assert not await presence.mark_warned("old", 101)
    assert await presence.old_connections(6) == []


async def test_of_functions_that_report_at_once_one_does(presence: Presence, tables: Tables) -> None:
    """Row W14."""
    session = await _session(tables)
    for at_ms, languages in ((100, {"es": 3, "ca": 1}), (200, {}), (300, {"pt-br": 2})):
        report = Report(at_ms, languages)
        noted = await asyncio.gather(*(presence.note_report(session, report) for _ in range(6)))
        assert noted.count(True) == 1
        session = await _session(tables)
        assert session.last_report == report


async def test_of_functions_that_are_about_to_look_one_does(presence: Presence) -> None:
    """Row W14."""
    claims = await asyncio.gather(*(presence.claim_report(SESSION.session_id, 100, 200) for _ in range(6)))
    assert claims.count(True) == 1
    assert not await presence.claim_report(SESSION.session_id, 199, 300)
    assert await presence.claim_report(SESSION.session_id, 200, 300)


async def test_listeners_are_counted_by_language_over_all_pages(dynamo: Any, prefix: str, tables: Tables) -> None:
    """Row W7."""
    for n in range(9):
        await tables.add_listener(Connection(f"l{n}", "s", "listener"), 5)
        await tables.reachable(f"l{n}", "es" if n % 3 else "fr")
    assert await Presence(_Paged(dynamo), prefix).listeners_by_language("s") == {"es": 6, "fr": 3}


class _Paged:
    """Has queries answered two rows at a time."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def query(self, **arguments: Any) -> Any:
        return await self._client.query(**arguments, Limit=2)


async def test_sessions_are_unended_until_their_end_is_published(presence: Presence, tables: Tables) -> None:
    await tables.end_session(SESSION.session_id, 7)
    assert [session.ended_at for session in await presence.unended()] == [7]
    await tables.mark_end_published(SESSION.session_id)
    assert await presence.unended() == []


async def test_errors_are_ours(dynamo: Any) -> None:
    missing = Presence(dynamo, "nowhere")
    for doing in (
        missing.speaker_left("s", "c", 1),
        missing.take_over(SESSION, "c", ""),
        missing.open_door("c"),
        missing.mark_warned("c", 1),
        missing.listeners_by_language("s"),
        missing.unended(),
    ):
        with pytest.raises(HeraldError):
            await doing
