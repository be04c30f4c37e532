"""The model as tables, and as a state machine over the lineage of shards."""

from __future__ import annotations

import hashlib
import itertools
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from local.kinesis.errors import KinesisError
from local.kinesis.limits import DAY_MS
from local.kinesis.model import MAX_HASH_KEY, FilterType, Merge, Resize, Shard, Split, Stream, even_ranges, hash_key
from tests.local.kinesis.support import Bench

_HOUR_MS = 3_600_000


def _stream(shards: int) -> Stream:
    stream = Stream("talk", 1_000)
    stream.populate(shards, itertools.count(1))
    return stream


def _lineage(stream: Stream) -> list[tuple[int, tuple[int, ...]]]:
    return [(shard.index, shard.parents) for shard in stream.shards if shard.parents]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 500])
def test_even_ranges_tile_the_hash_space(count: int) -> None:
    ranges = list(even_ranges(count))
    assert (ranges[0][0], ranges[-1][1], len(ranges)) == (0, MAX_HASH_KEY, count)
    assert all(one[1] + 1 == other[0] for one, other in itertools.pairwise(ranges))
    sizes = [end - start for start, end in ranges]
    assert max(sizes) - min(sizes) <= 1


def test_a_partition_key_is_hashed_with_md5() -> None:
    assert hash_key("a") == 0x0CC175B9C0F1B6A831C399E269772661
    assert hash_key("é") == int(hashlib.md5("é".encode()).hexdigest(), 16)


@pytest.mark.parametrize(("key", "index"), [(0, 0), (2**127 - 1, 0), (2**127, 1), (MAX_HASH_KEY, 1)])
def test_a_hash_key_has_one_shard(key: int, index: int) -> None:
    assert _stream(2).route(key).index == index


def test_a_split_makes_two_children() -> None:
    stream = _stream(1)
    stream.apply(Split(0, "1000"), 2_000, itertools.count(10))
    parent, low, high = stream.shards
    assert (parent.is_open, parent.closed_ms) == (False, 2_000)
    assert [(child.start, child.end) for child in (low, high)] == [(0, 999), (1_000, MAX_HASH_KEY)]
    assert _lineage(stream) == [(1, (0,)), (2, (0,))]
    assert stream.children(parent) == [low, high]
    assert parent.sequence_number(parent.last_counter + 1) < low.sequence_number(0)


def test_a_merge_makes_one_child_of_two_parents() -> None:
    stream = _stream(2)
    stream.apply(Merge(1, 0), 2_000, itertools.count(10))
    child = stream.shards[2]
    assert (child.start, child.end, child.parent_ids) == (
        0,
        MAX_HASH_KEY,
        ["shardId-000000000001", "shardId-000000000000"],
    )
    assert stream.open_shards == [child]


@pytest.mark.parametrize(
    ("before", "target", "lineage"),
    [
        (1, 2, [(1, (0,)), (2, (0,))]),
        (2, 1, [(2, (0, 1))]),
        (2, 4, [(2, (0,)), (3, (0,)), (4, (1,)), (5, (1,))]),
        (4, 2, [(4, (0, 1)), (5, (2, 3))]),
        (2, 3, [(2, (0,)), (3, (0,)), (4, (1,)), (5, (1,)), (6, (3, 4))]),
    ],
)
def test_a_resize_is_splits_and_merges(before: int, target: int, lineage: list[tuple[int, tuple[int, ...]]]) -> None:
    stream = _stream(before)
    stream.apply(Resize(target), 2_000, itertools.count(10))
    assert _lineage(stream) == lineage
    assert [(shard.start, shard.end) for shard in stream.open_shards] == list(even_ranges(target))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (Split(0, "0"), "InvalidArgumentException"),
        (Split(0, "1"), "InvalidArgumentException"),
        (Split(0, str(2**127 - 1)), "InvalidArgumentException"),
        (Split(1, "5"), "InvalidArgumentException"),
        (Merge(0, 2), "InvalidArgumentException"),
        (Merge(0, 0), "InvalidArgumentException"),
        (Resize(4), "InvalidArgumentException"),
        (Resize(9), "LimitExceededException"),
        (Resize(1), "LimitExceededException"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change: Split | Merge | Resize, code: str) -> None:
    with pytest.raises(KinesisError) as raised:
        _stream(4).check(change, 2_000)
    assert raised.value.code == code


def test_a_closed_shard_is_not_changed_again() -> None:
    stream = _stream(2)
    stream.apply(Merge(0, 1), 2_000, itertools.count(10))
    for change in (Split(0, "1000"), Merge(0, 1), Merge(2, 1)):
        with pytest.raises(KinesisError, match="has already been merged or split"):
            stream.check(change, 3_000)


def test_a_stream_is_resized_ten_times_a_day() -> None:
    stream = _stream(2)
    stream.resizes_ms = [2_000] * 10
    with pytest.raises(KinesisError, match="LimitExceededException"):
        stream.check(Resize(3), 2_000 + DAY_MS - 1)
    stream.check(Resize(3), 2_000 + DAY_MS)
    stream.check(Resize(3), 2_001, limited=False)


def test_children_are_later_than_parents_even_if_the_clock_is_not() -> None:
    stream = _stream(1)
    stream.shards[0].accept(9_000)
    stream.apply(Split(0, "1000"), 500, itertools.count(10))
    parent, child, _ = stream.shards
    assert parent.closed_ms == 9_000
    assert (child.created_ms, child.stamp_ms) == (9_000, 1_001)


def test_arrival_times_never_run_back() -> None:
    shard = _stream(1).shards[0]
    times = []
    for now_ms in (5, 9, 7, 12):
        shard.accept(now_ms)
        times.append(shard.last_at_ms)
    assert (times, shard.last_counter) == ([5, 9, 9, 12], 4)


def _ids(shards: list[Shard]) -> list[int]:
    return [shard.index for shard in shards]


@pytest.mark.parametrize(
    ("kind", "after", "at_ms", "expected"),
    [
        (None, None, 0, [0, 1, 2, 3, 4]),
        ("AT_LATEST", None, 0, [2, 3, 4]),
        ("AFTER_SHARD_ID", "shardId-000000000002", 0, [3, 4]),
        ("AT_TRIM_HORIZON", None, 0, [0]),
        ("FROM_TRIM_HORIZON", None, 0, [0, 1, 2, 3, 4]),
        ("AT_TIMESTAMP", None, 500, [0]),  # before the stream: its beginning
        ("AT_TIMESTAMP", None, 1_999, [0]),
        ("AT_TIMESTAMP", None, 2_000, [1, 2]),
        ("AT_TIMESTAMP", None, 3_000, [2, 3, 4]),
        ("FROM_TIMESTAMP", None, 2_000, [0, 1, 2, 3, 4]),
        ("FROM_TIMESTAMP", None, 2_001, [1, 2, 3, 4]),
        ("FROM_TIMESTAMP", None, 3_001, [2, 3, 4]),
    ],
)
def test_shard_filters(kind: FilterType | None, after: str | None, at_ms: int, expected: list[int]) -> None:
    stream = _stream(1)
    uids = itertools.count(10)
    stream.apply(Split(0, "1000"), 2_000, uids)
    stream.apply(Split(1, "500"), 3_000, uids)
    assert _ids(stream.filter_shards(kind, after, at_ms, 4_000, _HOUR_MS)) == expected


def test_a_closed_shard_expires_with_its_records() -> None:
    stream = _stream(1)
    stream.apply(Split(0, "1000"), 2_000, itertools.count(10))
    end_ms = 2_000 + 24 * _HOUR_MS
    assert _ids(stream.live_shards(end_ms, _HOUR_MS)) == [0, 1, 2]
    assert _ids(stream.live_shards(end_ms + 1, _HOUR_MS)) == [1, 2]


@pytest.mark.parametrize("name", ["shardId-000000000009", "shardId-x", "", "shardId--1", "9"])
def test_an_unknown_shard_is_not_found(name: str) -> None:
    with pytest.raises(KinesisError, match="Could not find shard"):
        _stream(1).shard(name)


def test_a_sequence_number_is_located_in_its_own_shard_only() -> None:
    stream = _stream(2)
    one, other = stream.shards
    assert one.locate(one.sequence_number(7), "talk") == 7
    with pytest.raises(KinesisError, match="It encodes shardId-000000000001"):
        one.locate(other.sequence_number(7), "talk")
    for foreign in ("5", Stream("talk", 999).name, "49" + "0" * 54):
        with pytest.raises(KinesisError, match="did not come from this stream"):
            one.locate(foreign, "talk")


class Lineage(RuleBasedStateMachine):
    """Puts, splits, merges, resizes and reads in any order; nothing is lost, doubled or out of order.

    A reader that goes from parents to children sees each key's records in the order in which they were put.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.put: dict[str, list[bytes]] = {}
        self.numbers = itertools.count()

    @property
    def stream(self) -> Stream:
        return self.bench.twin.streams["talk"]

    @initialize(shards=st.integers(1, 4))
    def create(self, shards: int) -> None:
        self.bench.stream("talk", shards)

    @rule(key=st.sampled_from("abcdefgh"), count=st.integers(1, 4))
    def put_records(self, key: str, count: int) -> None:
        data = [b"%s-%d" % (key.encode(), next(self.numbers)) for _ in range(count)]
        entries = [{"Data": item, "PartitionKey": key} for item in data]
        answer = self.bench.call("PutRecords", StreamName="talk", Records=entries)
        assert answer["FailedRecordCount"] == 0
        self.put.setdefault(key, []).extend(data)

    @rule(delta_ms=st.integers(0, 50))
    def let_time_pass(self, delta_ms: int) -> None:
        self.bench.now_ms += delta_ms

    @precondition(lambda self: len(self.stream.open_shards) < 12)
    @rule(choice=st.randoms(use_true_random=False))
    def split(self, choice: random.Random) -> None:
        wide = [shard for shard in self.stream.open_shards if shard.end - shard.start > 3]
        if not wide:
            return
        shard = choice.choice(wide)
        at = choice.randint(shard.start + 2, shard.end - 1)
        self.bench.call("SplitShard", StreamName="talk", ShardToSplit=shard.shard_id, NewStartingHashKey=str(at))

    @precondition(lambda self: len(self.stream.open_shards) > 1)
    @rule(choice=st.randoms(use_true_random=False))
    def merge(self, choice: random.Random) -> None:
        shards = self.stream.open_shards
        place = choice.randrange(len(shards) - 1)
        pair = choice.sample(shards[place : place + 2], 2)
        self.bench.call(
            "MergeShards", StreamName="talk", ShardToMerge=pair[0].shard_id, AdjacentShardToMerge=pair[1].shard_id
        )

    @rule(choice=st.randoms(use_true_random=False))
    def resize(self, choice: random.Random) -> None:
        current = len(self.stream.open_shards)
        target = choice.randint(-(-current // 2), min(12, 2 * current))
        if target != current:
            self.bench.call(
                "UpdateShardCount", StreamName="talk", TargetShardCount=target, ScalingType="UNIFORM_SCALING"
            )
            assert [(s.start, s.end) for s in self.stream.open_shards] == list(even_ranges(target))

    @invariant()
    def open_shards_tile_the_hash_space(self) -> None:
        if "talk" in self.bench.twin.streams:
            shards = self.stream.open_shards
            assert (shards[0].start, shards[-1].end) == (0, MAX_HASH_KEY)
            assert all(one.end + 1 == other.start for one, other in itertools.pairwise(shards))

    @invariant()
    def children_follow_parents(self) -> None:
        for stream in self.bench.twin.streams.values():
            for shard in stream.shards:
                for parent in (stream.shards[index] for index in shard.parents):
                    assert not parent.is_open
                    assert parent.sequence_number(parent.last_counter + 1) < shard.sequence_number(0)

    def teardown(self) -> None:
        if "talk" not in self.bench.twin.streams:
            return
        seen: dict[str, list[bytes]] = {}
        todo, done = [shard.index for shard in self.stream.shards if not shard.parents], set[int]()
        while todo:
            index = todo.pop(0)
            if index in done or not set(self.stream.shards[index].parents) <= done:
                continue
            done.add(index)
            page = self.bench.call("GetRecords", ShardIterator=self.bench.iterator(index))
            for record in page["Records"]:
                seen.setdefault(record["PartitionKey"], []).append(record["Data"])
            todo += [int(child["ShardId"][-12:]) for child in page.get("ChildShards", [])]
        assert len(done) == len(self.stream.shards)
        assert seen == self.put


TestLineage = Lineage.TestCase
TestLineage.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
