"""So many at once, and nobody's many before another's few: slots that sessions take in turn.

A semaphore serves who asked first, and a session that asks five hundred times at once is first five hundred times. Here
each session has a queue of its own, and a slot that becomes free goes to the next session.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Slots:
    """count: how many may be held at once. One event loop uses it."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def of(self, session_id: str) -> AsyncIterator[None]:
        """Wait for a slot, and hold it as long as this lasts."""
        await self._take(session_id)
        try:
            yield
        finally:
            self._give_back()

    def waiting(self) -> int:
        """How many wait."""
        return sum(not asked.done() for queue in self._queues.values() for asked in queue)

    async def _take(self, session_id: str) -> None:
        if self._free:
            self._free -= 1
            return
        asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(session_id, deque()).append(asked)
        try:
            await asked
        except asyncio.CancelledError:
            if asked.done() and not asked.cancelled():
                self._give_back()  # it was given in the same moment
            raise

    def _give_back(self) -> None:
        while self._queues:
            session_id, queue = self._queues.popitem(last=False)
            asked = queue.popleft()
            if queue:
                self._queues[session_id] = queue
            if not asked.done():
                asked.set_result(None)
                return
        self._free += 1
