"""What is to be sent on one stream: in order, at the client's pace, if asked late."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

from local.transcribe.http2 import Stream, StreamClosed

MAX_WAITING = 64
"""Messages that may wait for a slow client, about 20 s of partial results. Beyond it the recogniser waits too."""


class Outbox:
    """Sends what is put, from a task of its own. Use it as a context; on leaving it, what was not sent is dropped."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: asyncio.Queue[tuple[float, bytes] | None] = asyncio.Queue(MAX_WAITING)
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.delay_s = 0.0
        """How long each message put from now on is held back."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._send())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.exception()  # it was raised where it mattered, or the session ended for another reason

    async def put(self, data: bytes) -> None:
        """Have a message sent; waits while too many wait. Raises `StreamClosed`."""
        if self._closed:
            raise StreamClosed
        await self._waiting.put((time.monotonic() + self.delay_s, data))

    async def finish(self) -> None:
        """Wait until all is sent; nothing more may be put. Raises `StreamClosed`."""
        if self._closed or self._task is None:
            raise StreamClosed
        await self._waiting.put(None)
        await self._task

    async def _send(self) -> None:
        try:
            while (message := await self._waiting.get()) is not None:
                due_s, data = message
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                await self._stream.send(data)
        finally:
            self._closed = True
            while not self._waiting.empty():  # whoever waits for room is let go, and finds the stream closed
                self._waiting.get_nowait()
