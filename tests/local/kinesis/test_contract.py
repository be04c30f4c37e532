"""What clients of Kinesis rely on, asked through boto3: true of the twin and of the service alike.

By default the twin is asked. With HERALD_CONTRACT_KINESIS_ENDPOINT set, and the credentials and region that boto3
finds for itself, the same tests ask whatever answers there; `https://kinesis.REGION.amazonaws.com` is the service.
Names are unique, and every stream is deleted again.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local.kinesis.support import Process, client

_ENDPOINT = os.environ.get("HERALD_CONTRACT_KINESIS_ENDPOINT")
_PATIENCE_S = 300 if _ENDPOINT else 20  # the service takes a minute for what the twin does in 30 ms
_MAX_HASH_KEY = 2**128 - 1


@pytest.fixture(scope="module")
def kinesis(request: pytest.FixtureRequest) -> Any:
    if _ENDPOINT:
        config = Config(retries={"total_max_attempts": 5, "mode": "standard"})
        return boto3.client("kinesis", endpoint_url=_ENDPOINT, config=config)
    twin: Process = request.getfixturevalue("shared_twin")
    return client(twin.url)


@pytest.fixture
def stream(kinesis: Any) -> Iterator[Callable[[int], str]]:
    """Makes streams with so many shards, and deletes them."""
    made: list[str] = []

    def make(shards: int) -> str:
        name = f"herald-contract-{uuid.uuid4().hex[:12]}"
        kinesis.create_stream(StreamName=name, ShardCount=shards)
        made.append(name)
        _settled(kinesis, name)
        return name

    yield make
    for name in made:
        kinesis.delete_stream(StreamName=name, EnforceConsumerDeletion=True)


def _until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + _PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(1 if _ENDPOINT else 0.02)
    return found


def _settled(kinesis: Any, name: str) -> None:
    def active() -> bool:
        answer = kinesis.describe_stream_summary(StreamName=name)
        return bool(answer["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")

    _until(active, f"{name} is active")


def _iterator(kinesis: Any, name: str, shard_id: str, kind: str = "TRIM_HORIZON", **more: Any) -> str:
    answer = kinesis.get_shard_iterator(StreamName=name, ShardId=shard_id, ShardIteratorType=kind, **more)
    return str(answer["ShardIterator"])


def _page(kinesis: Any, iterator: str, **more: Any) -> Any:
    for _ in range(20):
        try:
            return kinesis.get_records(ShardIterator=iterator, **more)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ProvisionedThroughputExceededException":
                raise
            time.sleep(0.25)
    raise AssertionError("throttled for ever")


def _read(kinesis: Any, iterator: str, count: int) -> list[Any]:
    """Pages until `count` records have come (an empty page says nothing)."""
    records: list[Any] = []

    def enough() -> bool:
        nonlocal iterator
        page = _page(kinesis, iterator)
        records.extend(page["Records"])
        iterator = page.get("NextShardIterator", "")
        return len(records) >= count or not iterator

    _until(enough, f"{count} records")
    return records


def _to_the_end(kinesis: Any, name: str, shard_id: str) -> tuple[list[Any], list[Any]]:
    """A closed shard's records and children."""
    records: list[Any] = []
    iterator = _iterator(kinesis, name, shard_id)
    children: list[Any] = []

    def ended() -> bool:
        nonlocal iterator, children
        page = _page(kinesis, iterator)
        records.extend(page["Records"])
        children = page.get("ChildShards", [])
        iterator = page.get("NextShardIterator") or ""
        return not iterator

    _until(ended, f"the end of {shard_id}")
    return records, children


def _code(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    return str(raised.value.response["Error"]["Code"])


def test_new_stream_is_described(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(2)
    description = kinesis.describe_stream(StreamName=name)["StreamDescription"]
    assert (description["StreamName"], description["StreamStatus"]) == (name, "ACTIVE")
    assert description["RetentionPeriodHours"] == 24
    assert description["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}
    assert description["EncryptionType"] == "NONE"
    assert abs(description["StreamCreationTimestamp"] - datetime.now(UTC)) < timedelta(minutes=10)
    ranges = [shard["HashKeyRange"] for shard in description["Shards"]]
    assert ranges == [
        {"StartingHashKey": "0", "EndingHashKey": str(2**127 - 1)},
        {"StartingHashKey": str(2**127), "EndingHashKey": str(_MAX_HASH_KEY)},
    ]
    assert description["HasMoreShards"] is False
    by_arn = kinesis.describe_stream_summary(StreamARN=description["StreamARN"])["StreamDescriptionSummary"]
    assert (by_arn["StreamName"], by_arn["OpenShardCount"], by_arn["ConsumerCount"]) == (name, 2, 0)


def test_stream_is_listed_and_described_in_pages(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(3)
    names: list[str] = []
    for page in kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1}):
        names += page["StreamNames"]
    assert names.count(name) == 1
    first = kinesis.describe_stream(StreamName=name, Limit=2)["StreamDescription"]
    assert [len(first["Shards"]), first["HasMoreShards"]] == [2, True]
    last = first["Shards"][-1]["ShardId"]
    rest = kinesis.describe_stream(StreamName=name, ExclusiveStartShardId=last)["StreamDescription"]
    assert [len(rest["Shards"]), rest["HasMoreShards"]] == [1, False]
    listed = kinesis.list_shards(StreamName=name, MaxResults=2)
    more = kinesis.list_shards(NextToken=listed["NextToken"], MaxResults=2)
    ids = [shard["ShardId"] for shard in listed["Shards"] + more["Shards"]]
    assert ids == [f"shardId-{number:012d}" for number in range(3)]
    assert "NextToken" not in more


def test_record_comes_back_as_it_was_put(kinesis: Any, stream: Callable[[int], str]) -> None:
    name, data = stream(1), bytes(range(256))
    before = datetime.now(UTC)
    put = kinesis.put_record(StreamName=name, Data=data, PartitionKey="ключ 🔑")
    (record,) = _read(kinesis, _iterator(kinesis, name, put["ShardId"]), 1)
    assert (record["Data"], record["PartitionKey"]) == (data, "ключ 🔑")
    assert record["SequenceNumber"] == put["SequenceNumber"]
    assert abs(record["ApproximateArrivalTimestamp"] - before) < timedelta(minutes=1)


def test_sequence_numbers_grow_in_the_order_of_puts(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(1)
    numbers: list[str] = []
    for i in range(5):
        ordering = {"SequenceNumberForOrdering": numbers[-1]} if numbers else {}
        put = kinesis.put_record(StreamName=name, Data=b"%d" % i, PartitionKey="k", **ordering)
        numbers.append(put["SequenceNumber"])
    assert numbers == sorted(numbers, key=int)
    records = _read(kinesis, _iterator(kinesis, name, "shardId-000000000000"), 5)
    assert [record["Data"] for record in records] == [b"0", b"1", b"2", b"3", b"4"]


def test_batch_is_answered_record_by_record(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(2)
    entries = [
        {"Data": b"low", "PartitionKey": "a", "ExplicitHashKey": "0"},
        {"Data": b"high", "PartitionKey": "a", "ExplicitHashKey": str(_MAX_HASH_KEY)},
        {"Data": b"", "PartitionKey": "b", "ExplicitHashKey": "1"},
    ]
    answer = kinesis.put_records(StreamName=name, Records=entries)
    assert answer["FailedRecordCount"] == 0
    assert [record["ShardId"][-1] for record in answer["Records"]] == ["0", "1", "0"]
    records = _read(kinesis, _iterator(kinesis, name, "shardId-000000000000"), 2)
    assert [record["Data"] for record in records] == [b"low", b""]


def test_partition_key_is_hashed_with_md5(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(2)
    # md5("a") begins with 0c, md5("b") with 92.
    shards = [kinesis.put_record(StreamName=name, Data=b"", PartitionKey=key)["ShardId"] for key in "ab"]
    assert [shard[-1] for shard in shards] == ["0", "1"]


def test_every_kind_of_iterator(kinesis: Any, stream: Callable[[int], str]) -> None:
    name, shard_id = stream(1), "shardId-000000000000"
    latest = _iterator(kinesis, name, shard_id, "LATEST")
    first = kinesis.put_record(StreamName=name, Data=b"first", PartitionKey="k")
    time.sleep(1.1)  # AT_TIMESTAMP: boto3 sends whole seconds or more, and clocks differ a little
    second = kinesis.put_record(StreamName=name, Data=b"second", PartitionKey="k")
    both = _read(kinesis, latest, 2)
    assert [record["Data"] for record in both] == [b"first", b"second"]
    at_second = both[1]["ApproximateArrivalTimestamp"] - timedelta(milliseconds=300)
    cases: list[tuple[str, dict[str, Any], bytes]] = [
        ("TRIM_HORIZON", {}, b"first"),
        ("AT_SEQUENCE_NUMBER", {"StartingSequenceNumber": first["SequenceNumber"]}, b"first"),
        ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": first["SequenceNumber"]}, b"second"),
        ("AT_SEQUENCE_NUMBER", {"StartingSequenceNumber": second["SequenceNumber"]}, b"second"),
        ("AT_TIMESTAMP", {"Timestamp": at_second}, b"second"),
        ("AT_TIMESTAMP", {"Timestamp": datetime.now(UTC) - timedelta(hours=1)}, b"first"),
    ]
    for kind, more, expected in cases:
        assert _read(kinesis, _iterator(kinesis, name, shard_id, kind, **more), 1)[0]["Data"] == expected, kind


def test_limit_bounds_a_page_and_lag_is_told(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(1)
    kinesis.put_records(StreamName=name, Records=[{"Data": b"%d" % i, "PartitionKey": "k"} for i in range(5)])
    everything = _read(kinesis, _iterator(kinesis, name, "shardId-000000000000"), 5)
    assert len(everything) == 5
    first = _page(kinesis, _iterator(kinesis, name, "shardId-000000000000"), Limit=2)
    assert len(first["Records"]) <= 2
    assert first["MillisBehindLatest"] > 0
    page = _page(kinesis, _iterator(kinesis, name, "shardId-000000000000", "LATEST"))
    assert (page["Records"], page["MillisBehindLatest"]) == ([], 0)


def test_split_closes_the_parent_and_names_it(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(1)
    before = kinesis.put_record(StreamName=name, Data=b"before", PartitionKey="k", ExplicitHashKey="5")
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")
    _settled(kinesis, name)
    parent, low, high = kinesis.list_shards(StreamName=name)["Shards"]
    assert "EndingSequenceNumber" in parent["SequenceNumberRange"]
    assert [low.get("ParentShardId"), high.get("ParentShardId")] == [parent["ShardId"]] * 2
    assert [low["HashKeyRange"]["EndingHashKey"], high["HashKeyRange"]["StartingHashKey"]] == ["999", "1000"]
    after = kinesis.put_record(StreamName=name, Data=b"after", PartitionKey="k", ExplicitHashKey="5")
    assert after["ShardId"] == low["ShardId"]
    assert int(after["SequenceNumber"]) > int(before["SequenceNumber"])
    records, children = _to_the_end(kinesis, name, parent["ShardId"])
    assert [record["Data"] for record in records] == [b"before"]
    assert sorted(child["ShardId"] for child in children) == [low["ShardId"], high["ShardId"]]
    assert all(child["ParentShards"] == [parent["ShardId"]] for child in children)
    assert _read(kinesis, _iterator(kinesis, name, low["ShardId"]), 1)[0]["Data"] == b"after"


def test_merge_names_both_parents(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(2)
    one, other = "shardId-000000000000", "shardId-000000000001"
    kinesis.merge_shards(StreamName=name, ShardToMerge=one, AdjacentShardToMerge=other)
    _settled(kinesis, name)
    child = kinesis.list_shards(StreamName=name)["Shards"][-1]
    assert (child["ParentShardId"], child["AdjacentParentShardId"]) == (one, other)
    assert child["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(_MAX_HASH_KEY)}
    for parent in (one, other):
        _, children = _to_the_end(kinesis, name, parent)
        assert [sorted(found["ParentShards"]) for found in children] == [[one, other]]


def test_update_shard_count_both_ways(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(2)
    answer = kinesis.update_shard_count(StreamName=name, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    assert (answer["CurrentShardCount"], answer["TargetShardCount"]) == (2, 4)
    _settled(kinesis, name)
    shards = kinesis.list_shards(StreamName=name)["Shards"]
    assert all("ParentShardId" in shard for shard in shards[2:])
    still_open = kinesis.list_shards(StreamName=name, ShardFilter={"Type": "AT_LATEST"})["Shards"]
    assert len(still_open) == 4
    assert all("EndingSequenceNumber" not in shard["SequenceNumberRange"] for shard in still_open)
    kinesis.update_shard_count(StreamName=name, TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    _settled(kinesis, name)
    assert kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["OpenShardCount"] == 2
    refused = {"StreamName": name, "ScalingType": "UNIFORM_SCALING"}
    assert _code(kinesis.update_shard_count, TargetShardCount=5, **refused) == "LimitExceededException"


def test_shard_filters(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(1)
    kinesis.split_shard(StreamName=name, ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")
    _settled(kinesis, name)
    created = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamCreationTimestamp"]

    def ids(**shard_filter: Any) -> list[int]:
        shards = kinesis.list_shards(StreamName=name, ShardFilter=shard_filter)["Shards"]
        return [int(shard["ShardId"][-12:]) for shard in shards]

    assert ids(Type="AT_LATEST") == [1, 2]
    assert ids(Type="AT_TRIM_HORIZON") == [0]
    assert ids(Type="FROM_TRIM_HORIZON") == [0, 1, 2]
    assert ids(Type="AFTER_SHARD_ID", ShardId="shardId-000000000000") == [1, 2]
    assert ids(Type="FROM_TIMESTAMP", Timestamp=created) == [0, 1, 2]


def test_retention_period(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(1)
    kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=48)
    _settled(kinesis, name)
    assert kinesis.describe_stream(StreamName=name)["StreamDescription"]["RetentionPeriodHours"] == 48
    shorter = {"StreamName": name, "RetentionPeriodHours": 36}
    assert _code(kinesis.increase_stream_retention_period, **shorter) == "InvalidArgumentException"
    kinesis.decrease_stream_retention_period(**shorter)
    _settled(kinesis, name)
    assert kinesis.describe_stream(StreamName=name)["StreamDescription"]["RetentionPeriodHours"] == 36
    too_short = {"StreamName": name, "RetentionPeriodHours": 23}
    assert _code(kinesis.decrease_stream_retention_period, **too_short) == "InvalidArgumentException"


def test_tags(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(1)
    kinesis.add_tags_to_stream(StreamName=name, Tags={"b": "2", "a": "1", "c": "3"})
    kinesis.remove_tags_from_stream(StreamName=name, TagKeys=["c"])
    page = kinesis.list_tags_for_stream(StreamName=name, Limit=1)
    assert (page["Tags"], page["HasMoreTags"]) == ([{"Key": "a", "Value": "1"}], True)
    rest = kinesis.list_tags_for_stream(StreamName=name, ExclusiveStartTagKey="a")
    assert (rest["Tags"], rest["HasMoreTags"]) == ([{"Key": "b", "Value": "2"}], False)


def test_metrics_per_shard(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(1)
    answer = kinesis.enable_enhanced_monitoring(StreamName=name, ShardLevelMetrics=["IncomingBytes"])
    assert (answer["CurrentShardLevelMetrics"], answer["DesiredShardLevelMetrics"]) == ([], ["IncomingBytes"])
    _settled(kinesis, name)
    answer = kinesis.disable_enhanced_monitoring(StreamName=name, ShardLevelMetrics=["ALL"])
    assert answer["DesiredShardLevelMetrics"] == []


def test_consumer_has_records_pushed(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(1)
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="pushed")["Consumer"]["ConsumerARN"]

    def active() -> bool:
        found = kinesis.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]
        return bool(found["ConsumerStatus"] == "ACTIVE")

    _until(active, "the consumer is active")
    listed = kinesis.list_stream_consumers(StreamARN=arn)["Consumers"]
    assert [found["ConsumerName"] for found in listed] == ["pushed"]
    first = kinesis.put_record(StreamName=name, Data=b"first", PartitionKey="k")["SequenceNumber"]
    kinesis.put_record(StreamName=name, Data=b"second", PartitionKey="k")
    start = {"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": first}
    events = kinesis.subscribe_to_shard(ConsumerARN=consumer, ShardId="shardId-000000000000", StartingPosition=start)[
        "EventStream"
    ]
    pushed: list[bytes] = []
    for event in events:
        body = event["SubscribeToShardEvent"]
        assert body["ContinuationSequenceNumber"]
        pushed += [record["Data"] for record in body["Records"]]
        if len(pushed) == 2:
            break
    events.close()
    assert pushed == [b"first", b"second"]
    kinesis.deregister_stream_consumer(ConsumerARN=consumer)


def test_what_is_not_there(kinesis: Any, stream: Callable[[int], str]) -> None:
    name, absent = stream(1), f"herald-absent-{uuid.uuid4().hex[:8]}"
    missing = "ResourceNotFoundException"
    assert _code(kinesis.describe_stream, StreamName=absent) == missing
    assert _code(kinesis.put_record, StreamName=absent, Data=b"", PartitionKey="k") == missing
    assert _code(kinesis.list_shards, StreamName=absent) == missing
    shard = {"StreamName": name, "ShardId": "shardId-000000000009", "ShardIteratorType": "LATEST"}
    assert _code(kinesis.get_shard_iterator, **shard) == missing


def test_what_makes_no_sense(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(2)
    wrong = "InvalidArgumentException"
    assert _code(kinesis.create_stream, StreamName=name, ShardCount=1) == "ResourceInUseException"
    assert _code(kinesis.get_records, ShardIterator="AAAA") == wrong
    split = {"StreamName": name, "ShardToSplit": "shardId-000000000000"}
    assert _code(kinesis.split_shard, NewStartingHashKey="0", **split) == wrong
    assert _code(kinesis.split_shard, NewStartingHashKey=str(_MAX_HASH_KEY), **split) == wrong
    outside = {"StreamName": name, "Data": b"", "PartitionKey": "k", "ExplicitHashKey": str(2**128)}
    assert _code(kinesis.put_record, **outside) == wrong
    shard = {"StreamName": name, "ShardId": "shardId-000000000000", "ShardIteratorType": "AT_SEQUENCE_NUMBER"}
    other = kinesis.list_shards(StreamName=name)["Shards"][1]["SequenceNumberRange"]["StartingSequenceNumber"]
    assert _code(kinesis.get_shard_iterator, StartingSequenceNumber=other, **shard) == wrong


def test_constraints_are_checked(kinesis: Any, stream: Callable[[int], str]) -> None:
    name = stream(1)
    long_key = {"StreamName": name, "Data": b"", "PartitionKey": "k" * 257}
    assert _code(kinesis.put_record, **long_key) == "ValidationException"
    too_many = [{"Data": b"", "PartitionKey": "k"}] * 501
    assert _code(kinesis.put_records, StreamName=name, Records=too_many) == "ValidationException"
    heavy = [{"Data": bytes(1 << 20), "PartitionKey": "k"}] * 6
    assert _code(kinesis.put_records, StreamName=name, Records=heavy) == "InvalidArgumentException"
    iterator = _iterator(kinesis, name, "shardId-000000000000")
    assert _code(kinesis.get_records, ShardIterator=iterator, Limit=10_001) == "ValidationException"


def test_deleted_stream_goes(kinesis: Any) -> None:
    name = f"herald-contract-{uuid.uuid4().hex[:12]}"
    kinesis.create_stream(StreamName=name, ShardCount=1)
    _settled(kinesis, name)
    kinesis.delete_stream(StreamName=name)

    def gone() -> bool:
        try:
            found = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        except kinesis.exceptions.ResourceNotFoundException:
            return True
        assert found["StreamStatus"] == "DELETING"
        return False

    _until(gone, f"{name} is gone")
