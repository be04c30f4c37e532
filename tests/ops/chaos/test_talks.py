"""Speakers and listeners of a chaos run, before a gateway that has a bad day."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from local.tones import Decoder
from ops.chaos import talks
from ops.chaos.plan import Talk
from ops.chaos.talks import Script, Seat, Session, Word, script
from ops.errors import CommandError
from ops.speaker import Speaker


class Gateway:
    """Acknowledges what a speaker says, but for the `refused` chunks; listeners get what is sent to their sockets."""

    def __init__(self) -> None:
        self.refused: set[int] = set()
        self.refuses_joins = 0
        self.listeners: list[web.WebSocketResponse] = []

    async def live(self, request: web.Request) -> web.WebSocketResponse:
        if self.refuses_joins and request.query["action"] == "joinSession":
            self.refuses_joins -= 1
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        if request.query["action"] == "joinSession":
            self.listeners.append(socket)
            await socket.send_json({"type": "sessionJoined"})
            async for _ in socket:
                pass
            self.listeners.remove(socket)
            return socket
        await socket.send_json({"type": "sessionCreated", "sessionId": "calm-fox-123"})
        async for message in socket:
            body = json.loads(message.data)
            if body["action"] == "endSession":
                await socket.send_json({"type": "sessionEnded"})
            elif body["sequence"] in self.refused:
                await socket.send_json({"type": "error", "code": "X", "details": {"sequence": body["sequence"]}})
            else:
                await socket.send_json({"type": "audioReceived", "sequence": body["sequence"]})
        return socket


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[Gateway, str, aiohttp.ClientSession]]:
    made = Gateway()
    app = web.Application()
    app.router.add_get("/live", made.live)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http:
        yield made, f"ws://127.0.0.1:{runner.addresses[0][1]}/live", http
    await runner.cleanup()


def audio(number: int) -> dict[str, Any]:
    return {
        "type": "translatedAudio",
        "utteranceId": f"u{number}",
        "clause": 0,
        "sequence": number,
        "part": 0,
        "parts": 1,
        "text": f"w{number:06d}",
        "startMs": 0,
        "endMs": 10,
        "sampleRate": 16_000,
        "audioData": "AAAA",
    }


async def test_a_listener_that_reconnects_hears_each_thing_once(
    gateway: tuple[Gateway, str, aiohttp.ClientSession],
) -> None:
    made, url, http = gateway
    seat = Seat(http, url, "calm-fox-123", "es")
    await seat.sit()
    (before,) = made.listeners
    await before.send_json(audio(1))
    made.refuses_joins = 1
    moving = asyncio.create_task(seat.reconnect(0.3))
    async with asyncio.timeout(10):
        while len(made.listeners) < 2:
            await asyncio.sleep(0.01)
    for socket in made.listeners:
        await socket.send_json(audio(2))
    await moving
    async with asyncio.timeout(10):
        while len(made.listeners) > 1:
            await asyncio.sleep(0.01)
    await made.listeners[0].send_json(audio(3))
    await made.listeners[0].send_json({"type": "sessionEnded"})
    await seat.ended()
    assert [clause.text for clause in seat.ear.heard] == ["w000001", "w000002", "w000003"]
    assert (seat.ear.repeats, seat.reconnects, seat.told, seat.lost_connection) == (1, 1, True, False)
    assert len(seat.sounds_ms) == 4
    await seat.leave()


async def test_a_listener_that_cannot_come_back_says_so(
    gateway: tuple[Gateway, str, aiohttp.ClientSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talks, "JOIN_WITHIN_S", 0.0)
    made, url, http = gateway
    seat = Seat(http, url, "calm-fox-123", "es")
    await seat.sit()
    made.refuses_joins = 1
    with pytest.raises(CommandError, match="503"):
        await seat.reconnect(0.1)
    await seat.leave()


def test_a_talk_is_as_long_as_wanted_and_its_words_are_where_they_are_said_to_be(tmp_path: Path) -> None:
    made = script(Talk(0, ["es"], 20_001), 20, tmp_path)
    assert 15 < len(made.pcm) / 16_000 < 25
    heard = [(word.number, word.start_ms, word.end_ms) for word in Decoder().feed(made.pcm)]
    assert heard == [(word.number, word.start_ms, word.end_ms) for word in made.words]
    assert made.words[0].number == 20_001
    assert not list(tmp_path.iterdir())


async def test_a_word_is_spoken_when_all_of_its_chunks_were_acknowledged(
    gateway: tuple[Gateway, str, aiohttp.ClientSession],
) -> None:
    made, url, http = gateway
    made.refused = {4}
    words = [Word(1, 0, 100), Word(2, 150, 420), Word(3, 500, 600), Word(4, 550, 650)]
    async with await Speaker.create(http, url, "token") as speaker:
        session = Session(Talk(0, ["es"], 1), Script(np.zeros(16 * 600, np.int16), words), speaker, [])
        await session.hold()
        assert [word.number for word in session.spoken] == [1, 3]
        assert session.failure == ""


async def test_a_speaker_whose_connection_ends_says_so(gateway: tuple[Gateway, str, aiohttp.ClientSession]) -> None:
    _, url, http = gateway
    async with await Speaker.create(http, url, "token") as speaker:
        session = Session(Talk(0, ["es"], 1), Script(np.zeros(16 * 600, np.int16), []), speaker, [])
        await speaker._socket.close()
        await session.hold()
        assert "closed" in session.failure
