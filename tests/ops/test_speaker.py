import base64
import json
from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from ops.errors import CommandError
from ops.speaker import Speaker


class Gateway:
    """Takes a speaker as the gateway does, and refuses every third chunk."""

    def __init__(self) -> None:
        self.taken: list[dict[str, object]] = []
        self.query: dict[str, str] = {}

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
            if body["action"] == "sendAudio":
                refused = body["sequence"] % 3 == 2
                await socket.send_json({"type": "error", "code": "X"} if refused else {"type": "audioReceived"})
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
    assert [chunk["sequence"] for chunk in gateway.taken] == [0, 1, 2, 3, 4]
    times = [int(str(chunk["timestamp"])) - speaker.started_ms for chunk in gateway.taken]
    assert times == [0, 100, 200, 300, 400]
    sound = b"".join(base64.b64decode(str(chunk["audioData"])) for chunk in gateway.taken)
    assert sound == talk.astype("<i2").tobytes()
    assert gateway.query["action"] == "createSession"


async def test_a_refused_speaker_is_told_why(served: tuple[Gateway, str]) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(CommandError, match="HTTP 401"):
            await Speaker.create(session, served[1], "bad")


async def test_a_gateway_that_is_not_there() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(CommandError, match="cannot be reached"):
            await Speaker.create(session, "ws://127.0.0.1:1/live", "good")
