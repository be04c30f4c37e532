"""What readers may see of each shard: how far it is durable, and its newest records in memory. Pure.

Tail readers live in memory alone; older positions are the store's. The memory of all shards together is
bounded, and the oldest record of all goes first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec


class Stored(msgspec.Struct, frozen=True, gc=False):
    """One record as it is kept: its counter in the shard, arrival time (Unix ms), partition key and bytes."""

    counter: int
    at_ms: int
    key: str
    data: bytes

    @property
    def size_bytes(self) -> int:
        """As the service counts it against limits: data and partition key."""
        return len(self.data) + len(self.key.encode())


class ShardLog:
    """The visible end of one shard. `visible` is the newest durable counter, 0 when there is none."""

    __slots__ = ("_start", "_tail", "visible")

    def __init__(self, visible: int) -> None:
        self.visible = visible
        self._tail: list[Stored] = []
        self._start = 0

    def append(self, record: Stored) -> None:
        """Make a durable record visible; records come in the order of their counters."""
        self._tail.append(record)
        self.visible = record.counter

    def drop_oldest(self) -> Stored:
        """Forget the oldest record in memory; it stays in the store."""
        record = self._tail[self._start]
        self._start += 1
        if self._start > 256 and self._start * 2 > len(self._tail):
            del self._tail[: self._start]
            self._start = 0
        return record

    def newest_from(self, counter: int) -> tuple[list[Stored], int] | None:
        """The tail and the index in it of the first record at or after `counter`.

        None when the tail does not reach back that far, so that the store has to be asked.
        """
        tail, low = self._tail, self._start
        if low == len(tail) or tail[low].counter > counter:
            return None
        high = len(tail)
        # Counters have gaps only where a commit failed, so the guess by distance nearly always hits.
        guess = low + counter - tail[low].counter
        if guess < high and tail[guess].counter == counter:
            return tail, guess
        while low < high:
            middle = (low + high) // 2
            if tail[middle].counter < counter:
                low = middle + 1
            else:
                high = middle
        return tail, low


class Logs:
    """The logs of all shards by `uid`, and the bound on their memory."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._logs: dict[int, ShardLog] = {}
        self._ages: deque[tuple[int, ShardLog]] = deque()  # (bytes, whose), oldest record first

    def open(self, uid: int, visible: int) -> None:
        """Begin a shard's log; `visible` is its newest durable counter."""
        self._logs[uid] = ShardLog(visible)

    def close(self, uid: int) -> None:
        """Forget a deleted shard."""
        log = self._logs.pop(uid)
        self._bytes -= sum(size for size, owner in self._ages if owner is log)
        self._ages = deque(entry for entry in self._ages if entry[1] is not log)

    def __contains__(self, uid: int) -> bool:
        return uid in self._logs

    def __getitem__(self, uid: int) -> ShardLog:
        return self._logs[uid]

    def publish(self, records: Sequence[tuple[int, Stored]]) -> None:
        """Make durable records visible, each with its shard's uid; those of deleted shards are passed over."""
        for uid, record in records:
            log = self._logs.get(uid)
            if log is None:
                continue
            log.append(record)
            size = record.size_bytes
            self._ages.append((size, log))
            self._bytes += size
        while self._bytes > self._max_bytes and len(self._ages) > 1:
            size, log = self._ages.popleft()
            log.drop_oldest()
            self._bytes -= size
