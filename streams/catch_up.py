"""Reads a shard again for its parked sessions: one reader for all of them, slow enough to leave the others theirs.

Who is read on, and from where, is `parking`'s to say; this only reads. It has the shard's reads from the log, not from
a runner, so it works under any of them.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from streams.errors import HeraldError, NotFound
from streams.kinesis import StoredRecord, get_iterator, get_page, is_expired_iterator
from streams.parking import Place
from streams.telemetry import Log

READ_EVERY_S: Final = 1.0
"""Of the 5 reads per second and shard the stages' pollers take 4; this is the fifth, shared with operators' tails."""
SLOWEST_S: Final = 8.0
"""Between two reads when the shard throttles: who catches up gives way."""
BYTES_PER_S: Final = 1_000_000
"""Of the shard's 2 MB/s: what two consumers of a half full shard leave, three times as fast as ten people speak."""
TYPICAL_BYTES: Final = 3_300
MAX_RECORDS: Final = 1_000
LOOK_EVERY_S: Final = 0.1
KEPT_PAGES: Final = 2
"""A session takes 2.5 s of a page's audio at a time, and those that were parked together stand a little apart: a page
would have to be read again for each such step of each session."""


class InputLog(NamedTuple):
    """A stage's input stream, to be read beside the runner."""

    client: Any
    stream: str


class _Page(NamedTuple):
    """What was read from `start`, without a gap."""

    start: Place
    records: Sequence[StoredRecord]

    def after(self, start: Place) -> Sequence[StoredRecord]:
        """What is there from `start` on; nothing if that lies outside."""
        if start < self.start or start.position.shard_id != self.start.position.shard_id:
            return ()
        return [stored for stored in self.records if Place(stored.position, after=False) >= start]


class Reader(Protocol):
    """Whose sessions are parked: `ShardRuntime`."""

    def anyone_parked(self) -> bool:
        """Whether there is anything to do at all."""

    def read_on_from(self) -> Place | None:
        """Where to read; None: nobody has room now."""

    def take_again(self, start: Place, records: Sequence[StoredRecord]) -> bool:
        """What is there, in order, without a gap. False: not all of it could be offered."""

    def on_shard_end(self, start: Place) -> None:
        """There is no more in that shard, or the shard is gone."""


class CatchUp:
    """The reader of one shard's parked sessions."""

    def __init__(self, source: InputLog, reader: Reader, log: Log) -> None:
        self._source = source
        self._reader = reader
        self._log = log
        self._every_s = READ_EVERY_S
        self._mean_bytes = float(TYPICAL_BYTES)
        self._next: tuple[Place, str] | None = None  # an iterator, and where it stands
        self._pages: deque[_Page] = deque(maxlen=KEPT_PAGES)
        self._may_read_at_s = 0.0

    async def run(self) -> None:
        """Until nobody is parked any more; it may be run again then. Raises HeraldError when no other try will help."""
        clock = asyncio.get_running_loop().time
        while self._reader.anyone_parked():
            start = self._reader.read_on_from()
            if start is not None and (records := self._at_hand(start)):
                await asyncio.sleep(0 if self._reader.take_again(start, records) else LOOK_EVERY_S)
            elif start is None or clock() < self._may_read_at_s:
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                began_s = clock()
                read_bytes = await self._try_to_read(start)
                self._may_read_at_s = began_s + max(self._every_s, read_bytes / BYTES_PER_S)
        self._pages.clear()

    def _at_hand(self, start: Place) -> Sequence[StoredRecord]:
        """What need not be read again."""
        return next((records for page in self._pages if (records := page.after(start))), ())

    async def _try_to_read(self, start: Place) -> int:
        try:
            read_bytes = await self._read(start)
        except HeraldError as error:
            self._next = None
            self._on_error(start, error)
            return 0
        self._every_s = max(READ_EVERY_S, self._every_s / 2)
        return read_bytes

    def _on_error(self, start: Place, error: HeraldError) -> None:
        if is_expired_iterator(error):
            return
        shard_id = start.position.shard_id
        if isinstance(error, NotFound):
            self._log.error("catchUp", "a shard's rest is gone, its retention is over", shard=shard_id)
            self._reader.on_shard_end(start)
            return
        if not error.retryable:
            raise error
        self._every_s = min(SLOWEST_S, 2 * self._every_s)
        self._log.warning("catchUp", "trying again", shard=shard_id, code=error.code)

    async def _read(self, start: Place) -> int:
        """Read one page; its size in bytes."""
        if self._next is None or self._next[0] != start:
            self._next = (start, await self._iterator(start))
        limit = max(10, min(MAX_RECORDS, round(BYTES_PER_S / self._mean_bytes)))
        page = await get_page(self._source.client, start.position.shard_id, self._next[1], limit)
        size = sum(len(stored.data) for stored in page.records)
        at = start
        if page.records:
            self._mean_bytes = max(1.0, size / len(page.records))
            at = Place(page.records[-1].position, after=True)
            self._pages.append(_Page(start, page.records))
        self._next = (at, page.iterator) if page.iterator is not None else None
        if self._reader.take_again(start, page.records) and page.iterator is None:
            self._reader.on_shard_end(start)
        return size

    async def _iterator(self, start: Place) -> str:
        kind = "AFTER_SEQUENCE_NUMBER" if start.after else "AT_SEQUENCE_NUMBER"
        shard_id, sequence = start.position
        return await get_iterator(
            self._source.client,
            self._source.stream,
            shard_id,
            ShardIteratorType=kind,
            StartingSequenceNumber=str(sequence),
        )
