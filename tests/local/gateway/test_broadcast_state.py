"""Rows W3 to W9 by real clients of the whole front: who is told what, what the door takes, what the stream has."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from ingest.doors import QUIET_KEPT_MS
from ingest.rate import LEASE_MS
from streams import records
from streams.aws import Clients
from streams.kinesis import get_iterator, get_page, list_shards
from streams.records import AudioChunk, Record, SessionEvent
from streams.resources import CONNECTIONS, LISTENERS_INDEX
from tests.support.stack import Client, Stack

CHUNK = base64.b64encode(b"\x01\x02" * 800).decode()
STATE_MESSAGES = [
    ("pauseBroadcast", {}, {"type": "broadcastPaused"}),
    ("resumeBroadcast", {}, {"type": "broadcastResumed"}),
    ("muteBroadcast", {}, {"type": "broadcastMuted"}),
    ("unmuteBroadcast", {}, {"type": "broadcastUnmuted"}),
    ("setVolume", {"volumeLevel": 0.25}, {"type": "volumeChanged", "volumeLevel": 0.25}),
    ("speakerStateChange", {"state": {"isMuted": True}}, {"type": "speakerStateChanged"}),
]


@pytest.fixture
async def clients(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    for name, value in stack.environ.items():
        monkeypatch.setenv(name, value)
    async with Clients() as opened:
        yield opened


async def _written(clients: Clients, session_id: str) -> list[Record]:
    """Everything that the audio stream has of a session."""
    kinesis = await clients.get("kinesis")
    found: list[Record] = []
    for shard in await list_shards(kinesis, "herald-audio"):
        iterator: str | None = await get_iterator(
            kinesis, "herald-audio", shard.shard_id, ShardIteratorType="TRIM_HORIZON"
        )
        while iterator is not None:
            page = await get_page(kinesis, shard.shard_id, iterator)
            found += [records.decode(row.data) for row in page.records if row.key == session_id]
            iterator = page.iterator if page.records else None
    return found


async def _in_the_index(clients: Clients, session_id: str, count: int) -> None:
    dynamodb = await clients.get("dynamodb")
    async with asyncio.timeout(10):
        while True:
            page = await dynamodb.query(
                TableName=f"herald-{CONNECTIONS.name}",
                IndexName=LISTENERS_INDEX,
                KeyConditionExpression="sessionId = :session",
                ExpressionAttributeValues={":session": {"S": session_id}},
            )
            if page["Count"] == count:
                return
            await asyncio.sleep(0.01)


async def _told(client: Client, version: int) -> dict[str, Any]:
    """The next message about the broadcast's state; its number must be this."""
    while "stateVersion" not in (message := await client.next()):
        pass
    assert message["stateVersion"] == version, message
    return message


async def test_speaker_and_listeners_are_told_the_same_once(stack: Stack, clients: Clients) -> None:
    """Rows W3 to W6: in the order of the changes, and so says the stream."""
    async with stack.speaker() as speaker, AsyncExitStack() as opened:
        session_id = speaker.session_id
        listeners = [await opened.enter_async_context(stack.listener(session_id, code)) for code in ("es", "es", "ca")]
        await _in_the_index(clients, session_id, len(listeners))
        for version, (action, fields, expected) in enumerate(STATE_MESSAGES, 1):
            await speaker.send(action, **fields)
            answer = await _told(speaker, version)
            assert answer | expected == answer
            assert (answer["sessionId"], abs(answer["timestamp"] - time.time()) < 60) == (session_id, True)
            assert [await _told(listener, version) for listener in listeners] == [answer] * len(listeners)
        assert answer["state"] == answer["state"] | {
            "isActive": True,
            "isPaused": False,
            "isMuted": True,
            "volume": 0.25,
        }
        async with stack.listener(session_id, "es") as late:
            greeting = late.received[0]
            assert (greeting["stateVersion"], greeting["broadcastState"]) == (version, answer["state"])
    events = [record for record in await _written(clients, session_id) if isinstance(record, SessionEvent)]
    assert [event.event for event in events[1:7]] == ["paused", "resumed", "muted", "unmuted", "volume", "state"]
    assert [event.version for event in events[1:7]] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("shut", "code", "opened"),
    [
        ("pauseBroadcast", "BROADCAST_PAUSED", "resumeBroadcast"),
        ("muteBroadcast", "BROADCAST_MUTED", "unmuteBroadcast"),
    ],
)
async def test_the_door_is_shut_within_its_bound_and_open_at_once(
    stack: Stack, clients: Clients, shut: str, code: str, opened: str
) -> None:
    """Rows A7, W3, W4: a speaker who goes on speaking all the time, with a chunk each 50 ms."""
    sequence = 0
    async with stack.speaker() as speaker:

        async def say() -> str:
            nonlocal sequence
            answer = await speaker.say("sendAudio", audioData=CHUNK, sequence=sequence)
            assert answer.get("details", answer)["sequence"] == sequence
            sequence += 1
            return str(answer.get("code", answer["type"]))

        for _ in range(3):
            assert await say() == "audioReceived"
            await asyncio.sleep(0.05)
        assert (await speaker.say(shut))["type"].startswith("broadcast")
        shut_s = time.monotonic()
        while (answer := await say()) != code:
            assert answer == "audioReceived"
            assert time.monotonic() - shut_s <= LEASE_MS / 1000
            await asyncio.sleep(0.05)
        for _ in range(3):
            await asyncio.sleep(0.05)
            assert await say() == code
        await speaker.say(opened)
        await asyncio.sleep(QUIET_KEPT_MS / 1000)  # what refused it last is no older than that
        assert await say() == "audioReceived"
    found = await _written(clients, speaker.session_id)
    names = [record.event if isinstance(record, SessionEvent) else "chunk" for record in found]
    shutting, opening = (
        next(i for i, name in enumerate(names) if name.startswith(one)) for one in (shut[:4], opened[:5])
    )
    late = [record for record in found[shutting:opening] if isinstance(record, AudioChunk)]
    event = found[shutting]
    assert isinstance(event, SessionEvent)
    assert all(chunk.admitted_at_ms <= event.timestamp + LEASE_MS + 50 for chunk in late)
    assert names[opening + 1] == "chunk"


async def test_a_paused_listener_is_answered_and_the_speaker_goes_on(stack: Stack) -> None:
    """Row W8."""
    async with stack.speaker() as speaker, stack.listener(speaker.session_id, "es") as listener:
        assert (await listener.say("pausePlayback"))["type"] == "playbackPaused"
        assert (await speaker.say("sendAudio", audioData=CHUNK))["type"] == "audioReceived"


async def test_a_listener_changes_its_language(stack: Stack) -> None:
    """Row W9: the speaker is told that another language is listened to."""
    async with stack.speaker() as speaker, stack.listener(speaker.session_id, "es") as listener:
        assert (await listener.say("changeLanguage", targetLanguage="ca-ES"))["targetLanguage"] == "ca"
        await speaker.until("sessionStatus", languageDistribution={"ca": 1})
        refused = await listener.say("changeLanguage", targetLanguage="tlh")
        assert (refused["code"], "ca" in refused["details"]["languages"]) == ("UNSUPPORTED_LANGUAGE", True)


async def test_what_is_wrong_is_said(stack: Stack) -> None:
    """Row W19."""
    async with stack.speaker() as speaker:
        wrong = await speaker.say("setVolume", volumeLevel=11)
        assert wrong == {
            "type": "error",
            "code": "INVALID_VOLUME",
            "message": "volumeLevel must be a number from 0.0 to 1.0.",
            "details": {"field": "volumeLevel"},
        }
        assert (await speaker.say("changeLanguage", targetLanguage="es"))["code"] == "UNAUTHORIZED"
