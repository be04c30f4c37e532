"""Kinesis, as stages and ingest use it: an ordered, batching writer, and shards as data."""

import asyncio
import hashlib
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from streams.aws import as_error
from streams.breakers import Guard
from streams.errors import HeraldError, Unavailable
from streams.fence import LOOK_EVERY_S
from streams.policy import backoff_ms
from streams.stage import Position

MAX_BATCH_RECORDS: Final = 500
MAX_BATCH_BYTES: Final = 4_500_000
"""PutRecords takes 500 records and 5 MiB, keys included."""
MAX_IN_FLIGHT: Final = 4
MAX_HASH: Final = 2**128 - 1


class Shard(NamedTuple):
    """A shard and its place in the lineage. last: None while it is open."""

    shard_id: str
    parents: tuple[str, ...]
    start_hash: int
    end_hash: int
    is_open: bool

    def holds(self, key: str) -> bool:
        """Whether records with this partition key are in its range."""
        return self.start_hash <= hash_of(key) <= self.end_hash

    def overlaps(self, other: "Shard") -> bool:
        """Whether the ranges have a key in common."""
        return self.start_hash <= other.end_hash and other.start_hash <= self.end_hash


class StoredRecord(NamedTuple):
    """A record as the stream has it. arrived_ms: Kinesis' approximate arrival time."""

    position: Position
    key: str
    data: bytes
    arrived_ms: int


def hash_of(key: str) -> int:
    """Where a partition key falls: MD5 as a 128-bit number, the service's own rule."""
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest(), "big")


async def list_shards(client: Any, stream: str) -> list[Shard]:
    """All shards that still have records, in the service's order (parents first). Raises HeraldError."""
    shards: list[Shard] = []
    arguments: dict[str, Any] = {"StreamName": stream}
    while True:
        try:
            page = await client.list_shards(**arguments)
        except Exception as error:
            raise as_error(error, f"listing the shards of {stream}") from error
        shards += [_shard(row) for row in page["Shards"]]
        if not page.get("NextToken"):
            return shards
        arguments = {"NextToken": page["NextToken"]}


def _shard(row: dict[str, Any]) -> Shard:
    parents = (row.get("ParentShardId"), row.get("AdjacentParentShardId"))
    return Shard(
        shard_id=row["ShardId"],
        parents=tuple(parent for parent in parents if parent),
        start_hash=int(row["HashKeyRange"]["StartingHashKey"]),
        end_hash=int(row["HashKeyRange"]["EndingHashKey"]),
        is_open="EndingSequenceNumber" not in row["SequenceNumberRange"],
    )


class Page(NamedTuple):
    """What one GetRecords gave. iterator: None at the shard's end."""

    records: list[StoredRecord]
    iterator: str | None
    behind_ms: int


async def get_iterator(client: Any, stream: str, shard_id: str, **start: Any) -> str:
    """An iterator; `start` as in GetShardIterator (ShardIteratorType=...). Raises HeraldError."""
    try:
        answer = await client.get_shard_iterator(StreamName=stream, ShardId=shard_id, **start)
    except Exception as error:
        raise as_error(error, f"an iterator for {shard_id} of {stream}") from error
    return str(answer["ShardIterator"])


async def get_page(client: Any, shard_id: str, iterator: str, limit: int = 10_000) -> Page:
    """The next records. Raises HeraldError; code ExpiredIteratorException wants a new iterator."""
    try:
        answer = await client.get_records(ShardIterator=iterator, Limit=limit)
    except Exception as error:
        raise as_error(error, f"reading {shard_id}") from error
    records = [
        StoredRecord(
            Position(shard_id, int(row["SequenceNumber"])),
            row["PartitionKey"],
            row["Data"],
            round(row["ApproximateArrivalTimestamp"].timestamp() * 1000),
        )
        for row in answer["Records"]
    ]
    return Page(records, answer.get("NextShardIterator"), int(answer.get("MillisBehindLatest", 0)))


class _Pending(NamedTuple):
    key: str
    data: bytes
    done: "asyncio.Future[Position]"
    may_go: Callable[[], bool]
    together: bool


class OrderedWriter:
    """Writes records in shared PutRecords, in order within each key.

    A key has one record in flight at the most, so a partial failure, sent again, cannot overtake or be overtaken. What
    fails in passing is sent again with full jitter, for ever or `attempts` times; a record that is given up takes those
    of its key that wait behind it with it, so that whoever puts it again finds none of them ahead.

    Records whose readers can put them in order (chunks with a number, row A4) may share a request with others of their
    key: then a key goes as fast as it is put, not one record a round trip, and a partial failure lets later ones pass.

    pace_s: from the start of a request of several records to that of the next, at the least, so that under load each
    takes more of them. One that comes alone holds up nobody.

    guard: asked before each try, told what became of it. A stream that refuses some records is there: only what fails
    as a whole counts.
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        attempts: int | None = None,
        in_flight: int = MAX_IN_FLIGHT,
        guard: Guard | None = None,
        pace_s: float = 0.0,
    ) -> None:
        self._client = client
        self._pace_s = pace_s
        self._next_at_s = 0.0
        self._stream = stream
        self._attempts = attempts
        self._in_flight = in_flight
        self._guard = guard
        self._queues: OrderedDict[str, deque[_Pending]] = OrderedDict()  # keys whose head may go
        self._busy: dict[str, deque[_Pending]] = {}  # keys with records in flight, and what waits behind them
        self._flying: dict[str, int] = {}  # how many those are
        self._sends: set[asyncio.Task[None]] = set()
        self._starting: asyncio.Handle | None = None  # what will look whether something may go

    def put(
        self, key: str, data: bytes, may_go: Callable[[], bool] = lambda: True, *, together: bool = False
    ) -> "asyncio.Future[Position]":
        """Write a record; the future has its place when it is durable, or a HeraldError.

        may_go: asked before each try; while it says no, the record waits. together: it may share a request with the one
        before it of its key, if that may too. Cancelling the future withdraws the record: it is not sent, or not again.
        """
        pending = _Pending(key, data, asyncio.get_running_loop().create_future(), may_go, together)
        queue = self._busy.get(key)
        if queue is None:
            self._queues.setdefault(key, deque()).append(pending)
            self._start_soon()
        else:
            queue.append(pending)
        return pending.done

    async def close(self) -> None:
        """Stop sending; what is not durable stays unconfirmed."""
        if self._starting is not None:
            self._starting.cancel()
        for task in self._sends:
            task.cancel()
        await asyncio.gather(*self._sends, return_exceptions=True)

    def _start_soon(self) -> None:
        """Whatever is put, or may go, in this turn of the loop shares a batch."""
        if self._starting is None:
            self._starting = asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._starting = None
        loop = asyncio.get_running_loop()
        while self._queues and len(self._sends) < self._in_flight:
            if (now_s := loop.time()) < self._next_at_s:
                self._starting = loop.call_at(self._next_at_s, self._start)
                return
            batch = self._take_batch()
            self._next_at_s = now_s + self._pace_s if len(batch) > 1 else now_s
            task = loop.create_task(self._send(batch))
            self._sends.add(task)
            task.add_done_callback(self._sent)

    def _take_batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size = 0
        while self._queues:
            key, queue = next(iter(self._queues.items()))
            taken = 0
            while queue and (not taken or (batch[-1].together and queue[0].together)):
                size += len(queue[0].data) + len(key)
                if batch and (size > MAX_BATCH_BYTES or len(batch) == MAX_BATCH_RECORDS):
                    break
                batch.append(queue.popleft())
                taken += 1
            if not taken:
                break
            self._busy[key] = self._queues.pop(key)
            self._flying[key] = taken
        return batch

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sends.discard(task)
        if not task.cancelled():
            task.result()
            if self._starting is None:
                self._start()

    async def _send(self, batch: list[_Pending]) -> None:
        attempt = 0
        while True:
            attempt += 1
            batch = await self._when_it_may_go(batch)
            if not batch:
                return
            try:
                batch, error = await self._try(batch)
            except Exception as unforeseen:  # noqa: BLE001 - whoever waits for a place must learn of it
                for pending in batch:
                    self._settle(pending, unforeseen)
                return
            if error is None:
                return
            if not error.retryable or (self._attempts is not None and attempt >= self._attempts):
                for pending in batch:
                    self._settle(pending, error)
                return
            await asyncio.sleep(backoff_ms(attempt, random.random) / 1000)

    async def _when_it_may_go(self, batch: list[_Pending]) -> list[_Pending]:
        """What is to be sent of the batch, now: all of it has leave, and the breaker lets it pass."""
        while batch := self._without_withdrawn(batch):
            if all(pending.may_go() for pending in batch) and (self._guard is None or self._guard.may_call()):
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return batch

    def _without_withdrawn(self, batch: list[_Pending]) -> list[_Pending]:
        """The batch without the records whose futures were cancelled; their keys are free again."""
        for pending in batch:
            if pending.done.cancelled():
                self._landed(pending.key)
        return [pending for pending in batch if not pending.done.cancelled()]

    async def _try(self, batch: list[_Pending]) -> tuple[list[_Pending], HeraldError | None]:
        """What is left of the batch, and why; without a reason nothing is."""
        records = [{"Data": pending.data, "PartitionKey": pending.key} for pending in batch]
        called_ms = time.time_ns() // 1_000_000
        try:
            answer = await self._client.put_records(StreamName=self._stream, Records=records)
        except Exception as failed:  # noqa: BLE001 - as_error raises what is not the service's
            error = as_error(failed, f"writing to {self._stream}")
            self._tell_guard(error, called_ms)
            return batch, error
        except BaseException:
            if self._guard is not None:
                self._guard.abandoned()
            raise
        self._tell_guard(None, called_ms)
        left: list[_Pending] = []
        failure: HeraldError | None = None
        for pending, row in zip(batch, answer["Records"], strict=True):
            if row.get("ErrorCode"):
                left.append(pending)
                failure = Unavailable(f"writing to {self._stream}: {row['ErrorCode']}", code=row["ErrorCode"])
            else:
                self._settle(pending, Position(row["ShardId"], int(row["SequenceNumber"])))
        return left, failure

    def _tell_guard(self, error: HeraldError | None, called_ms: int) -> None:
        if self._guard is None:
            return
        if error is not None and error.retryable:
            self._guard.failed(error.code, called_ms)
        else:
            self._guard.succeeded()

    def _landed(self, key: str) -> None:
        """One record less of this key is in flight; after the last, what waits behind them may go."""
        self._flying[key] -= 1
        if self._flying[key]:
            return
        del self._flying[key]
        queue = self._busy.pop(key)
        if queue:
            self._queues[key] = queue
            self._start_soon()

    def _settle(self, pending: _Pending, result: Position | Exception) -> None:
        behind: Iterable[_Pending] = ()
        if isinstance(result, Exception):
            behind, self._busy[pending.key] = self._busy[pending.key], deque()
        self._landed(pending.key)
        for one in (pending, *behind):
            if one.done.done():
                continue
            if isinstance(result, Position):
                one.done.set_result(result)
            else:
                one.done.set_exception(result)


def is_expired_iterator(error: HeraldError) -> bool:
    """Whether a new iterator is all that is needed."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and error.code == "ExpiredIteratorException"
