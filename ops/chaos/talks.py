"""The sessions of a run: speakers, who send again what was refused (`ops.speaker`), listeners, who may reconnect."""

import asyncio
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import msgspec

from ops.audio_files import Pcm, read
from ops.chaos.plan import GAP_MS, PAUSES_MS, WORD_MS, WORDS, Talk
from ops.children import program
from ops.errors import CommandError
from ops.listener import Ear, Listener
from ops.parts import child_environment
from ops.paths import PROJECT
from ops.speaker import CHUNK_MS, Speaker, now_ms

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
        self.failure = ""
        """Why the speaker could not say everything, and end."""

    @property
    def spoken(self) -> list[Word]:
        """The words whose every chunk was acknowledged."""
        missing, sent = self.speaker.missing, self.speaker.sent
        return [
            word
            for word in self.script.words
            if (chunks := range(word.start_ms // CHUNK_MS, (word.end_ms - 1) // CHUNK_MS + 1)).stop <= sent
            and missing.isdisjoint(chunks)
        ]

    async def hold(self) -> None:
        """Speak to the end, and end the session."""
        await asyncio.sleep(self.talk.starts_s)
        try:
            await self.speaker.speak(self.script.pcm)
            await self.speaker.answers()
            await self.speaker.end()
        except CommandError as error:
            self.failure = str(error)

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
        speaker = await stack.enter_async_context(await Speaker.create(http, url, token))
        seats = [Seat(http, url, speaker.session_id, language) for language in talk.languages]
        for seat in seats:
            stack.push_async_callback(seat.leave)
            await seat.sit()
        sessions.append(Session(talk, said, speaker, seats))
    return sessions
