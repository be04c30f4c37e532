"""Follows a stream from a moment on, across reshards: side inputs, receipts, an engineer's tail.

No leases and no checkpoints: every follower sees everything, parents before children.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from streams.errors import BadRecord, HeraldError, NotFound
from streams.kinesis import Shard, StoredRecord, get_iterator, get_page, is_expired_iterator, list_shards
from streams.records import Record, decode
from streams.stage import Position
from streams.telemetry import Log

POLL_S: Final = 0.25
RELIST_S: Final = 10.0
QUEUE_RECORDS: Final = 1_000


class Tailed(NamedTuple):
    """A record seen. record: None where the bytes are no record of ours (`error` says why)."""

    position: Position
    key: str
    written_ms: int
    data: bytes
    record: Record | None
    error: BadRecord | None


def _decode(stored: StoredRecord) -> Tailed:
    try:
        record, error = decode(stored.data), None
    except BadRecord as bad:
        record, error = None, bad
    return Tailed(stored.position, stored.key, stored.arrived_ms, stored.data, record, error)


async def tail(
    client: Any,
    stream: str,
    *,
    since_ms: int | None = None,
    poll_s: float = POLL_S,
    wanted: Callable[[Shard], bool] = lambda shard: True,
    on_caught_up: Callable[[], None] = lambda: None,
    log: Log | None = None,
) -> AsyncIterator[Tailed]:
    """Records of `stream` (its physical name) from since_ms (Unix milliseconds; None: from its beginning), for ever.

    Order holds within a session. Transient errors are tried again; others are raised as HeraldError. `on_caught_up` is
    called when every shard has been read to its tip at least once. Close the iterator to stop.
    """
    queue: asyncio.Queue[Tailed | BaseException] = asyncio.Queue(QUEUE_RECORDS)
    follower = asyncio.get_running_loop().create_task(
        _Follower(client, stream, since_ms, poll_s, wanted, on_caught_up, log, queue).run()
    )
    follower.add_done_callback(lambda task: _pass_error(task, queue))
    try:
        while True:
            item = await queue.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)


def _pass_error(task: "asyncio.Task[None]", queue: "asyncio.Queue[Tailed | BaseException]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        while queue.full():
            queue.get_nowait()
        queue.put_nowait(error)


class _Follower:
    def __init__(
        self,
        client: Any,
        stream: str,
        since_ms: int | None,
        poll_s: float,
        wanted: Callable[[Shard], bool],
        on_caught_up: Callable[[], None],
        log: Log | None,
        queue: "asyncio.Queue[Tailed | BaseException]",
    ) -> None:
        self._client = client
        self._stream = stream
        self._since_ms = since_ms
        self._poll_s = poll_s
        self._wanted = wanted
        self._on_caught_up = on_caught_up
        self._log = log
        self._queue = queue
        self._ended: set[str] = set()
        self._at_tip: set[str] = set()
        self._caught_up = False
        self._news = asyncio.Event()

    async def run(self) -> None:
        tasks: dict[str, asyncio.Task[None]] = {}
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    shards = await self._list()
                    ids = {shard.shard_id for shard in shards}
                    for shard in shards:
                        waiting = [parent for parent in shard.parents if parent in ids and parent not in self._ended]
                        if shard.shard_id not in tasks and not waiting:
                            tasks[shard.shard_id] = group.create_task(self._follow(shard))
                    self._note_tip(ids)
                    self._news.clear()
                    try:
                        async with asyncio.timeout(RELIST_S):
                            await self._news.wait()
                    except TimeoutError:
                        continue
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def _note_tip(self, ids: set[str]) -> None:
        if not self._caught_up and ids <= self._at_tip | self._ended:
            self._caught_up = True
            self._on_caught_up()

    async def _list(self) -> list[Shard]:
        while True:
            try:
                return [shard for shard in await list_shards(self._client, self._stream) if self._wanted(shard)]
            except HeraldError as error:
                await self._pause(error)

    async def _pause(self, error: HeraldError) -> None:
        if not error.retryable:
            raise error
        if self._log is not None:
            self._log.warning("tail", "trying again", code=error.code)
        await asyncio.sleep(self._poll_s * 2)

    async def _follow(self, shard: Shard) -> None:
        after: Position | None = None
        iterator: str | None = None
        while True:
            try:
                if iterator is None:
                    iterator = await get_iterator(self._client, self._stream, shard.shard_id, **self._start(after))
                page = await get_page(self._client, shard.shard_id, iterator)
            except NotFound:
                if shard.is_open:
                    raise
                page = None  # a closed shard went with its last records
            except HeraldError as error:
                if is_expired_iterator(error):
                    iterator = None
                    continue
                await self._pause(error)
                continue
            if page is None:
                break
            for stored in page.records:
                after = stored.position
                await self._queue.put(_decode(stored))
            if page.behind_ms == 0 and shard.shard_id not in self._at_tip:
                self._at_tip.add(shard.shard_id)
                self._news.set()
            if page.iterator is None:
                break
            iterator = page.iterator
            await asyncio.sleep(self._poll_s)
        self._ended.add(shard.shard_id)
        self._news.set()

    def _start(self, after: Position | None) -> dict[str, Any]:
        if after is not None:
            return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(after.sequence)}
        if self._since_ms is None:
            return {"ShardIteratorType": "TRIM_HORIZON"}
        moment = datetime.fromtimestamp(self._since_ms / 1000, UTC)
        return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": moment}
