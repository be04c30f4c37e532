"""The sessions of a run: speakers who send again what was not acknowledged, listeners who may reconnect.

A speaker has one chunk under way at a time. One that is refused, or not answered, is sent again with its sequence until
it is acknowledged, and those after it wait; so what is acknowledged stands in the stream in order, however bad the day.
Then it catches up, well below the rate that the door allows.
"""

import asyncio
import base64
import os
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import msgspec

from ops.audio_files import SAMPLE_RATE_HZ, Pcm, read
from ops.chaos.plan import GAP_MS, PAUSES_MS, WORD_MS, WORDS, Talk
from ops.children import program
from ops.errors import CommandError
from ops.listener import Ear, Listener
from ops.parts import child_environment
from ops.paths import PROJECT
from ops.speaker import CHUNK_MS, connect, expect, now_ms, receive

CHUNK_SAMPLES: Final = CHUNK_MS * SAMPLE_RATE_HZ // 1000
AGAIN_AFTER_S: Final = 3.0
"""Without an answer for so long a chunk is sent again: under a client's patience, over a slow day's answer."""
PAUSE_S: Final = 0.15
"""Before a refused chunk goes again."""
CATCH_UP_PER_S: Final = 30.0
"""The door takes 50 a second (row W21)."""
GIVE_UP_S: Final = 120.0
"""A speaker who is so far behind with one chunk ends the talk there."""
END_TRIES: Final = 40
JOIN_WITHIN_S: Final = 60.0


class Word(msgspec.Struct, frozen=True):
    """One numbered word of a talk; times are those of the talk."""

    number: int
    start_ms: int
    end_ms: int


class Script(NamedTuple):
    """What is said in one session."""

    pcm: Pcm
    words: list[Word]


def script(talk: Talk, talk_s: float, folder: Path) -> Script:
    """A talk of about `talk_s`. Raises CommandError when it cannot be made."""
    number = talk.first_word
    gap_ms = GAP_MS[number % len(GAP_MS)]
    each_s = (WORDS * WORD_MS + (WORDS - 1) * gap_ms + sum(PAUSES_MS) / len(PAUSES_MS)) / 1000
    utterances = [list(range(at, at + WORDS)) for at in range(number, number + WORDS * round(talk_s / each_s), WORDS)]
    wish = {"utterances": utterances, "gap_ms": gap_ms, "pauses_ms": PAUSES_MS}
    path = folder / f"talk-{number}.wav"
    done = subprocess.run(
        program("local.say", str(path)),
        input=msgspec.json.encode(wish),
        capture_output=True,
        env=child_environment(os.environ, {}),
        cwd=PROJECT,
        check=False,
    )
    if done.returncode != 0:
        raise CommandError(f"the talk cannot be made: {done.stderr.decode(errors='replace').strip()[-300:]}")
    pcm = read(path).pcm
    path.unlink()
    return Script(pcm, msgspec.json.decode(done.stdout, type=list[Word]))


class Speaker:
    """One speaker. acknowledged: sequences that the gateway says are in the stream."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session_id: str) -> None:
        self.session_id = session_id
        self.started_ms = 0
        self.acknowledged: set[int] = set()
        self.refused: Counter[str] = Counter()
        self.again = 0
        self.longest_wait_ms = 0
        self.gave_up = False
        self._socket = socket
        self._news = asyncio.Event()
        self._refusals = 0
        self._ending = False
        self._ended = False
        self._reader = asyncio.create_task(self._read())

    async def speak(self, pcm: Pcm) -> None:
        """Say it at the speed of speech, or as fast as what was refused allows."""
        self.started_ms = now_ms()
        began = time.monotonic()
        for number, start in enumerate(range(0, len(pcm), CHUNK_SAMPLES)):
            chunk = pcm[start : start + CHUNK_SAMPLES]
            due = began + (start + len(chunk)) / SAMPLE_RATE_HZ
            late_s = time.monotonic() - due
            await asyncio.sleep(-late_s if late_s < 0 else 1 / CATCH_UP_PER_S if late_s > 0.2 else 0)
            message = msgspec.json.encode(
                {
                    "action": "sendAudio",
                    "sessionId": self.session_id,
                    "sequence": number,
                    "timestamp": self.started_ms + start * 1000 // SAMPLE_RATE_HZ,
                    "audioData": base64.b64encode(chunk.astype("<i2").tobytes()).decode(),
                }
            ).decode()
            if not await self._deliver(number, message):
                self.gave_up = True
                return

    async def _deliver(self, number: int, message: str) -> bool:
        """Send a chunk until it is acknowledged. False when it was given up, or the connection has ended."""
        began = time.monotonic()
        sent = 0
        while number not in self.acknowledged:
            if time.monotonic() - began > GIVE_UP_S or self._reader.done():
                return False
            self._refusals = 0
            with suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_str(message)
            sent += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_AFTER_S):
                    while number not in self.acknowledged and not self._refusals and not self._reader.done():
                        self._news.clear()
                        await self._news.wait()
            if number not in self.acknowledged and self._refusals:
                await asyncio.sleep(PAUSE_S)
        self.again += sent - 1
        self.longest_wait_ms = max(self.longest_wait_ms, round((time.monotonic() - began) * 1000))
        return True

    async def end(self) -> None:
        """End the session: asked again until the gateway has it."""
        self._ending = True
        for _ in range(END_TRIES):
            self._refusals = 0
            with suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_json({"action": "endSession", "sessionId": self.session_id})
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_AFTER_S):
                    while not self._ended and not self._refusals and not self._reader.done():
                        self._news.clear()
                        await self._news.wait()
            if self._ended or self._reader.done():
                return
            await asyncio.sleep(PAUSE_S)

    async def close(self) -> None:
        """Hang up."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        while (message := await receive(self._socket)) is not None:
            match message.get("type"):
                case "audioReceived":
                    self.acknowledged.add(message["sequence"])
                case "sessionEnded":
                    self._ended = True
                case "error" if self._ending and message.get("code") == "SESSION_NOT_FOUND":
                    self._ended = True  # the answer to an earlier try was lost
                case "error":
                    self.refused[str(message.get("code"))] += 1
                    self._refusals += 1
                case _ if "message" in message and "type" not in message:  # the gateway's own: time limit, failure
                    self.refused[str(message["message"])] += 1
                    self._refusals += 1
            self._news.set()
        self._news.set()


class Seat:
    """One listener's place: an ear that may be at one connection after another."""

    def __init__(self, session: aiohttp.ClientSession, url: str, session_id: str, language: str) -> None:
        self.language = language
        self.ear = Ear(keeps_sound=False)
        self.sounds_ms: list[int] = []
        """When speech came (Unix milliseconds)."""
        self.reconnects = 0
        self._join = (session, url, session_id, language)
        self._listeners: list[Listener] = []

    async def sit(self) -> None:
        """Join. Raises CommandError."""
        session, url, session_id, language = self._join
        joined = await Listener.join(session, url, session_id, language, self._on_sound, self.ear)
        self._listeners.append(joined)

    async def reconnect(self, overlap_s: float) -> None:
        """Join anew, and leave the old connection so long after that (row W12). Raises CommandError."""
        deadline = time.monotonic() + JOIN_WITHIN_S
        while True:
            try:
                await self.sit()
                break
            except CommandError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(1.0)
        await asyncio.sleep(overlap_s)
        await self._listeners[-2].close()
        self.reconnects += 1

    @property
    def told(self) -> bool:
        """Whether it was told that the session has ended."""
        return any(listener.told for listener in self._listeners)

    @property
    def lost_connection(self) -> bool:
        """Whether the connection that it has now was closed before the session ended."""
        return self._listeners[-1].closed.is_set() and not self.told

    async def ended(self) -> None:
        """Until it is told, or its connection ends."""
        await self._listeners[-1].ended.wait()

    async def leave(self) -> None:
        """Hang up."""
        for listener in self._listeners:
            await listener.close()

    def _on_sound(self) -> None:
        self.sounds_ms.append(now_ms())


class Session:
    """One session: its speaker, its listeners, what is said."""

    def __init__(self, talk: Talk, said: Script, speaker: Speaker, seats: list[Seat]) -> None:
        self.talk = talk
        self.script = said
        self.speaker = speaker
        self.seats = seats

    @property
    def spoken(self) -> list[Word]:
        """The words whose every chunk was acknowledged."""
        has = self.speaker.acknowledged
        return [
            word
            for word in self.script.words
            if all(number in has for number in range(word.start_ms // CHUNK_MS, (word.end_ms - 1) // CHUNK_MS + 1))
        ]

    async def hold(self) -> None:
        """Speak to the end, and end the session."""
        await asyncio.sleep(self.talk.starts_s)
        await self.speaker.speak(self.script.pcm)
        await self.speaker.end()

    async def heard(self) -> None:
        """Until every listener was told that it is over."""
        await asyncio.gather(*(seat.ended() for seat in self.seats))


async def gather(
    stack: AsyncExitStack, url: str, token: str, talks: Sequence[Talk], scripts: Sequence[Script]
) -> list[Session]:
    """Connect everybody. Raises CommandError."""
    http = await stack.enter_async_context(aiohttp.ClientSession())
    sessions = []
    for talk, said in zip(talks, scripts, strict=True):
        socket = await connect(http, url, token=token, action="createSession", sourceLanguage="en-US")
        created = await expect(socket, "sessionCreated")
        speaker = Speaker(socket, created["sessionId"])
        stack.push_async_callback(speaker.close)
        seats = [Seat(http, url, speaker.session_id, language) for language in talk.languages]
        for seat in seats:
            stack.push_async_callback(seat.leave)
            await seat.sit()
        sessions.append(Session(talk, said, speaker, seats))
    return sessions
