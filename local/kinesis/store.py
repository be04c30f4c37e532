"""The durable store: SQLite in WAL mode, one transaction per group of writes.

A record's row id is its shard's uid and its counter in one integer, so a shard's records lie together in
the order of reading and need no second index. A stream's description (shards, lineage, tags, consumers) is
one MessagePack blob, written whole: a change of topology is one row and one transaction.

A committed transaction survives the death of this process at any moment. It survives a power cut too,
except for the last moments before it (`synchronous=normal`: the log is synced at checkpoints only).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from local.kinesis.log import Stored
from local.kinesis.model import Stream

_COUNTER_BITS = 42  # 4.4e12 records in one shard, and 2e6 shards in one store
_COUNTER_LIMIT = 1 << _COUNTER_BITS

_SCHEMA = """
pragma page_size=4096;
pragma journal_mode=wal;
pragma synchronous=normal;
pragma cache_size=-16384;
pragma wal_autocheckpoint=8000;
create table if not exists stream(name text primary key, body blob not null) without rowid;
create table if not exists record(
  id integer primary key, at_ms integer not null, key text not null, data blob not null);
"""


class StoreError(Exception):
    """The store cannot be opened or written."""


class Store:
    """Streams and records on disk, or in memory when `directory` is None. One thread."""

    def __init__(self, directory: Path | None) -> None:
        """Open or create the store.

        Raises:
            StoreError: the directory cannot be written, or another process has it open.
        """
        location = ":memory:"
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            location = str(directory / "kinesis.sqlite")
        try:
            self._db = sqlite3.connect(location, isolation_level=None, timeout=0)
            # Two processes on one store would number records twice.
            self._db.execute("pragma locking_mode=exclusive")
            self._db.executescript(_SCHEMA)
            self._db.execute("begin immediate")
            self._db.execute("commit")
        except sqlite3.Error as error:
            raise StoreError(f"cannot open {location}: {error}") from error
        self._encoder = msgspec.msgpack.Encoder()

    def close(self) -> None:
        """Write everything to the main file and let go of it."""
        self._db.close()

    def streams(self) -> list[Stream]:
        """All streams; each shard's `last_counter` and `last_at_ms` are those of its newest durable record."""
        decoder = msgspec.msgpack.Decoder(Stream)
        streams = [decoder.decode(body) for (body,) in self._db.execute("select body from stream order by name")]
        for stream in streams:
            for shard in stream.shards:
                newest = self._db.execute(
                    "select id, at_ms from record where id between ? and ? order by id desc limit 1",
                    _id_range(shard.uid, 0),
                ).fetchone()
                if newest is not None:
                    shard.last_counter = max(shard.last_counter, newest[0] % _COUNTER_LIMIT)
                    shard.last_at_ms = max(shard.last_at_ms, newest[1])
        return streams

    def append(self, records: Iterable[tuple[int, Stored]]) -> None:
        """Write records, each with its shard's uid, in one transaction.

        Raises:
            StoreError: none of them was written.
        """
        rows = (
            (uid << _COUNTER_BITS | record.counter, record.at_ms, record.key, record.data) for uid, record in records
        )
        try:
            self._db.execute("begin")
            self._db.executemany("insert into record values(?, ?, ?, ?)", rows)
            self._db.execute("commit")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise StoreError(f"records not written: {error}") from error

    def save(self, stream: Stream) -> None:
        """Write a stream's description."""
        self._db.execute("insert or replace into stream values(?, ?)", (stream.name, self._encoder.encode(stream)))

    def delete(self, stream: Stream) -> None:
        """Remove a stream and its records."""
        self._db.execute("begin")
        self._db.execute("delete from stream where name=?", (stream.name,))
        for shard in stream.shards:
            self._db.execute("delete from record where id between ? and ?", _id_range(shard.uid, 0))
        self._db.execute("commit")

    def read(self, uid: int, counter: int, limit: int) -> Iterator[Stored]:
        """The records of a shard from `counter` on. Read lazily: drop the iterator before the next write."""
        rows = self._db.execute(
            "select id, at_ms, key, data from record where id between ? and ? order by id limit ?",
            (*_id_range(uid, counter), limit),
        )
        for identity, at_ms, key, data in rows:
            yield Stored(identity % _COUNTER_LIMIT, at_ms, key, data)

    def first_at(self, uid: int, at_ms: int, newest: int) -> int | None:
        """The counter of the first record that arrived at or after `at_ms`; None when there is none.

        Arrival times never run backwards within a shard, so this is a binary search up to `newest`.
        """
        low, high, found = 0, newest, None
        while low <= high:
            middle = (low + high) // 2
            row = self._db.execute(
                "select id, at_ms from record where id between ? and ? order by id limit 1",
                _id_range(uid, middle),
            ).fetchone()
            counter = newest + 1 if row is None else row[0] % _COUNTER_LIMIT
            if counter > newest or row[1] >= at_ms:
                found = counter if counter <= newest else found
                high = middle - 1
            else:
                low = counter + 1
        return found

    def oldest(self, uid: int) -> tuple[int, int] | None:
        """Counter and arrival time of a shard's oldest record."""
        row = self._db.execute(
            "select id, at_ms from record where id between ? and ? order by id limit 1", _id_range(uid, 0)
        ).fetchone()
        return None if row is None else (row[0] % _COUNTER_LIMIT, row[1])

    def trim(self, uid: int, before: int, limit: int) -> int:
        """Delete at most `limit` of a shard's records below a counter; how many it were."""
        low, _ = _id_range(uid, 0)
        return self._db.execute(
            "delete from record where id in (select id from record where id between ? and ? order by id limit ?)",
            (low, low + before - 1, limit),
        ).rowcount


def _id_range(uid: int, counter: int) -> Sequence[int]:
    low = uid << _COUNTER_BITS
    return low | counter, low | _COUNTER_LIMIT - 1
