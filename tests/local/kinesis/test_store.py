from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from local.kinesis.log import Stored
from local.kinesis.model import Stream
from local.kinesis.store import Store, StoreError


def _records(*times_ms: int) -> list[tuple[int, Stored]]:
    return [(7, Stored(counter, at_ms, "k", b"%d" % counter)) for counter, at_ms in enumerate(times_ms, 1)]


def _counters(store: Store, uid: int, counter: int, limit: int = 100) -> list[int]:
    return [record.counter for record in store.read(uid, counter, limit)]


def test_records_come_back_in_order_and_by_shard() -> None:
    store = Store(None)
    store.append([(7, Stored(1, 10, "a", b"x")), (8, Stored(1, 11, "b", b"y")), (7, Stored(2, 12, "ü", b""))])
    assert list(store.read(7, 0, 10)) == [Stored(1, 10, "a", b"x"), Stored(2, 12, "ü", b"")]
    assert _counters(store, 7, 2) == [2]
    assert _counters(store, 7, 1, limit=1) == [1]
    assert _counters(store, 9, 0) == []


def test_a_group_is_written_whole_or_not_at_all() -> None:
    store = Store(None)
    store.append(_records(1))
    with pytest.raises(StoreError):
        store.append([(7, Stored(2, 2, "k", b"")), (7, Stored(1, 1, "k", b"twice"))])
    assert _counters(store, 7, 0) == [1]
    store.append([(7, Stored(3, 3, "k", b""))])
    assert _counters(store, 7, 0) == [1, 3]


@pytest.mark.parametrize(("at_ms", "expected"), [(0, 1), (10, 1), (11, 2), (20, 2), (21, 4), (30, 4), (31, None)])
def test_the_first_record_at_a_time(at_ms: int, expected: int | None) -> None:
    store = Store(None)
    store.append(_records(10, 20, 20, 30))
    assert store.first_at(7, at_ms, 4) == expected
    store.trim(7, 2, 10)
    assert store.first_at(7, at_ms, 4) == (2 if expected == 1 else expected)


def test_the_first_record_at_a_time_ignores_what_is_not_visible_yet() -> None:
    store = Store(None)
    store.append(_records(10, 20, 30))
    assert store.first_at(7, 30, newest=2) is None


def test_trim_deletes_the_oldest_a_few_at_a_time() -> None:
    store = Store(None)
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


def test_a_deleted_stream_takes_its_records_along() -> None:
    store = Store(None)
    stream = Stream("talk", 5)
    stream.populate(1, iter([7]))
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


def test_a_store_of_an_earlier_release_is_refused_by_name(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "kinesis.sqlite") as database:
        database.execute("create table record(id integer primary key)")
    database.close()
    with pytest.raises(StoreError, match="earlier release: remove it"):
        Store(tmp_path)


def test_a_shard_begins_in_the_transaction_of_its_first_records(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = _records(1, 2)
    with pytest.raises(StoreError):
        store.append([first, first])  # one number twice: none is written, and no table is left
    store.append([first, second])
    assert [record.counter for record in store.read(first[0], 0, 10)] == [first[1].counter, second[1].counter]
    assert store.oldest(99) is None
    assert store.trim(99, 10, 10) == 0
    assert list(store.read(99, 0, 10)) == []
    store.close()


def test_what_is_committed_is_in_the_file_before_a_clean_end(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(_records(1))
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("kinesis.sqlite*"):
        (copy / file.name).write_bytes(file.read_bytes())
    with sqlite3.connect(copy / "kinesis.sqlite") as database:
        assert database.execute("select count(*) from shard_7").fetchone() == (1,)
    database.close()
    store.close()
