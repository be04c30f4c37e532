from __future__ import annotations

from typing import Any

import pytest

from local.kinesis.errors import KinesisError
from local.kinesis.limits import MIB
from local.kinesis.model import MAX_HASH_KEY
from local.kinesis.records import get_no_records, put_half_of_records
from local.kinesis.requests import Entry, GetRecords, PutRecords
from tests.local.kinesis.support import BEGIN_MS, Bench


@pytest.fixture
def talk(bench: Bench) -> Bench:
    bench.stream()
    return bench


def test_iterators_of_every_kind(talk: Bench) -> None:
    latest = talk.iterator(0, "LATEST")
    numbers = []
    for data in (b"a", b"b", b"c"):
        talk.now_ms += 1_000
        numbers.append(talk.put(data))
    at = {"StartingSequenceNumber": numbers[1]}
    assert talk.read() == [b"a", b"b", b"c"]
    assert talk.read(0, "LATEST") == []
    assert talk.read(0, "AT_SEQUENCE_NUMBER", **at) == [b"b", b"c"]
    assert talk.read(0, "AFTER_SEQUENCE_NUMBER", **at) == [b"c"]
    assert talk.read(0, "AT_TIMESTAMP", Timestamp=BEGIN_MS / 1000 + 2) == [b"b", b"c"]
    assert talk.read(0, "AT_TIMESTAMP", Timestamp=BEGIN_MS / 1000 + 2.001) == [b"c"]
    assert len(talk.call("GetRecords", ShardIterator=latest)["Records"]) == 3


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("AT_SEQUENCE_NUMBER", {}),
        ("AT_TIMESTAMP", {}),
        ("AT_TIMESTAMP", {"Timestamp": BEGIN_MS / 1000 + 1}),
        ("LATEST", {"StartingSequenceNumber": "5"}),
        ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": "5"}),
    ],
)
def test_an_iterator_that_makes_no_sense(talk: Bench, kind: str, more: dict[str, Any]) -> None:
    with pytest.raises(KinesisError, match="InvalidArgumentException"):
        talk.iterator(0, kind, **more)


def test_pages_follow_each_other_and_tell_the_lag(talk: Bench) -> None:
    for number in range(5):
        talk.put(b"%d" % number)
        talk.now_ms += 100
    iterator, pages = talk.iterator(), []
    for _ in range(4):
        page = talk.call("GetRecords", ShardIterator=iterator, Limit=2)
        pages.append(([record["Data"] for record in page["Records"]], page["MillisBehindLatest"]))
        iterator = page["NextShardIterator"]
    assert pages == [([b"0", b"1"], 300), ([b"2", b"3"], 100), ([b"4"], 0), ([], 0)]


def test_a_page_has_ten_mebibytes_at_the_most(talk: Bench) -> None:
    for _ in range(12):
        talk.put(bytes(MIB - 1))
    page = talk.call("GetRecords", ShardIterator=talk.iterator())
    assert len(page["Records"]) == 10
    assert len(talk.call("GetRecords", ShardIterator=page["NextShardIterator"])["Records"]) == 2


def test_a_closed_shard_ends_with_its_children(talk: Bench) -> None:
    talk.put(b"x")
    iterator = talk.iterator()
    split = {"StreamName": "talk", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1000"}
    talk.call("SplitShard", **split)
    talk.call("PutRecord", StreamName="talk", Data=b"y", PartitionKey="k")
    first = talk.call("GetRecords", ShardIterator=iterator, Limit=1)
    assert [record["Data"] for record in first["Records"]] == [b"x"]
    assert "NextShardIterator" not in first
    assert [child["ParentShards"] for child in first["ChildShards"]] == [["shardId-000000000000"]] * 2


def test_an_empty_closed_shard_ends_at_once_from_any_place(talk: Bench) -> None:
    iterators = [talk.iterator(0, kind) for kind in ("TRIM_HORIZON", "LATEST")]
    split = {"StreamName": "talk", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1000"}
    talk.call("SplitShard", **split)
    for iterator in iterators:
        page = talk.call("GetRecords", ShardIterator=iterator)
        assert (page["Records"], len(page["ChildShards"]), "NextShardIterator" in page) == ([], 2, False)


def test_a_malformed_batch_has_no_effect(talk: Bench) -> None:
    entries = [
        {"Data": b"x", "PartitionKey": "k"},
        {"Data": b"y", "PartitionKey": "k", "ExplicitHashKey": str(MAX_HASH_KEY + 1)},
    ]
    with pytest.raises(KinesisError, match="InvalidArgumentException"):
        talk.call("PutRecords", StreamName="talk", Records=entries)
    heavy = [{"Data": bytes(MIB), "PartitionKey": "k"}] * 5
    with pytest.raises(KinesisError, match="5 MB"):
        talk.call("PutRecords", StreamName="talk", Records=heavy)
    assert talk.read() == []


def test_throttled_records_of_a_batch_fail_alone() -> None:
    bench = Bench(limit_scale=1.0)
    bench.stream(shards=2)
    low, high = {"ExplicitHashKey": "0"}, {"ExplicitHashKey": str(MAX_HASH_KEY)}
    heavy: dict[str, Any] = {"Data": bytes(600_000), "PartitionKey": "k"}
    answer = bench.call("PutRecords", StreamName="talk", Records=[heavy | low, heavy | low, heavy | high])
    assert answer["FailedRecordCount"] == 1
    assert [record.get("ErrorCode") for record in answer["Records"]] == [
        None,
        "ProvisionedThroughputExceededException",
        None,
    ]
    with pytest.raises(KinesisError, match="ProvisionedThroughputExceededException"):
        bench.call("PutRecord", StreamName="talk", **heavy, **low)
    bench.now_ms += 1_000
    bench.call("PutRecord", StreamName="talk", **heavy, **low)


def test_reads_are_limited() -> None:
    bench = Bench(limit_scale=1.0)
    bench.stream()
    iterator = bench.iterator()
    for _ in range(5):
        bench.call("GetRecords", ShardIterator=iterator)
    with pytest.raises(KinesisError, match="ProvisionedThroughputExceededException"):
        bench.call("GetRecords", ShardIterator=iterator)


def test_an_iterator_of_a_deleted_namesake_does_not_fit(talk: Bench) -> None:
    iterator = talk.iterator()
    talk.call("DeleteStream", StreamName="talk")
    with pytest.raises(KinesisError, match="ResourceNotFoundException"):
        talk.call("GetRecords", ShardIterator=iterator)
    talk.now_ms += 1
    talk.stream()
    with pytest.raises(KinesisError, match="ResourceNotFoundException"):
        talk.call("GetRecords", ShardIterator=iterator)


def test_an_ordering_number_must_be_one(talk: Bench) -> None:
    put = {"StreamName": "talk", "Data": b"", "PartitionKey": "k"}
    talk.call("PutRecord", SequenceNumberForOrdering=talk.put(b"x"), **put)
    with pytest.raises(KinesisError, match="InvalidArgumentException"):
        talk.call("PutRecord", SequenceNumberForOrdering="12", **put)


def test_the_partial_fault_of_writes_leaves_something_to_send_again(talk: Bench) -> None:
    def put(count: int) -> int:
        entries = [Entry(b"x", "k") for _ in range(count)]
        answer = put_half_of_records(talk.twin, PutRecords(stream_name="talk", records=entries), talk.now_ms)
        talk.twin.commit()
        return int(answer["FailedRecordCount"])

    assert [put(5), put(2), put(1)] == [2, 1, 0]


def test_the_partial_fault_of_reads_is_an_empty_page(talk: Bench) -> None:
    talk.put(b"x")
    talk.now_ms += 50
    page = get_no_records(talk.twin, GetRecords(shard_iterator=talk.iterator()), talk.now_ms)
    assert (page["Records"], page["MillisBehindLatest"]) == ([], 50)
    assert len(talk.call("GetRecords", ShardIterator=page["NextShardIterator"])["Records"]) == 1
