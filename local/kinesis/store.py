"""The durable store: a log that holds the records (`segments.py`), and SQLite for what finds them.

A group of records is durable once it is in the log, by one write. The index, a table for each shard, tells where each
record lies. It is written for many groups at a time: until then places are kept in memory, and the next start takes
from the log what the index lacks. Every transaction first brings the index to the log's end and notes how far it goes.
So a stream is deleted with all its records, and no start finds them again, even where a new shard has an old uid.

A stream's description (shards, lineage, tags, consumers) is one MessagePack blob in SQLite, written whole: a change of
topology is one row and one transaction.

What was written survives the death of this process at any moment. It survives a power cut too, except for the last
moments before it: the log is synced before the index is written, SQLite syncs at its checkpoints.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from local.kinesis.log import Stored
from local.kinesis.model import Stream
from local.kinesis.segments import Place, Segments

_SEGMENT_BYTES = 64 << 20  # a segment that has so many is followed by another
_UNINDEXED = 2_048  # records, before the next group has the index written
_STATEMENTS = 1_000  # kept prepared: a few for each shard
_SCHEMA = """
pragma journal_mode=wal;
pragma synchronous=normal;
create table if not exists stream(name text primary key, body blob not null) without rowid;
create table if not exists segment(number integer primary key, indexed integer not null, records integer not null);
"""  # segment: how far it is indexed (bytes), and how many records in it are still needed
_PLACES = "(counter integer primary key, at_ms integer, segment integer, offset integer, length integer)"


class StoreError(Exception):
    """The store cannot be opened or written."""


class Store:
    """Streams and records on disk, or in memory when `directory` is None. One thread.

    A read raises OSError when the log is damaged.
    """

    def __init__(self, directory: Path | None) -> None:
        """Open or create the store, and index what the log has beyond its index.

        Raises:
            StoreError: the directory cannot be written, is damaged or an earlier release's, or another process has it.
        """
        location = ":memory:"
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            location = str(directory / "kinesis.sqlite")
        self._encoder = msgspec.msgpack.Encoder()
        self._unindexed: defaultdict[int, list[Place]] = defaultdict(list)  # by shard uid, in the order of counters
        self._unindexed_count = 0
        try:
            self._db = sqlite3.connect(location, isolation_level=None, timeout=0, cached_statements=_STATEMENTS)
            # Two processes on one store would number records twice.
            self._db.execute("pragma locking_mode=exclusive")
            if any(name == "record" or name.startswith("shard_") for name in self._names()):
                self._db.close()
                raise StoreError(f"{location} was written by an earlier release: remove it")
            self._db.executescript(_SCHEMA)
            self._db.execute("begin immediate")
            self._db.execute("commit")
            self._tables = self._names()
            self._segments = Segments(directory)
            self._recover()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"cannot open {location}: {error}") from error

    def close(self) -> None:
        """Let go of the files. What cannot be indexed now is indexed at the next start."""
        with contextlib.suppress(StoreError):
            self._flush()
        self._db.close()
        self._segments.close()

    def streams(self) -> list[Stream]:
        """All streams; each shard's `last_counter` and `last_at_ms` are those of its newest durable record."""
        self._flush()
        decoder = msgspec.msgpack.Decoder(Stream)
        streams = [decoder.decode(body) for (body,) in self._db.execute("select body from stream order by name")]
        for stream in streams:
            for shard in stream.shards:
                newest = self._first(shard.uid, "select counter, at_ms from {} order by counter desc limit 1")
                if newest is not None:
                    shard.last_counter = max(shard.last_counter, newest[0])
                    shard.last_at_ms = max(shard.last_at_ms, newest[1])
        return streams

    def append(self, records: Sequence[tuple[int, Stored]]) -> None:
        """Write records, each with its shard's uid: all of them or none. A shard's counters ascend.

        Raises:
            StoreError: none of them was written.
        """
        if not records:
            return
        # Before the group is written: once it is, nothing may fail.
        full = self._segments.size >= _SEGMENT_BYTES
        if full or self._unindexed_count >= _UNINDEXED:
            self._flush()
        try:
            if full:
                self._segments.begin(self._segments.number + 1)
            self._note(self._segments.append(records))
        except OSError as error:
            raise StoreError(f"records not written: {error}") from error

    def save(self, stream: Stream) -> None:
        """Write a stream's description.

        Raises:
            StoreError: it was not written.
        """
        body = self._encoder.encode(stream)
        with self._transaction():
            self._db.execute("insert or replace into stream values(?, ?)", (stream.name, body))

    def delete(self, stream: Stream) -> None:
        """Remove a stream and its records.

        Raises:
            StoreError: nothing was removed.
        """
        with self._transaction():
            self._db.execute("delete from stream where name=?", (stream.name,))
            self._drop({_table(shard.uid) for shard in stream.shards})

    def read(self, uid: int, counter: int, limit: int) -> Iterator[Stored]:
        """The records of a shard from `counter` on. Read lazily: drop the iterator before the next write."""
        places: Iterable[Place] = ()
        if (table := _table(uid)) in self._tables:
            rows = f"select * from {table} where counter >= ? order by counter limit ?"
            places = self._db.execute(rows, (counter, limit))
        for place in itertools.islice(itertools.chain(places, self._unindexed_from(uid, counter)), limit):
            yield self._segments.read(uid, place)

    def first_at(self, uid: int, at_ms: int, newest: int) -> int | None:
        """The counter of the first record that arrived at or after `at_ms`; None when there is none.

        Arrival times never run backwards within a shard, so this is a binary search up to `newest`.
        """
        low, high, found = 0, newest, None
        while low <= high:
            middle = (low + high) // 2
            row = self._next(uid, middle)
            if row is None or row[0] > newest:
                high = middle - 1
            elif row[1] >= at_ms:
                found, high = row[0], middle - 1
            else:
                low = row[0] + 1
        return found

    def oldest(self, uid: int) -> tuple[int, int] | None:
        """Counter and arrival time of a shard's oldest record."""
        return self._next(uid, 0)

    def trim(self, uid: int, before: int, limit: int) -> int:
        """Delete at most `limit` of a shard's records below a counter; how many it were.

        Raises:
            StoreError: none was deleted.
        """
        with self._transaction():
            if (table := _table(uid)) not in self._tables:
                return 0
            some = f"select counter from {table} where counter < ? order by counter limit ?"
            deletion = f"delete from {table} where counter in ({some}) returning segment"
            segments = [segment for (segment,) in self._db.execute(deletion, (before, limit))]
            self._release(Counter(segments).items())
        return len(segments)

    def _next(self, uid: int, counter: int) -> tuple[int, int] | None:
        """Counter and arrival time of a shard's first record from `counter` on."""
        indexed = self._first(uid, "select counter, at_ms from {} where counter >= ? order by counter limit 1", counter)
        if indexed is not None:
            return indexed
        return next((place[:2] for place in self._unindexed_from(uid, counter)), None)

    def _first(self, uid: int, query: str, *values: int) -> tuple[int, int] | None:
        """Counter and arrival time in the first row of a query of the shard's table."""
        if (table := _table(uid)) not in self._tables:
            return None
        row: tuple[int, int] | None = self._db.execute(query.format(table), values).fetchone()
        return row

    def _unindexed_from(self, uid: int, counter: int) -> list[Place]:
        places = self._unindexed.get(uid, [])
        return places[bisect_left(places, (counter,)) :]

    # Writing the index

    def _note(self, places: Iterable[tuple[int, Place]]) -> None:
        for uid, place in places:
            self._unindexed[uid].append(place)
            self._unindexed_count += 1

    def _flush(self) -> None:
        if self._unindexed_count:
            with self._transaction():
                pass

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Brings the index to the log's end, does what is asked, and ends with segments that nobody needs any more."""
        try:
            self._segments.sync()
            self._db.execute("begin")
            self._index()
            yield
            unneeded = "delete from segment where records=0 and number<? returning number"
            freed = [number for (number,) in self._db.execute(unneeded, (self._segments.number,))]
            self._db.execute("commit")
        except (sqlite3.Error, OSError) as error:
            if self._db.in_transaction:
                self._db.execute("rollback")
            self._tables = self._names()
            raise StoreError(f"not written: {error}") from error
        self._unindexed.clear()
        self._unindexed_count = 0
        for number in freed:
            self._segments.remove(number)

    def _index(self) -> None:
        for uid, places in self._unindexed.items():
            if (table := _table(uid)) not in self._tables:
                self._db.execute(f"create table {table}{_PLACES}")
                self._tables.add(table)
            self._db.executemany(f"insert into {table} values(?, ?, ?, ?, ?)", places)
        self._db.execute(
            "insert into segment values(?, ?, ?) on conflict(number)"
            " do update set indexed=excluded.indexed, records=records+excluded.records",
            (self._segments.number, self._segments.size, self._unindexed_count),
        )

    def _drop(self, tables: set[str]) -> None:
        for table in tables & self._tables:
            self._release(self._db.execute(f"select segment, count(*) from {table} group by segment").fetchall())
            self._db.execute(f"drop table {table}")
            self._tables.discard(table)

    def _release(self, counts: Iterable[tuple[int, int]]) -> None:
        """Take so many records from those that segments are needed for."""
        released = ((records, segment) for segment, records in counts)
        self._db.executemany("update segment set records=records-? where number=?", released)

    def _recover(self) -> None:
        """Bring the index to the log's end, and drop what belongs to no stream."""
        indexed: dict[int, int] = dict(self._db.execute("select number, indexed from segment"))
        numbers, newest = self._segments.numbers(), max(indexed, default=1)
        for number in numbers:
            if number < newest and number not in indexed:
                self._segments.remove(number)
        for number in (newest, *(number for number in numbers if number > newest)):
            self._segments.begin(number)
            self._note(self._segments.replay(indexed.get(number, 0)))
            self._flush()
        living = {_table(shard.uid) for stream in self.streams() for shard in stream.shards}
        with self._transaction():
            self._drop({table for table in self._tables if table.startswith(_table(""))} - living)

    def _names(self) -> set[str]:
        return {name for (name,) in self._db.execute("select name from sqlite_master where type='table'")}


def _table(uid: int | str) -> str:
    return f"places_{uid}"
