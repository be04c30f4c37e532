"""The speaker's end of the WebSocket: a talk at the speed of speech, as a microphone would give it."""

import asyncio
import base64
import random
import time
from collections import Counter
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from ops.audio_files import SAMPLE_RATE_HZ, Pcm
from ops.errors import CommandError
from ops.outgoing import ANSWER_WITHIN_S, Outgoing

CHUNK_MS: Final = 100
"""20 to a second would do no harm, but a shard takes 1,000 records a second: longer chunks are better."""
ANSWERS_WITHIN_S: Final = 15.0
END_TRIES: Final = 20
END_AGAIN_S: Final = 0.5
ENDED_BEFORE: Final = "SESSION_NOT_FOUND"
"""The answer to another request for the end, if the answer to the first was lost."""


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


async def connect(session: aiohttp.ClientSession, url: str, **query: str) -> aiohttp.ClientWebSocketResponse:
    """Open a WebSocket. Raises CommandError with the status when the gateway refuses."""
    try:
        return await session.ws_connect(url, params=query, max_msg_size=256 * 1024, autoping=True)
    except aiohttp.WSServerHandshakeError as error:
        raise CommandError(f"the gateway refused to {query.get('action')}: HTTP {error.status}") from error
    except aiohttp.ClientError as error:
        raise CommandError(f"the gateway at {url} cannot be reached: {type(error).__name__}") from error


async def receive(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any] | None:
    """The next message, or None when the connection has ended."""
    message = await socket.receive()
    if message.type is not aiohttp.WSMsgType.TEXT:
        return None
    found: dict[str, Any] = msgspec.json.decode(message.data)
    return found


async def expect(socket: aiohttp.ClientWebSocketResponse, wanted: str) -> dict[str, Any]:
    """The first message of a type; an error message, or the connection's end, raises CommandError."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            while True:
                message = await receive(socket)
                if message is None:
                    raise CommandError(f"the gateway closed the connection (code {socket.close_code}) before {wanted}")
                if message.get("type") == wanted:
                    return message
                if message.get("type") == "error":
                    raise CommandError(f"the gateway answered {message.get('code')}: {message.get('message')}")
    except TimeoutError as error:
        raise CommandError(f"the gateway sent no {wanted} within {ANSWERS_WITHIN_S:.0f} s") from error


class Speaker:
    """One speaker's session. started_ms: when the first chunk's first sample was captured (Unix milliseconds).

    Chunks that are refused in passing, or not answered, are sent again (`ops.outgoing`).
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, created: dict[str, Any]) -> None:
        self._socket = socket
        self.session_id: str = created["sessionId"]
        self.started_ms = 0
        self._outgoing = Outgoing(random.random)
        self._messages: dict[int, str] = {}
        self._closed = False
        self._ended = False
        self._end = asyncio.Event()  # something was said that may concern the end
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._answers = asyncio.create_task(self._read())
        self._sender = asyncio.create_task(self._send_chunks())

    @property
    def sent(self) -> int:
        """Chunks that were captured, to be sent."""
        return self._outgoing.sent

    @property
    def acknowledged(self) -> int:
        """Chunks that the gateway has."""
        return self._outgoing.acknowledged

    @property
    def missing(self) -> frozenset[int]:
        """Sequences that the gateway has not, or not yet, acknowledged."""
        return frozenset(self._outgoing.missing)

    @property
    def resent(self) -> int:
        """Messages that repeated a chunk."""
        return self._outgoing.resent

    @property
    def refused(self) -> Counter[str]:
        """Chunks that the gateway would not have, by its code, or that it never answered."""
        return self._outgoing.refused

    @classmethod
    async def create(cls, session: aiohttp.ClientSession, url: str, token: str, language: str = "en-US") -> Self:
        """Connect and create a session. Raises CommandError."""
        socket = await connect(session, url, token=token, action="createSession", sourceLanguage=language)
        return cls(socket, await expect(socket, "sessionCreated"))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in (self._sender, self._answers):
            task.cancel()
        await asyncio.gather(self._sender, self._answers, return_exceptions=True)
        await self._socket.close()

    async def speak(self, pcm: Pcm) -> None:
        """Send the talk, each chunk when its last sample would have been captured. Raises CommandError.

        Another talk goes on with the numbers; what lies between was a speaker who sent nothing.
        """
        samples = CHUNK_MS * SAMPLE_RATE_HZ // 1000
        loop = asyncio.get_running_loop()
        began_ms, began = now_ms(), loop.time()
        self.started_ms = self.started_ms or began_ms
        for number, start in enumerate(range(0, len(pcm), samples), self.sent):
            chunk = pcm[start : start + samples]
            due = began + (start + len(chunk)) / SAMPLE_RATE_HZ
            await asyncio.sleep(max(0.0, due - loop.time()))
            message = {
                "action": "sendAudio",
                "sessionId": self.session_id,
                "sequence": number,
                "timestamp": began_ms + start * 1000 // SAMPLE_RATE_HZ,
                "audioData": base64.b64encode(chunk.astype("<i2").tobytes()).decode(),
            }
            self._messages[number] = msgspec.json.encode(message).decode()
            self._outgoing.add(number, loop.time())
            self._news.set()
            self._check()

    async def answers(self) -> None:
        """Wait until every chunk is answered or given up, or the connection has ended."""
        while not self._outgoing.is_settled() and not self._closed:
            self._settled.clear()
            await self._settled.wait()
            self._check()

    async def end(self) -> None:
        """End the session, asking until it has ended; what was said before is still delivered. Raises CommandError."""
        message = msgspec.json.encode({"action": "endSession", "sessionId": self.session_id}).decode()
        for _ in range(END_TRIES):
            self._end.clear()
            await self._send(message)
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await self._end.wait()
            except TimeoutError:
                continue
            if self._ended or self._closed:
                return
            await asyncio.sleep(END_AGAIN_S)
        raise CommandError(f"the gateway did not end the session, asked {END_TRIES} times")

    def _check(self) -> None:
        if self._sender.done():
            self._sender.result()

    async def _send_chunks(self) -> None:
        """Send what is due, for ever. Raises CommandError."""
        clock = asyncio.get_running_loop().time
        try:
            while True:
                for settled in self._outgoing.give_up_waiting(clock()):
                    self._settle(settled)
                number = self._outgoing.take(clock())
                if number is not None:
                    await self._send(self._messages[number])
                    continue
                self._news.clear()
                await self._wait(self._outgoing.wake_at_s())
        finally:
            self._settled.set()

    async def _wait(self, until_s: float | None) -> None:
        try:
            async with asyncio.timeout_at(until_s):
                await self._news.wait()
        except TimeoutError:
            return

    async def _send(self, message: str) -> None:
        try:
            await self._socket.send_str(message)
        except (ConnectionError, aiohttp.ClientError) as error:
            raise CommandError(f"the gateway closed the speaker's connection after {self.sent} chunks") from error

    def _settle(self, number: int | None) -> None:
        if number is not None:
            del self._messages[number]
        self._settled.set()

    async def _read(self) -> None:
        clock = asyncio.get_running_loop().time
        try:
            while (message := await receive(self._socket)) is not None:
                if message.get("type") == "audioReceived":
                    self._settle(self._outgoing.on_acknowledged(message.get("sequence")))
                elif message.get("type") == "sessionEnded":
                    self._ended = True
                    self._end.set()
                elif message.get("type") == "error":
                    self._ended |= message.get("code") == ENDED_BEFORE
                    self._end.set()
                    number = message.get("details", {}).get("sequence")
                    self._settle(self._outgoing.on_refused(number, str(message.get("code")), clock()))
                self._news.set()
        finally:
            self._closed = True
            self._end.set()
            self._settled.set()
