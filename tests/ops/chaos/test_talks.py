"""Speakers and listeners of a chaos run, before a gateway that has a bad day."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from local.tones import Decoder
from ops.chaos import talks
from ops.chaos.plan import Talk
from ops.chaos.talks import Script, Seat, Session, Speaker, Word, script
from ops.errors import CommandError

Answer = Callable[[dict[str, Any], int], dict[str, Any] | None]


def acknowledged(message: dict[str, Any]) -> dict[str, Any]:
    return {"type": "audioReceived", "sequence": message["sequence"]}


class Gateway:
    """Answers the n-th message of a speaker as it is told to; listeners get what is `pushed`."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.answer: Answer = lambda message, nth: acknowledged(message)
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
            if body["action"] == "sendAudio":
                self.taken.append(body["sequence"])
            answer = self.answer(body, len(self.taken))
            if answer is not None:
                await socket.send_json(answer)
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


async def speaker_at(url: str, http: aiohttp.ClientSession) -> Speaker:
    socket = await http.ws_connect(url, params={"action": "createSession"})
    created = await socket.receive_json()
    return Speaker(socket, created["sessionId"])


SOUND = np.zeros(16 * 350, np.int16)


async def test_each_chunk_waits_for_the_one_before(gateway: tuple[Gateway, str, aiohttp.ClientSession]) -> None:
    made, url, http = gateway
    speaker = await speaker_at(url, http)
    await speaker.speak(SOUND)
    await speaker.close()
    assert made.taken == [0, 1, 2, 3]
    assert speaker.acknowledged == {0, 1, 2, 3}
    assert (speaker.again, speaker.gave_up) == (0, False)


async def test_a_refused_chunk_is_sent_again_before_any_other(
    gateway: tuple[Gateway, str, aiohttp.ClientSession],
) -> None:
    made, url, http = gateway
    refusal = {"type": "error", "code": "SERVICE_UNAVAILABLE"}
    made.answer = lambda message, nth: refusal if nth in (2, 3) else acknowledged(message)
    speaker = await speaker_at(url, http)
    await speaker.speak(SOUND)
    await speaker.close()
    assert made.taken == [0, 1, 1, 1, 2, 3]
    assert speaker.refused == {"SERVICE_UNAVAILABLE": 2}
    assert speaker.again == 2


async def test_a_chunk_without_an_answer_is_sent_again(
    gateway: tuple[Gateway, str, aiohttp.ClientSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talks, "AGAIN_AFTER_S", 0.2)
    made, url, http = gateway
    made.answer = lambda message, nth: None if nth == 2 else acknowledged(message)
    speaker = await speaker_at(url, http)
    await speaker.speak(SOUND)
    await speaker.close()
    assert made.taken == [0, 1, 1, 2, 3]
    assert speaker.longest_wait_ms >= 200


async def test_a_speaker_gives_up_at_last(
    gateway: tuple[Gateway, str, aiohttp.ClientSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talks, "GIVE_UP_S", 0.3)
    made, url, http = gateway
    made.answer = lambda message, nth: acknowledged(message) if nth == 1 else {"message": "Internal server error"}
    speaker = await speaker_at(url, http)
    await speaker.speak(SOUND)
    await speaker.close()
    assert speaker.gave_up
    assert speaker.acknowledged == {0}
    assert set(made.taken) == {0, 1}


@pytest.mark.parametrize("last", [{"type": "sessionEnded"}, {"type": "error", "code": "SESSION_NOT_FOUND"}])
async def test_the_end_is_asked_for_until_it_is_there(
    gateway: tuple[Gateway, str, aiohttp.ClientSession], last: dict[str, Any]
) -> None:
    made, url, http = gateway
    asked: list[str] = []

    def answer(message: dict[str, Any], _: int) -> dict[str, Any]:
        asked.append(message["action"])
        return last if len(asked) == 3 else {"type": "error", "code": "TIMEOUT"}

    made.answer = answer
    speaker = await speaker_at(url, http)
    await speaker.end()
    await speaker.close()
    assert asked == ["endSession"] * 3


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
    _, url, http = gateway
    speaker = await speaker_at(url, http)
    words = [Word(1, 0, 100), Word(2, 150, 420), Word(3, 500, 600)]
    session = Session(Talk(0, ["es"], 1), Script(SOUND, words), speaker, [])
    speaker.acknowledged = {0, 1, 2, 3, 5}
    assert [word.number for word in session.spoken] == [1, 3]
    speaker.acknowledged |= {4}
    assert [word.number for word in session.spoken] == [1, 2, 3]
    await speaker.close()
