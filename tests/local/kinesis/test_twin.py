from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.kinesis.store import Store, StoreError
from local.kinesis.twin import Twin
from tests.local.kinesis.support import BEGIN_MS, Bench

_HOUR_MS = 3_600_000


def _accept(twin: Twin, data: bytes) -> None:
    assert twin.accept(twin.streams["talk"].shards[0], "k", data, BEGIN_MS) is not None


def test_a_record_is_visible_when_it_is_durable_and_not_before(bench: Bench) -> None:
    bench.stream()
    told: list[StoreError | None] = []
    _accept(bench.twin, b"x")
    bench.twin.group.waiters.append(told.append)
    latest = bench.iterator(0, "LATEST")  # also commits: a call on the bench does
    assert told == [None]
    assert bench.read() == [b"x"]
    assert bench.call("GetRecords", ShardIterator=latest)["Records"] != []


def test_a_failed_group_is_never_visible_and_its_callers_are_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.stream()
    bench.put(b"before")
    told: list[StoreError | None] = []

    def fail(_self: Store, _records: object) -> None:
        raise StoreError("the disk is full")

    _accept(bench.twin, b"lost")
    bench.twin.group.waiters.append(told.append)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", fail)
        with pytest.raises(StoreError):
            bench.twin.commit()
    assert isinstance(told[0], StoreError)
    bench.put(b"after")
    assert bench.read() == [b"before", b"after"]


def test_what_was_accepted_before_a_split_is_in_the_parent(bench: Bench) -> None:
    bench.stream()
    _accept(bench.twin, b"x")
    split = {"StreamName": "talk", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1000"}
    bench.call("SplitShard", **split)
    assert (bench.read(0), bench.read(1), bench.read(2)) == ([b"x"], [], [])


def test_watchers_hear_of_records_the_end_and_deletion(bench: Bench) -> None:
    bench.stream()
    heard: list[str] = []
    stop = bench.twin.watch(bench.twin.streams["talk"].shards[0], lambda: heard.append("!"))
    bench.put(b"x")
    assert len(heard) == 1
    split = {"StreamName": "talk", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1000"}
    bench.call("SplitShard", **split)
    assert len(heard) == 2
    bench.call("DeleteStream", StreamName="talk")
    assert len(heard) == 3
    stop()


def test_expired_records_go(bench: Bench) -> None:
    bench.stream()
    old = bench.put(b"old")
    bench.now_ms += _HOUR_MS
    new = bench.put(b"new")
    assert bench.twin.trim(bench.now_ms) == 0
    bench.now_ms += 23 * _HOUR_MS + 1
    assert bench.read() == [b"new"]  # unseen even before they are deleted
    assert bench.read(0, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=old) == [b"new"]
    assert (bench.twin.trim(bench.now_ms), bench.twin.trim(bench.now_ms)) == (1, 0)
    assert bench.read(0, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=new) == [b"new"]
    bench.now_ms += _HOUR_MS
    assert bench.read() == []


def test_numbering_goes_on_after_everything_expired_and_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bench = Bench(store)
    bench.stream()
    before = bench.put(b"old")
    bench.now_ms += 25 * _HOUR_MS
    assert bench.twin.trim(bench.now_ms) == 1
    store.close()
    store = Store(tmp_path)
    again = Bench(store)
    again.now_ms = bench.now_ms
    assert again.put(b"new") > before
    assert again.read() == [b"new"]
    store.close()


def test_a_change_that_was_begun_is_made_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    bench = Bench(store, transition_ms=100)
    bench.stream()
    bench.now_ms += 100
    bench.call("UpdateShardCount", StreamName="talk", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    store.close()
    store = Store(tmp_path)
    again = Bench(store, transition_ms=100)
    again.now_ms = bench.now_ms
    due_ms = again.twin.settle(again.now_ms)
    assert due_ms == again.now_ms + 100
    assert again.twin.settle(due_ms) is None
    assert len(again.twin.streams["talk"].open_shards) == 2
    store.close()


def test_a_deleted_stream_is_gone_after_a_kill_though_its_number_is_given_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    bench = Bench(store)
    bench.stream()
    uid = bench.twin.streams["talk"].shards[0].uid
    bench.put(b"old")
    bench.call("DeleteStream", StreamName="talk")
    store = Store(shutil.copytree(tmp_path / "store", tmp_path / "killed"))
    again = Bench(store)
    again.stream()
    assert again.twin.streams["talk"].shards[0].uid == uid
    assert again.read() == []
    again.put(b"new")
    assert again.read() == [b"new"]
    store.close()


def test_reads_go_through_memory_and_disk_alike() -> None:
    small, large = Bench(cache_bytes=1), Bench()
    for bench in (small, large):
        bench.stream()
        for number in range(20):
            bench.put(b"%d" % number)
    assert small.read() == large.read() == [b"%d" % number for number in range(20)]
