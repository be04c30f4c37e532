from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.kinesis import store as store_module
from local.kinesis.log import Stored
from local.kinesis.model import Stream
from local.kinesis.store import Store, StoreError


def _records(*times_ms: int) -> list[tuple[int, Stored]]:
    return [(7, Stored(counter, at_ms, "k", b"%d" % counter)) for counter, at_ms in enumerate(times_ms, 1)]


def _stream(*uids: int, name: str = "talk") -> Stream:
    stream = Stream(name, 5)
    stream.populate(len(uids), iter(uids))
    return stream


def _as_killed(directory: Path) -> Path:
    """A copy of what a store's files hold now: what `kill -9` would leave."""
    copies = len(list(directory.parent.glob(f"{directory.name}-*")))
    return shutil.copytree(directory, directory.with_name(f"{directory.name}-{copies}"))


def _segments(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("segment-*"))


@contextlib.contextmanager
def _file_limit(size_bytes: int) -> Iterator[None]:
    """Let no file grow beyond a size: the write that would is made in part, the next not at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(params=[1, 2_048], ids=["indexed", "unindexed"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """In memory; the index lacks the newest group only, or all of them."""
    monkeypatch.setattr(store_module, "_UNINDEXED", request.param)
    return Store(None)


def _counters(store: Store, uid: int, counter: int, limit: int = 100) -> list[int]:
    return [record.counter for record in store.read(uid, counter, limit)]


def test_records_come_back_in_order_and_by_shard(store: Store) -> None:
    store.append([(7, Stored(1, 10, "a", b"x")), (8, Stored(1, 11, "b", b"y"))])
    store.append([(7, Stored(2, 12, "ü", b""))])
    assert list(store.read(7, 0, 10)) == [Stored(1, 10, "a", b"x"), Stored(2, 12, "ü", b"")]
    assert _counters(store, 7, 2) == [2]
    assert _counters(store, 7, 1, limit=1) == [1]
    assert _counters(store, 9, 0) == []


@pytest.mark.parametrize(("at_ms", "expected"), [(0, 1), (10, 1), (11, 2), (20, 2), (21, 4), (30, 4), (31, None)])
def test_the_first_record_at_a_time(store: Store, at_ms: int, expected: int | None) -> None:
    store.append(_records(10, 20, 20))
    store.append([(7, Stored(4, 30, "k", b""))])
    assert store.first_at(7, at_ms, 4) == expected
    store.trim(7, 2, 10)
    assert store.first_at(7, at_ms, 4) == (2 if expected == 1 else expected)


def test_the_first_record_at_a_time_ignores_what_is_not_visible_yet(store: Store) -> None:
    store.append(_records(10, 20, 30))
    assert store.first_at(7, 30, newest=2) is None


def test_trim_deletes_the_oldest_a_few_at_a_time(store: Store) -> None:
    store.append(_records(1, 2, 3, 4, 5))
    assert store.oldest(7) == (1, 1)
    assert [store.trim(7, 5, 3), store.trim(7, 5, 3), store.trim(7, 5, 3)] == [3, 1, 0]
    assert store.oldest(7) == (5, 5)
    assert store.oldest(8) is None


def test_a_stream_comes_back_with_its_numbering(tmp_path: Path) -> None:
    stream = Stream("talk", 5, tags={"a": "b"})
    stream.populate(2, iter([7, 8]))
    store = Store(tmp_path)
    store.save(stream)
    store.append(_records(10, 20))
    store.close()
    (found,) = Store(tmp_path).streams()
    assert (found.name, found.tags, [shard.uid for shard in found.shards]) == ("talk", {"a": "b"}, [7, 8])
    assert [(shard.last_counter, shard.last_at_ms) for shard in found.shards] == [(2, 20), (0, 0)]


def test_a_deleted_stream_takes_its_records_along(store: Store) -> None:
    stream = _stream(7)
    store.save(stream)
    store.append([*_records(1, 2), (8, Stored(1, 1, "k", b""))])
    store.delete(stream)
    assert (store.streams(), _counters(store, 7, 0), _counters(store, 8, 0)) == ([], [], [1])


def test_a_store_is_one_process_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="locked"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "kinesis.sqlite").write_bytes(b"not a database, " * 100)
    with pytest.raises(StoreError, match=r"kinesis\.sqlite"):
        Store(tmp_path)


@pytest.mark.parametrize(
    "table",
    [
        "record(id integer primary key)",
        "shard_7(counter integer primary key, at_ms integer not null, key text not null, data blob not null)",
    ],
)
def test_a_store_of_an_earlier_release_is_refused_by_name(tmp_path: Path, table: str) -> None:
    with sqlite3.connect(tmp_path / "kinesis.sqlite") as database:
        database.execute(f"create table {table}")
    database.close()
    with pytest.raises(StoreError, match=r"kinesis\.sqlite was written by an earlier release: remove it"):
        Store(tmp_path)
    assert _segments(tmp_path) == []


def test_a_shard_that_was_never_written_is_empty() -> None:
    store = Store(None)
    assert store.oldest(99) is None
    assert store.trim(99, 10, 10) == 0
    assert list(store.read(99, 0, 10)) == []
    store.append([])
    assert store.streams() == []


def test_what_the_index_lacks_is_taken_from_the_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_UNINDEXED", 3)
    store = Store(home)
    store.save(_stream(7))
    for counter in range(1, 9):  # some of them are in the index, some in the log alone
        store.append([(7, Stored(counter, 10 * counter, "k", b"%d" % counter))])
        again = Store(_as_killed(home))
        (stream,) = again.streams()
        assert (stream.shards[0].last_counter, stream.shards[0].last_at_ms) == (counter, 10 * counter)
        assert [record.data for record in again.read(7, 0, 10)] == [b"%d" % n for n in range(1, counter + 1)]
        again.close()
    store.close()


def test_a_torn_group_is_dropped_and_writing_goes_on(home: Path) -> None:
    store = Store(home)
    store.save(_stream(7))
    store.append(_records(1))
    store.append([(7, Stored(2, 2, "k", b"torn")), (7, Stored(3, 3, "k", b"torn"))])
    killed = _as_killed(home)
    store.close()
    with (killed / "segment-00000001").open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) - 1)
    for counters in ([1], [1, 2]):
        store = Store(killed)
        assert _counters(store, 7, 0) == counters
        store.append([(7, Stored(counters[-1] + 1, 5, "k", b"whole"))])
        store.close()


def test_a_failed_write_leaves_nothing_of_its_group(home: Path) -> None:
    store = Store(home)
    store.save(_stream(7))
    store.append(_records(1))
    segment = home / "segment-00000001"
    size = segment.stat().st_size
    for room in (0, 1, 8, 100):
        with _file_limit(size + room), pytest.raises(StoreError, match="not written"):
            store.append([(7, Stored(2, 2, "k", b"x" * 20)), (7, Stored(3, 3, "k", b"y" * 100))])
        assert segment.stat().st_size == size
        assert _counters(store, 7, 0) == [1]
    store.append([(7, Stored(4, 4, "k", b""))])
    assert _counters(store, 7, 0) == [1, 4]
    again = Store(_as_killed(home))
    assert _counters(again, 7, 0) == [1, 4]
    again.close()
    store.close()


def test_a_failed_write_that_cannot_be_undone_is_the_last(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(home)
    store.save(_stream(7))
    store.append(_records(1))
    size = (home / "segment-00000001").stat().st_size

    def fail(_descriptor: int, _size: int) -> None:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", fail)
        with _file_limit(size + 40), pytest.raises(StoreError):
            store.append([(7, Stored(2, 2, "k", b"x" * 100))])
    with pytest.raises(StoreError, match="could not be undone"):
        store.append([(7, Stored(3, 3, "k", b""))])
    assert (home / "segment-00000001").stat().st_size == size + 40
    store.close()
    store = Store(home)
    assert _counters(store, 7, 0) == [1]
    store.append([(7, Stored(3, 3, "k", b""))])
    assert _counters(store, 7, 0) == [1, 3]
    store.close()


@pytest.mark.parametrize("failing", ["fdatasync", "open"])
def test_nothing_is_written_while_the_index_or_a_segment_cannot_be(
    home: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    monkeypatch.setattr(store_module, "_SEGMENT_BYTES", 1)
    store = Store(home)
    store.save(_stream(7))
    store.append(_records(1))

    def fail(*_: object) -> None:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        for _ in range(2):
            with pytest.raises(StoreError, match="no"):
                store.append([(7, Stored(2, 2, "k", b""))])
        assert _counters(store, 7, 0) == [1]
    store.append([(7, Stored(3, 3, "k", b""))])
    assert _counters(store, 7, 0) == [1, 3]
    assert len(_segments(home)) == 2
    store.close()


def test_a_failed_transaction_changes_nothing(home: Path) -> None:
    store = Store(home)
    store.save(_stream(7))
    store.append([*_records(1, 2), (8, Stored(1, 1, "k", b"x" * 9))])  # all of them are still to be indexed
    with _file_limit(0):
        for _ in range(2):
            with pytest.raises(StoreError, match="not written"):
                store.delete(_stream(7))
    assert (_counters(store, 7, 0), _counters(store, 8, 0), len(store.streams())) == ([1, 2], [1], 1)
    store.delete(_stream(7))
    assert (_counters(store, 7, 0), _counters(store, 8, 0), store.streams()) == ([], [1], [])
    store.close()


def test_a_deleted_stream_does_not_come_back_whoever_has_its_number(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for unindexed in (1, 2_048):
        monkeypatch.setattr(store_module, "_UNINDEXED", unindexed)
        directory = home / str(unindexed)
        store = Store(directory)
        store.save(_stream(7))
        store.append(_records(1, 2))
        store.append([(7, Stored(3, 3, "k", b""))])
        store.delete(_stream(7))
        again = Store(_as_killed(directory))
        assert (again.streams(), _counters(again, 7, 0)) == ([], [])
        again.save(_stream(7, name="other"))
        again.append([(7, Stored(1, 9, "k", b"new"))])
        again = Store(_as_killed(directory.with_name(f"{unindexed}-0")))
        assert list(again.read(7, 0, 10)) == [Stored(1, 9, "k", b"new")]
        assert again.streams()[0].shards[0].last_counter == 1
        store.close()


def test_records_of_no_stream_go_at_the_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_SEGMENT_BYTES", 1)
    store = Store(home)
    store.save(_stream(7))
    store.append([(8, Stored(1, 1, "k", b"indexed"))])
    store.append([(7, Stored(1, 1, "k", b""))])
    store.append([(8, Stored(2, 2, "k", b"not indexed"))])
    again = Store(killed := _as_killed(home))
    assert (_counters(again, 7, 0), _counters(again, 8, 0)) == ([1], [])
    assert _segments(killed) == ["segment-00000002", "segment-00000003"]
    again.close()
    store.close()


def test_segments_go_when_no_record_in_them_is_needed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_SEGMENT_BYTES", 100)
    store = Store(home)
    streams = [_stream(7), _stream(8, name="other")]
    for stream in streams:
        store.save(stream)
    for counter in range(1, 7):
        store.append([(uid, Stored(counter, counter, "k", b"x" * 80)) for uid in (7, 8)])
    assert _segments(home) == [f"segment-{number:08d}" for number in range(1, 7)]
    store.trim(7, 5, 10)
    assert len(_segments(home)) == 6  # the other stream needs them
    store.trim(8, 2, 10)
    store.trim(8, 4, 1)
    assert _segments(home) == [f"segment-{number:08d}" for number in range(3, 7)]
    store.delete(streams[1])
    assert _segments(home) == ["segment-00000005", "segment-00000006"]
    store.delete(streams[0])
    assert _segments(home) == ["segment-00000006"]  # it is written
    killed = _as_killed(home)
    store.append([(9, Stored(1, 1, "k", b""))])
    store.close()
    Store(killed).close()
    assert _segments(killed) == ["segment-00000006"]


def test_a_segment_that_could_not_be_deleted_goes_at_the_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_SEGMENT_BYTES", 1)
    store = Store(home)
    for counter in (1, 2):
        store.append([(7, Stored(counter, counter, "k", b""))])

    def fail(_path: Path) -> None:
        raise PermissionError("no")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fail)
        assert store.trim(7, 2, 10) == 1
    assert (_counters(store, 7, 0), len(_segments(home))) == ([2], 2)
    store.close()
    Store(home).close()
    assert _segments(home) == ["segment-00000002"]


def test_a_store_without_its_log_is_refused(home: Path) -> None:
    store = Store(home)
    store.append(_records(1))
    store.close()
    (home / "segment-00000001").unlink()
    with pytest.raises(StoreError, match="cannot open"):
        Store(home)


def test_a_clean_end_leaves_nothing_to_index(home: Path) -> None:
    store = Store(home)
    store.save(_stream(7))
    store.append(_records(1))
    store.close()
    with sqlite3.connect(home / "kinesis.sqlite") as database:
        assert database.execute("select count(*) from places_7").fetchone() == (1,)
        size = (home / "segment-00000001").stat().st_size
        assert database.execute("select * from segment").fetchall() == [(1, size, 1)]
    database.close()
