"""A bounded pool of engines with a bounded queue before it: it says when it is full instead of growing.

And `connect`, by which an event loop talks to engines that are processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import IO, Generic, Protocol, TypeVar

_MAX_ANSWER_BYTES = 1 << 20
"""More than any engine answers before its separator, so that a reader never stops for being full."""


class Member(Protocol):
    """What a pool holds: something that costs enough to be kept, and may die."""

    @property
    def alive(self) -> bool:
        """Whether it can serve another request. Once False, it stays so."""

    async def close(self) -> None:
        """Free everything it holds. May be called twice."""


class PoolFull(Exception):
    """All members work and the queue is full; nothing was started."""

    def __init__(self, size: int, waiting: int) -> None:
        super().__init__(f"all {size} engines are busy and {waiting} requests are waiting")


M = TypeVar("M", bound=Member)


class Pool(Generic[M]):
    """At most `size` members, made on demand by `make`, lent one request at a time; at most `max_waiting` wait."""

    def __init__(self, make: Callable[[], Awaitable[M]], *, size: int, max_waiting: int) -> None:
        self._make = make
        self._size = size
        self._max_waiting = max_waiting
        self._slots = asyncio.Semaphore(size)
        self._waiting = 0
        self._idle: list[M] = []
        self._closed = False
        self.made = 0
        """Members started since the beginning: above `size`, some had died."""

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[M]:
        """Lend a member. One that is not alive when it comes back is closed, and replaced when next needed.

        Raises `PoolFull`; what `make` raises passes through.
        """
        if self._slots.locked() and self._waiting >= self._max_waiting:
            raise PoolFull(self._size, self._waiting)
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            member = await self._take()
            try:
                yield member
            finally:
                if member.alive and not self._closed:
                    self._idle.append(member)
                else:
                    await member.close()
        finally:
            self._slots.release()

    async def warm(self) -> None:
        """Make one member now, so that the first request needn't wait for it."""
        async with self.lease():
            pass

    async def close(self) -> None:
        """Close all idle members; those at work are closed when they come back."""
        self._closed = True
        idle, self._idle = self._idle, []
        for member in idle:
            await member.close()

    async def _take(self) -> M:
        while self._idle:  # the last used first, so that a quiet pool keeps one member warm
            member = self._idle.pop()
            if member.alive:
                return member
            await member.close()
        self.made += 1
        return await self._make()


async def connect(source: IO[bytes], sink: IO[bytes]) -> tuple[asyncio.StreamReader, asyncio.WriteTransport]:
    """Read one pipe and write another in the event loop. Closes both if it does not succeed, cancellation included."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_MAX_ANSWER_BYTES)
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        reading, _ = await loop.connect_read_pipe(lambda: protocol, source)
        try:
            writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sink)
        except BaseException:
            reading.close()
            raise
    except BaseException:
        source.close()
        sink.close()
        raise
    return reader, writer
