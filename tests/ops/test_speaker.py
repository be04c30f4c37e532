import base64
import json
from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import pytest
from aiohttp import web

import ops.speaker
from ops import outgoing
from ops.errors import CommandError
from ops.speaker import Speaker


class Gateway:
    """Takes a speaker as the gateway does, and refuses every third chunk; `code`: as what."""

    def __init__(self) -> None:
        self.taken: list[dict[str, object]] = []
        self.query: dict[str, str] = {}
        self.code = "X"
        self.silent: set[int] = set()
        self.ends: list[dict[str, object] | None] = []

    async def live(self, request: web.Request) -> web.WebSocketResponse:
        self.query = dict(request.query)
        if self.query.get("token") != "good":
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "sessionCreated", "sessionId": "calm-fox-123"})
        async for message in socket:
            body = json.loads(message.data)
            self.taken.append(body)
            if body["action"] == "endSession":
                answer = self.ends.pop(0)
                if answer is not None:
                    await socket.send_json(answer)
            if body["action"] == "sendAudio":
                number = body["sequence"]
                again = number in [chunk["sequence"] for chunk in self.taken[:-1]]
                if number in self.silent and not again:
                    continue
                if number % 3 == 2 and not again:
                    await socket.send_json({"type": "error", "code": self.code, "details": {"sequence": number}})
                else:
                    await socket.send_json({"type": "audioReceived", "sequence": number})
        return socket


@pytest.fixture
async def served() -> AsyncIterator[tuple[Gateway, str]]:
    gateway = Gateway()
    app = web.Application()
    app.router.add_get("/live", gateway.live)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield gateway, f"ws://127.0.0.1:{runner.addresses[0][1]}/live"
    await runner.cleanup()


async def test_a_talk_is_sent_in_chunks_with_place_and_time(served: tuple[Gateway, str]) -> None:
    gateway, url = served
    talk = np.arange(16 * 450, dtype=np.int16)
    async with aiohttp.ClientSession() as session, await Speaker.create(session, url, "good") as speaker:
        await speaker.speak(talk)
        await speaker.answers()
        assert (speaker.session_id, speaker.sent, speaker.acknowledged) == ("calm-fox-123", 5, 4)
        assert speaker.refused == {"X": 1}
        assert speaker.missing == {2}
    assert [chunk["sequence"] for chunk in gateway.taken] == [0, 1, 2, 3, 4]
    times = [int(str(chunk["timestamp"])) - speaker.started_ms for chunk in gateway.taken]
    assert times == [0, 100, 200, 300, 400]
    sound = b"".join(base64.b64decode(str(chunk["audioData"])) for chunk in gateway.taken)
    assert sound == talk.astype("<i2").tobytes()
    assert gateway.query["action"] == "createSession"


async def test_chunks_that_are_refused_in_passing_or_not_answered_are_sent_again_as_they_were(
    served: tuple[Gateway, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "ANSWER_WITHIN_S", 0.3)
    gateway, url = served
    gateway.code = "SERVICE_UNAVAILABLE"
    gateway.silent = {0}
    async with aiohttp.ClientSession() as session, await Speaker.create(session, url, "good") as speaker:
        await speaker.speak(np.arange(16 * 650, dtype=np.int16))
        await speaker.answers()
        assert (speaker.sent, speaker.acknowledged, speaker.resent) == (7, 7, 3)
        assert speaker.refused == {}
    for number in (0, 2, 5):
        first, second = (chunk for chunk in gateway.taken if chunk["sequence"] == number)
        assert first == second


async def test_another_talk_goes_on_with_the_numbers(served: tuple[Gateway, str]) -> None:
    gateway, url = served
    async with aiohttp.ClientSession() as session, await Speaker.create(session, url, "good") as speaker:
        await speaker.speak(np.zeros(16 * 200, dtype=np.int16))
        started_ms = speaker.started_ms
        await speaker.speak(np.zeros(16 * 200, dtype=np.int16))
        await speaker.answers()
        assert speaker.started_ms == started_ms
    assert [chunk["sequence"] for chunk in gateway.taken] == [0, 1, 2, 3]
    assert int(str(gateway.taken[2]["timestamp"])) - started_ms >= 200


@pytest.mark.parametrize("last", [{"type": "sessionEnded"}, {"type": "error", "code": "SESSION_NOT_FOUND"}])
async def test_the_end_is_asked_for_until_it_is_there(
    served: tuple[Gateway, str], monkeypatch: pytest.MonkeyPatch, last: dict[str, object]
) -> None:
    monkeypatch.setattr(ops.speaker, "ANSWER_WITHIN_S", 0.2)
    gateway, url = served
    gateway.ends = [None, {"type": "error", "code": "TIMEOUT"}, last]
    async with aiohttp.ClientSession() as session, await Speaker.create(session, url, "good") as speaker:
        await speaker.end()
    assert [message["action"] for message in gateway.taken] == ["endSession"] * 3


async def test_a_connection_that_ends_ends_the_waiting(served: tuple[Gateway, str]) -> None:
    gateway, url = served
    gateway.silent = {0}
    async with aiohttp.ClientSession() as session, await Speaker.create(session, url, "good") as speaker:
        await speaker.speak(np.zeros(1600, dtype=np.int16))
        await speaker._socket.close()
        await speaker.answers()
        assert (speaker.sent, speaker.acknowledged) == (1, 0)


async def test_a_refused_speaker_is_told_why(served: tuple[Gateway, str]) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(CommandError, match="HTTP 401"):
            await Speaker.create(session, served[1], "bad")


async def test_a_gateway_that_is_not_there() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(CommandError, match="cannot be reached"):
            await Speaker.create(session, "ws://127.0.0.1:1/live", "good")
