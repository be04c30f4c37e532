"""The durable store: SQLite in WAL mode, one transaction per group of writes.

Each shard has a table of its own, with its records' counters as row ids: so what is written goes to the end of a tree,
which costs six tenths of what it costs in the midst of one, and what is read lies together. A stream's description
(shards, lineage, tags, consumers) is one MessagePack blob, written whole: a change of topology is one row and one
transaction.

A committed transaction survives the death of this process at any moment. It survives a power cut too,
except for the last moments before it (`synchronous=normal`: the log is synced at checkpoints only).
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from local.kinesis.log import Stored
from local.kinesis.model import Stream

_STATEMENTS = 1_000  # kept prepared: up to six for each shard
_SCHEMA = """
pragma page_size=4096;
pragma journal_mode=wal;
pragma synchronous=normal;
pragma cache_size=-16384;
pragma wal_autocheckpoint=8000;
create table if not exists stream(name text primary key, body blob not null) without rowid;
"""
_SHARD = "(counter integer primary key, at_ms integer not null, key text not null, data blob not null)"


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
            self._db = sqlite3.connect(location, isolation_level=None, timeout=0, cached_statements=_STATEMENTS)
            # Two processes on one store would number records twice.
            self._db.execute("pragma locking_mode=exclusive")
            self._db.executescript(_SCHEMA)
            self._db.execute("begin immediate")
            self._db.execute("commit")
        except sqlite3.Error as error:
            raise StoreError(f"cannot open {location}: {error}") from error
        self._encoder = msgspec.msgpack.Encoder()
        self._tables = {name for (name,) in self._db.execute("select name from sqlite_master where type='table'")}
        if "record" in self._tables:
            self._db.close()
            raise StoreError(f"{location} was written by an earlier release: remove it")

    def close(self) -> None:
        """Write everything to the main file and let go of it."""
        self._db.close()

    def streams(self) -> list[Stream]:
        """All streams; each shard's `last_counter` and `last_at_ms` are those of its newest durable record."""
        decoder = msgspec.msgpack.Decoder(Stream)
        streams = [decoder.decode(body) for (body,) in self._db.execute("select body from stream order by name")]
        for stream in streams:
            for shard in stream.shards:
                newest = self._first(shard.uid, "select counter, at_ms from {} order by counter desc limit 1")
                if newest is not None:
                    shard.last_counter = max(shard.last_counter, newest[0])
                    shard.last_at_ms = max(shard.last_at_ms, newest[1])
        return streams

    def append(self, records: Iterable[tuple[int, Stored]]) -> None:
        """Write records, each with its shard's uid, in one transaction.

        Raises:
            StoreError: none of them was written.
        """
        by_table: defaultdict[str, list[tuple[int, int, str, bytes]]] = defaultdict(list)
        for uid, record in records:
            by_table[_table(uid)].append((record.counter, record.at_ms, record.key, record.data))
        made = by_table.keys() - self._tables
        try:
            self._db.execute("begin")
            for table in made:
                self._db.execute(f"create table {table}{_SHARD}")
            for table, rows in by_table.items():
                self._db.executemany(f"insert into {table} values(?, ?, ?, ?)", rows)
            self._db.execute("commit")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("rollback")
            raise StoreError(f"records not written: {error}") from error
        self._tables |= made

    def save(self, stream: Stream) -> None:
        """Write a stream's description."""
        self._db.execute("insert or replace into stream values(?, ?)", (stream.name, self._encoder.encode(stream)))

    def delete(self, stream: Stream) -> None:
        """Remove a stream and its records."""
        self._db.execute("begin")
        self._db.execute("delete from stream where name=?", (stream.name,))
        gone = {_table(shard.uid) for shard in stream.shards} & self._tables
        for table in gone:
            self._db.execute(f"drop table {table}")
        self._db.execute("commit")
        self._tables -= gone

    def read(self, uid: int, counter: int, limit: int) -> Iterator[Stored]:
        """The records of a shard from `counter` on. Read lazily: drop the iterator before the next write."""
        if (table := _table(uid)) in self._tables:
            rows = f"select counter, at_ms, key, data from {table} where counter >= ? order by counter limit ?"
            for row in self._db.execute(rows, (counter, limit)):
                yield Stored(*row)

    def first_at(self, uid: int, at_ms: int, newest: int) -> int | None:
        """The counter of the first record that arrived at or after `at_ms`; None when there is none.

        Arrival times never run backwards within a shard, so this is a binary search up to `newest`.
        """
        low, high, found = 0, newest, None
        while low <= high:
            middle = (low + high) // 2
            row = self._first(uid, "select counter, at_ms from {} where counter >= ? order by counter limit 1", middle)
            if row is None or row[0] > newest:
                high = middle - 1
            elif row[1] >= at_ms:
                found, high = row[0], middle - 1
            else:
                low = row[0] + 1
        return found

    def oldest(self, uid: int) -> tuple[int, int] | None:
        """Counter and arrival time of a shard's oldest record."""
        return self._first(uid, "select counter, at_ms from {} order by counter limit 1")

    def trim(self, uid: int, before: int, limit: int) -> int:
        """Delete at most `limit` of a shard's records below a counter; how many it were."""
        if (table := _table(uid)) not in self._tables:
            return 0
        oldest = f"select counter from {table} where counter < ? order by counter limit ?"
        return self._db.execute(f"delete from {table} where counter in ({oldest})", (before, limit)).rowcount

    def _first(self, uid: int, query: str, *values: int) -> tuple[int, int] | None:
        """Counter and arrival time in the first row of a query of the shard's table."""
        if (table := _table(uid)) not in self._tables:
            return None
        row: tuple[int, int] | None = self._db.execute(query.format(table), values).fetchone()
        return row


def _table(uid: int) -> str:
    return f"shard_{uid}"
