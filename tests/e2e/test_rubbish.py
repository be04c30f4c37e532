"""Rubbish is answered by its error, harms nobody, and reaches no stream."""

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect

from ops import tokens
from streams.records import AudioChunk, Record, SessionEvent
from tests.e2e.stored import is_of_the_session_itself, records_by_key
from tests.e2e.whole_stack import WholeStack, described

FRAME = 16 * 1024
GOOD = base64.b64encode(bytes(3200)).decode()


def audio(data: str, **more: object) -> str:
    return json.dumps({"action": "sendAudio", "audioData": data, **more})


RUBBISH = {
    "odd length": (audio(base64.b64encode(bytes(3201)).decode()), "INVALID_AUDIO_FORMAT"),
    "no base64": (audio("!!!!"), "INVALID_AUDIO_FORMAT"),
    "brackets without end": ('{"action":"heartbeat","x":' + "[" * 4_000, "INVALID_MESSAGE"),
    "no JSON": ("{action: sendAudio", "INVALID_MESSAGE"),
    "another's session": (audio(GOOD, sessionId="golden-eagle-427"), "UNAUTHORIZED"),
    "33 KiB": (audio(base64.b64encode(bytes(33 * 1024)).decode()), "PAYLOAD_TOO_LARGE"),
}


def records(stack: WholeStack, session_id: str, since: datetime) -> dict[str, list[Record]]:
    """What each stream holds of a session begun then."""
    return {stream: by_key.get(session_id, []) for stream, by_key in records_by_key(stack.environment, since).items()}


@pytest.mark.parametrize("name", RUBBISH)
async def test_rubbish_is_answered_and_the_session_goes_on(tone_stack: WholeStack, name: str) -> None:
    message, code = RUBBISH[name]
    stack = described(tone_stack)
    token = tokens.token(stack, "somebody")
    since = datetime.now(UTC)
    query = urlencode({"token": token, "action": "createSession", "sourceLanguage": "en-US"})
    async with connect(f"{stack.url}?{query}") as socket:
        created = json.loads(await socket.recv())
        await socket.send(frames(message))
        assert (await answer(socket))["code"] == code
        for stream, found in (await asyncio.to_thread(records, tone_stack, created["sessionId"], since)).items():
            assert all(is_of_the_session_itself(record) for record in found), stream

        await socket.send(audio(GOOD, sequence=0, sessionId=created["sessionId"]))
        assert (await answer(socket))["type"] == "audioReceived"
        written = (await asyncio.to_thread(records, tone_stack, created["sessionId"], since))["audio"]
        assert [type(record) for record in written] == [SessionEvent, AudioChunk]


async def answer(socket: ClientConnection) -> dict[str, Any]:
    """The next message that is no report of who listens, which comes unasked."""
    while True:
        message: dict[str, Any] = json.loads(await socket.recv())
        if message.get("type") != "sessionStatus":
            return message


def frames(message: str) -> list[str]:
    """A message as the gateway takes it: no frame over 32 KiB, or it closes the connection."""
    return [message[at : at + FRAME] for at in range(0, len(message), FRAME)]


@pytest.mark.parametrize("forged", ["", "not-a-token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4Iiwicm9sZSI6InNwZWFrZXIifQ."])
async def test_a_speaker_without_a_good_token_is_refused(tone_stack: WholeStack, forged: str) -> None:
    query = {"action": "createSession", "sourceLanguage": "en-US"} | ({"token": forged} if forged else {})
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(tone_stack.described()["url"], params=query)
    assert refused.value.status == 401
