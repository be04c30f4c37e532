"""The service's state: streams, what is written but not yet durable, what readers may see.

Synchronous and without a clock. The rule that makes readers safe: a record gets its place in the shard when
it is accepted, all accepted records become durable in one write in that order, and only then are they
visible and acknowledged. So within a shard the order of sequence numbers is the order of visibility, and a
reader that has seen a record will never find one before it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import msgspec

from local.kinesis import errors
from local.kinesis.limits import GET_RECORDS_MAX_BYTES, SHARDS_PER_ACCOUNT, ShardLimits
from local.kinesis.log import Logs, Stored
from local.kinesis.model import Change, Shard, Status, Stream
from local.kinesis.store import Store, StoreError

_TRIM_ROWS = 2_000  # at a time, so that a reader never waits for a large deletion


class Options(msgspec.Struct, frozen=True):
    """How the twin differs from the service, where time would make tests long.

    `limit_scale` multiplies the throughput limits; None switches all of them off. `transition_ms` is how
    long a stream stays CREATING, UPDATING or DELETING (the service takes seconds to minutes), `hour_ms` the
    length of an hour of retention, `subscription_ms` the life of a SubscribeToShard call.
    """

    limit_scale: float | None = 1.0
    transition_ms: int = 100
    hour_ms: int = 3_600_000
    subscription_ms: int = 300_000
    heartbeat_ms: int = 5_000
    shards_per_account: int = SHARDS_PER_ACCOUNT
    cache_bytes: int = 32 << 20


class Batch(msgspec.Struct):
    """What one read found, and where the next goes on."""

    records: list[Stored]
    next_counter: int
    next_at_ms: int | None  # arrival of the first visible record that was not returned


class Group:
    """Records that become durable together, and who waits for it: each is called with the failure or None."""

    __slots__ = ("records", "waiters")

    def __init__(self) -> None:
        self.records: list[tuple[int, Stored]] = []
        self.waiters: list[Callable[[StoreError | None], None]] = []


class Twin:
    """One account's Kinesis in one region."""

    def __init__(self, store: Store, options: Options) -> None:
        self.options = options
        self.streams: dict[str, Stream] = {}
        self._store = store
        self._logs = Logs(options.cache_bytes)
        self._limits: dict[int, ShardLimits] = {}
        self._watchers: dict[int, set[Callable[[], None]]] = {}
        self.group = Group()
        for stream in store.streams():
            self.streams[stream.name] = stream
            for shard in stream.shards:
                self._logs.open(shard.uid, shard.last_counter)
        newest_uid = max((shard.uid for stream in self.streams.values() for shard in stream.shards), default=0)
        self._uids: Iterator[int] = itertools.count(newest_uid + 1)

    # Streams

    def stream(self, name: str, now_ms: int) -> Stream:
        """A stream by name, with every transition that is due made true.

        Raises:
            KinesisError: there is none.
        """
        stream = self.streams.get(name)
        if stream is not None and stream.until_ms:
            self._settle(stream, now_ms)
            stream = self.streams.get(name)
        if stream is None:
            raise errors.stream_not_found(name)
        return stream

    def create(self, stream: Stream, shard_count: int) -> None:
        """Add a stream; it is CREATING at first."""
        stream.populate(shard_count, self._uids)
        self._open_logs(stream)
        self.streams[stream.name] = stream
        self.begin(stream, "CREATING", stream.created_ms)

    def save(self, stream: Stream) -> None:
        """Make a change of a stream's description durable."""
        self._store.save(stream)

    def begin(self, stream: Stream, status: Status, now_ms: int, change: Change | None = None) -> None:
        """Put a stream into a passing state; when that is over, `change` has been made or the stream is gone."""
        stream.status, stream.until_ms = status, now_ms + self.options.transition_ms
        stream.pending = change
        self._store.save(stream)
        self._settle(stream, now_ms)

    def settle(self, now_ms: int) -> int | None:
        """Make every transition that is due true; when the next one is due (Unix ms), if any."""
        for stream in list(self.streams.values()):
            if stream.until_ms:
                self._settle(stream, now_ms)
        return min((stream.until_ms for stream in self.streams.values() if stream.until_ms), default=None)

    def _settle(self, stream: Stream, now_ms: int) -> None:
        if now_ms < stream.until_ms:
            return
        if stream.status == "DELETING":
            self.commit()
            self._store.delete(stream)
            del self.streams[stream.name]
            for shard in stream.shards:
                self._logs.close(shard.uid)
                self._limits.pop(shard.uid, None)
                self.notify([shard.uid])
                self._watchers.pop(shard.uid, None)
            return
        if stream.pending is not None:
            # What was accepted for the parents must be durable before they close.
            self.commit()
            stream.apply(stream.pending, now_ms, self._uids)
            stream.pending = None
            self._open_logs(stream)
            self.notify(shard.uid for shard in stream.shards if not shard.is_open)
        stream.status, stream.until_ms = "ACTIVE", 0
        self._store.save(stream)

    def _open_logs(self, stream: Stream) -> None:
        for shard in stream.shards:
            if shard.uid not in self._logs:
                self._logs.open(shard.uid, shard.last_counter)

    # Writing

    def accept(self, shard: Shard, key: str, data: bytes, now_ms: int) -> int | None:
        """Give a record its place in a shard; its counter, or None when the shard's write limit refuses it.

        Nobody sees the record before the next `commit`.
        """
        limits = self._shard_limits(shard, now_ms)
        if limits is not None and not limits.admit_write(len(data) + len(key.encode()), now_ms):
            return None
        counter = shard.accept(now_ms)
        self.group.records.append((shard.uid, Stored(counter, shard.last_at_ms, key, data)))
        return counter

    def commit(self) -> None:
        """Make all accepted records durable, then visible; then tell who waits for them, and who watches.

        Raises:
            StoreError: it failed; then none of the records is visible, now or later.
        """
        group, self.group = self.group, Group()
        failure: StoreError | None = None
        try:
            self._store.append(group.records)
        except StoreError as error:
            failure = error
            raise
        else:
            self._logs.publish(group.records)
            self.notify({uid for uid, _ in group.records})
        finally:
            for waiter in group.waiters:
                waiter(failure)

    def watch(self, shard: Shard, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called when the shard grows, ends or is deleted; returns what stops that."""
        watchers = self._watchers.setdefault(shard.uid, set())
        watchers.add(callback)
        return lambda: watchers.discard(callback)

    def notify(self, uids: Iterable[int]) -> None:
        """Call who watches these shards."""
        if self._watchers:
            for uid in uids:
                for callback in tuple(self._watchers.get(uid, ())):
                    callback()

    def _shard_limits(self, shard: Shard, now_ms: int) -> ShardLimits | None:
        scale = self.options.limit_scale
        if scale is None:
            return None
        limits = self._limits.get(shard.uid)
        if limits is None:
            limits = self._limits[shard.uid] = ShardLimits(scale, now_ms)
        return limits

    # Reading

    def visible(self, shard: Shard) -> int:
        """The counter of a shard's newest durable record; 0 when it has none."""
        return self._logs[shard.uid].visible

    def admit_read(self, shard: Shard, now_ms: int) -> bool:
        """Take one GetRecords call from the shard's limits."""
        limits = self._shard_limits(shard, now_ms)
        return limits is None or limits.admit_read(now_ms)

    def charge_read(self, shard: Shard, size_bytes: int, now_ms: int) -> None:
        """Account for what GetRecords returns."""
        limits = self._shard_limits(shard, now_ms)
        if limits is not None:
            limits.charge_read(size_bytes)

    def locate_time(self, shard: Shard, at_ms: int) -> int:
        """The counter to read from so as to see what arrived at or after a time."""
        visible = self.visible(shard)
        found = self._store.first_at(shard.uid, at_ms, visible)
        return visible + 1 if found is None else found

    def read(self, stream: Stream, shard: Shard, counter: int, limit: int, now_ms: int) -> Batch:
        """Visible, unexpired records from `counter` on: `limit` records and 10 MiB at the most."""
        log = self._logs[shard.uid]
        if counter > log.visible:
            return Batch([], counter, None)
        horizon_ms = self.horizon_ms(stream, now_ms)
        batch = self._read(shard.uid, counter, limit)
        oldest_ms = batch.records[0].at_ms if batch.records else batch.next_at_ms
        if oldest_ms is not None and oldest_ms < horizon_ms:
            start = self.locate_time(shard, horizon_ms)
            batch = Batch([], start, None) if start > log.visible else self._read(shard.uid, start, limit)
        return batch

    def _read(self, uid: int, counter: int, limit: int) -> Batch:
        records: list[Stored] = []
        size = 0
        for record in self._from(uid, counter, limit + 1):
            size += record.size_bytes
            if len(records) == limit or (size > GET_RECORDS_MAX_BYTES and records):
                return Batch(records, record.counter, record.at_ms)
            records.append(record)
        return Batch(records, self._logs[uid].visible + 1, None)

    def _from(self, uid: int, counter: int, limit: int) -> Iterator[Stored]:
        cached = self._logs[uid].newest_from(counter)
        if cached is None:
            return self._store.read(uid, counter, limit)
        tail, start = cached
        return iter(tail[start : start + limit])

    # Retention

    def horizon_ms(self, stream: Stream, now_ms: int) -> int:
        """Records that arrived before it have expired."""
        return now_ms - stream.retention_hours * self.options.hour_ms

    def trim(self, now_ms: int) -> int:
        """Delete some expired records; how many. Call again while it is not 0."""
        deleted = 0
        for stream in self.streams.values():
            horizon_ms = self.horizon_ms(stream, now_ms)
            for shard in stream.shards:
                oldest = self._store.oldest(shard.uid)
                if oldest is None or oldest[1] >= horizon_ms:
                    continue
                # The numbering must go on after a restart that finds no record left.
                self._store.save(stream)
                deleted += self._store.trim(shard.uid, self.locate_time(shard, horizon_ms), _TRIM_ROWS)
        return deleted
