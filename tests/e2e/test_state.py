"""Rows W3 to W6, W9, A7, B3 through the whole stack: who is muted is heard by nobody, volume is measured; and who comes
back is shown what it missed."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from local import tones
from ops import tokens
from ops.audio_files import SAMPLE_RATE_HZ, Pcm
from ops.listener import ClauseHeard, Ear
from ops.speaker import CHUNK_MS, connect, now_ms, receive
from tests.e2e.whole_stack import WholeStack, described

ANSWER_WITHIN_S = 20.0
WORDS = 4
QUIET_MS = 900
"""Between what is said: the recogniser closes the utterance, and a change falls into no word."""
LANGUAGE_WITHIN_S = 0.5
"""Row W9."""


class Client:
    """A client that says what it wants while its messages are taken."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._came = asyncio.Condition()
        self.messages: list[dict[str, Any]] = []
        self.ear = Ear()
        self.languages: dict[tuple[str, int], str] = {}
        self.sequence = 0

    async def read(self) -> None:
        while (message := await receive(self._socket)) is not None:
            async with self._came:
                self.messages.append(message)
                self.ear.take(message, now_ms())
                if message["type"] == "translatedAudio":
                    self.languages[message["utteranceId"], message["clause"]] = message["language"]
                self._came.notify_all()

    async def until(self, kind: str) -> dict[str, Any]:
        """The last message of a type, as soon as there is one."""
        async with asyncio.timeout(ANSWER_WITHIN_S), self._came:
            await self._came.wait_for(lambda: any(message["type"] == kind for message in self.messages))
        return next(message for message in reversed(self.messages) if message["type"] == kind)

    async def until_heard(self, number: int) -> None:
        async with asyncio.timeout(ANSWER_WITHIN_S), self._came:
            await self._came.wait_for(lambda: self.clauses_with([number]))

    async def until_listeners(self, number: int) -> None:
        """Until so many have their place, as a speaker is told unasked (row W14)."""
        async with asyncio.timeout(ANSWER_WITHIN_S), self._came:
            await self._came.wait_for(lambda: any(one.get("listenerCount") == number for one in self.messages))

    async def ask(self, action: str, answer: str, **fields: Any) -> dict[str, Any]:
        await self._socket.send_json({"action": action, **fields})
        return await self.until(answer)

    async def say(self, *numbers: int) -> None:
        """Words, and silence after them, at the speed of speech."""
        sound = np.concatenate([tones.encode(numbers), np.zeros(QUIET_MS * SAMPLE_RATE_HZ // 1000, np.int16)])
        step = CHUNK_MS * SAMPLE_RATE_HZ // 1000
        began = asyncio.get_running_loop().time()
        for number, start in enumerate(range(0, len(sound), step), 1):
            pcm = base64.b64encode(sound[start : start + step].astype("<i2").tobytes()).decode()
            message = {"action": "sendAudio", "sequence": self.sequence, "timestamp": now_ms(), "audioData": pcm}
            await self._socket.send_json(message)
            self.sequence += 1
            await asyncio.sleep(max(0.0, began + number * CHUNK_MS / 1000 - asyncio.get_running_loop().time()))

    def refused(self) -> set[str]:
        """Why chunks were not taken."""
        return {message["code"] for message in self.messages if message["type"] == "error"}

    def words(self, language: str) -> list[int]:
        clauses = [one for one in self.ear.heard if self.languages[one.utterance_id, one.clause] == language]
        return [number for one in clauses for number in tones.numbers_in(one.text.lower())]

    def read_words(self) -> list[int]:
        """In the captions, each utterance as it was shown last, in the order in which they came first."""
        texts = {one["utteranceId"]: one["text"] for one in self.messages if one["type"] == "caption"}
        return [number for text in texts.values() for number in tones.numbers_in(text.lower())]

    def clauses_with(self, numbers: list[int]) -> list[ClauseHeard]:
        return [one for one in self.ear.heard if set(tones.numbers_in(one.text.lower())) & set(numbers)]


@contextlib.asynccontextmanager
async def client(session: aiohttp.ClientSession, url: str, **query: str) -> AsyncIterator[Client]:
    socket = await connect(session, url, **query)
    opened = Client(socket)
    reading = asyncio.create_task(opened.read())
    try:
        yield opened
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await socket.close()


def level_db(clauses: list[ClauseHeard]) -> float:
    """Of their sound, where it is not silent."""
    samples: Pcm = np.frombuffer(b"".join(one.pcm for one in clauses), "<i2")
    loud = samples[np.abs(samples) > 0].astype(np.float64)
    return float(10 * np.log10(np.mean(loud**2)))


async def test_what_a_speaker_changes_while_speaking(tone_stack: WholeStack) -> None:
    stack = described(tone_stack)
    token = await asyncio.to_thread(tokens.token, stack, "somebody")
    said = {
        name: list(range(first, first + WORDS))
        for name, first in zip("ampbcd", range(12_000, 12_600, 100), strict=True)
    }
    async with contextlib.AsyncExitStack() as opened:
        session = await opened.enter_async_context(aiohttp.ClientSession())

        async def come(**query: str) -> Client:
            return await opened.enter_async_context(client(session, stack.url, **query))

        speaker = await come(action="createSession", sourceLanguage="en-US", token=token)
        session_id = (await speaker.until("sessionCreated"))["sessionId"]
        joining = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
        stays, moves = await come(**joining), await come(**joining)
        await asyncio.gather(stays.until("sessionJoined"), moves.until("sessionJoined"))

        await speaker.say(*said["a"])
        await speaker.ask("muteBroadcast", "broadcastMuted")
        await speaker.say(*said["m"])
        await speaker.ask("unmuteBroadcast", "broadcastUnmuted")
        await speaker.ask("pauseBroadcast", "broadcastPaused")
        await speaker.say(*said["p"])
        await speaker.ask("resumeBroadcast", "broadcastResumed")
        await speaker.say(*said["b"])
        await speaker.ask("setVolume", "volumeChanged", volumeLevel=0.25)
        await speaker.say(*said["c"])
        await moves.until_heard(said["c"][-1])
        await moves.ask("changeLanguage", "languageChanged", targetLanguage="ca")
        await asyncio.sleep(LANGUAGE_WITHIN_S)
        await speaker.say(*said["d"])
        await speaker.ask("endSession", "sessionEnded")
        await asyncio.gather(stays.until("sessionEnded"), moves.until("sessionEnded"))

    assert stays.words("es") == said["a"] + said["b"] + said["c"] + said["d"]
    assert moves.words("es") == said["a"] + said["b"] + said["c"]
    assert moves.words("ca") == said["d"]
    assert speaker.refused() == {"BROADCAST_MUTED", "BROADCAST_PAUSED"}
    softer_db = level_db(stays.clauses_with(said["b"])) - level_db(stays.clauses_with(said["c"]))
    assert softer_db == pytest.approx(12.04, abs=3.0)  # 0.25 of the amplitude; other numbers sound a little different
    for listener in (stays, moves):
        told = [message for message in listener.messages if "stateVersion" in message and "limits" not in message]
        assert [message["stateVersion"] for message in told] == [1, 2, 3, 4, 5]
    audit = tone_stack.herald("audit", session_id, "--json")
    out, err = await asyncio.to_thread(audit.communicate, timeout=60)
    assert audit.returncode == 0, err + out
    assert json.loads(out)["sound"]["refused"] > 0


async def test_a_listener_who_comes_back_is_shown_what_it_missed(tone_stack: WholeStack) -> None:
    """And one who comes for the first time is not. Both come together, so that nothing else tells them apart."""
    stack = described(tone_stack)
    token = await asyncio.to_thread(tokens.token, stack, "somebody")
    async with contextlib.AsyncExitStack() as opened:
        session = await opened.enter_async_context(aiohttp.ClientSession())

        async def come(**query: str) -> Client:
            return await opened.enter_async_context(client(session, stack.url, **query))

        speaker = await come(action="createSession", sourceLanguage="en-US", token=token)
        session_id = (await speaker.until("sessionCreated"))["sessionId"]
        joining = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
        stays = await come(**joining)
        await stays.until("sessionJoined")
        async with client(session, stack.url, **joining) as goes:
            await goes.until("sessionJoined")
            await speaker.say(12_600, 12_601)
            await goes.until_heard(12_601)
        await speaker.say(12_700, 12_701)
        await stays.until_heard(12_701)
        back, new = await come(**joining, returning="true"), await come(**joining)
        await asyncio.gather(back.until("sessionJoined"), new.until("sessionJoined"))
        await speaker.until_listeners(3)
        await speaker.say(12_800, 12_801)
        await speaker.ask("endSession", "sessionEnded")
        await asyncio.gather(*(each.until("sessionEnded") for each in (stays, back, new)))

    assert back.read_words() == stays.read_words() == [12_600, 12_601, 12_700, 12_701, 12_800, 12_801]
    assert new.read_words() == [12_800, 12_801]
    assert back.words("es") == [12_800, 12_801]
