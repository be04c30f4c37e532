"""A listener's end of the WebSocket: what came, when, and each thing once."""

import asyncio
import base64
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from ops.speaker import connect, expect, now_ms, receive

HEARTBEAT_EVERY_S: Final = 30.0
"""A connection silent for 90 s is dropped (row W11)."""


class CaptionShown(msgspec.Struct):
    """A caption as it came. committed: how many characters will not change. at_unix_ms: when it came."""

    utterance_id: str
    revision: int
    text: str
    committed: int
    final: bool
    start_ms: int
    end_ms: int
    at_unix_ms: int


class ClauseHeard(msgspec.Struct):
    """A clause's speech as it came, put together. at_unix_ms: when its first part came."""

    utterance_id: str
    clause: int
    sequence: int
    text: str
    start_ms: int
    end_ms: int
    at_unix_ms: int
    rate_hz: int
    parts: dict[int, bytes]
    of_parts: int

    @property
    def pcm(self) -> bytes:
        """Its sound, parts in order."""
        return b"".join(self.parts[number] for number in sorted(self.parts))

    @property
    def audio_ms(self) -> int:
        """How long it sounds."""
        return len(self.pcm) * 500 // self.rate_hz

    @property
    def missing(self) -> int:
        """Parts that never came."""
        return self.of_parts - len(self.parts)


class Ear:
    """What a listener has got; drops what it has had, and what was said before the first that it heard.

    keeps_sound: whether the sound is kept, or only that it came. rewrites: captions whose committed text changed all
    the same; tail_rewrites: whose text did not just grow. skipped: texts of clauses that came too late to be spoken, as
    the listener was told (`speechSkipped`). earlier: parts of clauses from before its joining: after a crash, broadcast
    gives everyone again what it gave to those who were there.
    """

    def __init__(self, *, keeps_sound: bool = True) -> None:
        self._keeps_sound = keeps_sound
        self.captions: list[CaptionShown] = []
        self.clauses: dict[tuple[str, int], ClauseHeard] = {}
        self.skipped: dict[tuple[str, int], str] = {}
        self.repeats = 0
        self.earlier = 0
        self.rewrites = 0
        self.tail_rewrites = 0
        self._revisions: set[tuple[str, int]] = set()
        self._last: dict[str, CaptionShown] = {}

    def take(self, message: dict[str, Any], at_unix_ms: int) -> None:
        """A message that came."""
        if message.get("type") == "caption":
            self._take_caption(message, at_unix_ms)
        elif message.get("type") == "translatedAudio":
            self._take_audio(message, at_unix_ms)
        elif message.get("type") == "speechSkipped":
            self.skipped[message["utteranceId"], message["clause"]] = message["text"]

    def _take_caption(self, message: dict[str, Any], at_unix_ms: int) -> None:
        key = (message["utteranceId"], message["revision"])
        if key in self._revisions:
            self.repeats += 1
            return
        self._revisions.add(key)
        caption = CaptionShown(
            utterance_id=message["utteranceId"],
            revision=message["revision"],
            text=message["text"],
            committed=message["committed"],
            final=message["isFinal"],
            start_ms=message["startMs"],
            end_ms=message["endMs"],
            at_unix_ms=at_unix_ms,
        )
        before = self._last.get(caption.utterance_id)
        if before is not None:
            if caption.revision < before.revision:
                return  # overtaken: a page would not show it either
            self.rewrites += not caption.text.startswith(before.text[: before.committed])
            self.tail_rewrites += not caption.text.startswith(before.text)
        self._last[caption.utterance_id] = caption
        self.captions.append(caption)

    def _take_audio(self, message: dict[str, Any], at_unix_ms: int) -> None:
        key = (message["utteranceId"], message["clause"])
        clause = self.clauses.get(key)
        if clause is None:
            if message["sequence"] < self._first_sequence(message["sequence"]):
                self.earlier += 1
                return
            clause = self.clauses[key] = ClauseHeard(
                utterance_id=message["utteranceId"],
                clause=message["clause"],
                sequence=message["sequence"],
                text=message["text"],
                start_ms=message["startMs"],
                end_ms=message["endMs"],
                at_unix_ms=at_unix_ms,
                rate_hz=message["sampleRate"],
                parts={},
                of_parts=message["parts"],
            )
        if message["part"] in clause.parts:
            self.repeats += 1
            return
        clause.parts[message["part"]] = base64.b64decode(message["audioData"]) if self._keeps_sound else b""

    def _first_sequence(self, otherwise: int) -> int:
        return next((clause.sequence for clause in self.clauses.values()), otherwise)

    @property
    def heard(self) -> list[ClauseHeard]:
        """Clauses in the order in which they came."""
        return list(self.clauses.values())


class Listener:
    """One listener's connection. on_sound: called whenever speech has come. ear: one for several of its connections.

    ended: it is over, because the listener was told so (`told`), or because the connection has ended.
    """

    def __init__(
        self,
        language: str,
        socket: aiohttp.ClientWebSocketResponse,
        on_sound: Callable[[], None],
        ear: Ear | None = None,
    ) -> None:
        self.language = language
        self.ear = Ear() if ear is None else ear
        self.told = False
        self.ended = asyncio.Event()
        self.closed = asyncio.Event()
        self._socket = socket
        self._on_sound = on_sound
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._beat())]

    @classmethod
    async def join(
        cls,
        session: aiohttp.ClientSession,
        url: str,
        session_id: str,
        language: str,
        on_sound: Callable[[], None],
        ear: Ear | None = None,
    ) -> Self:
        """Connect and join. Raises CommandError."""
        socket = await connect(session, url, action="joinSession", sessionId=session_id, targetLanguage=language)
        await expect(socket, "sessionJoined")
        return cls(language, socket, on_sound, ear)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()

    async def _beat(self) -> None:
        while not self._socket.closed:
            await asyncio.sleep(HEARTBEAT_EVERY_S)
            await self._socket.send_json({"action": "heartbeat"})

    async def _read(self) -> None:
        try:
            while (message := await receive(self._socket)) is not None:
                self.ear.take(message, now_ms())
                if message.get("type") == "sessionEnded":
                    self.told = True
                    self.ended.set()
                elif message.get("type") == "translatedAudio":
                    self._on_sound()
        finally:
            self.closed.set()
            self.ended.set()
