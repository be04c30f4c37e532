"""The speaker's end of the WebSocket: a talk at the speed of speech, as a microphone would give it."""

import asyncio
import base64
import time
from collections import Counter
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from ops.audio_files import SAMPLE_RATE_HZ, Pcm
from ops.errors import CommandError

CHUNK_MS: Final = 100
"""20 to a second would do no harm, but a shard takes 1,000 records a second: longer chunks are better."""
ANSWERS_WITHIN_S: Final = 15.0
HEARTBEAT_S: Final = 30.0


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
    """One speaker's session. started_ms: when the first chunk's first sample was captured (Unix milliseconds)."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, created: dict[str, Any]) -> None:
        self._socket = socket
        self.session_id: str = created["sessionId"]
        self.started_ms = 0
        self.sent = 0
        self.acknowledged = 0
        self.refused: Counter[str] = Counter()
        self._answers = asyncio.create_task(self._read())
        self._answered = asyncio.Event()

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
        self._answers.cancel()
        await asyncio.gather(self._answers, return_exceptions=True)
        await self._socket.close()

    async def speak(self, pcm: Pcm) -> None:
        """Send the talk, each chunk when its last sample would have been captured."""
        samples = CHUNK_MS * SAMPLE_RATE_HZ // 1000
        loop = asyncio.get_running_loop()
        self.started_ms = now_ms()
        began = loop.time()
        for number, start in enumerate(range(0, len(pcm), samples)):
            chunk = pcm[start : start + samples]
            due = began + (start + len(chunk)) / SAMPLE_RATE_HZ
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._send(
                action="sendAudio",
                sessionId=self.session_id,
                sequence=number,
                timestamp=self.started_ms + start * 1000 // SAMPLE_RATE_HZ,
                audioData=base64.b64encode(chunk.astype("<i2").tobytes()).decode(),
            )
            self.sent += 1

    async def answers(self) -> None:
        """Wait until every chunk is answered, but not for ever."""
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                while self.acknowledged + sum(self.refused.values()) < self.sent:
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            return  # what is not answered shows in the counts

    async def end(self) -> None:
        """End the session; what was said before is still delivered."""
        await self._send(action="endSession", sessionId=self.session_id)

    async def _send(self, **message: object) -> None:
        try:
            await self._socket.send_str(msgspec.json.encode(message).decode())
        except (ConnectionError, aiohttp.ClientError) as error:
            raise CommandError(f"the gateway closed the speaker's connection after {self.sent} chunks") from error

    async def _read(self) -> None:
        while (message := await receive(self._socket)) is not None:
            if message.get("type") == "audioReceived":
                self.acknowledged += 1
            elif message.get("type") == "error":
                self.refused[str(message.get("code"))] += 1
            self._answered.set()
        self._answered.set()
