from __future__ import annotations

from typing import Any

import pytest

from local.kinesis.errors import KinesisError
from tests.local.kinesis.support import BEGIN_MS, Bench


def _ids(answer: dict[str, Any]) -> list[int]:
    return [int(shard["ShardId"][-12:]) for shard in answer["Shards"]]


def test_a_change_becomes_true_when_the_stream_is_active_again() -> None:
    bench = Bench(transition_ms=100)
    bench.stream()
    bench.now_ms += 100
    split = {"StreamName": "talk", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1000"}
    bench.call("SplitShard", **split)
    assert _ids(bench.call("ListShards", StreamName="talk")) == [0]
    assert bench.call("PutRecord", StreamName="talk", Data=b"", PartitionKey="k")["ShardId"][-1] == "0"
    with pytest.raises(KinesisError, match="ResourceInUseException"):
        bench.call("SplitShard", **split)
    bench.now_ms += 100
    assert _ids(bench.call("ListShards", StreamName="talk")) == [0, 1, 2]
    assert bench.call("PutRecord", StreamName="talk", Data=b"", PartitionKey="k")["ShardId"][-1] in "12"


def test_pages_keep_the_filter(bench: Bench) -> None:
    bench.stream(shards=2)
    bench.now_ms += 1_000
    bench.call("UpdateShardCount", StreamName="talk", TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    first = bench.call("ListShards", StreamName="talk", MaxResults=3, ShardFilter={"Type": "AT_LATEST"})
    rest = bench.call("ListShards", NextToken=first["NextToken"], MaxResults=3)
    assert (_ids(first), _ids(rest)) == ([2, 3, 4], [5])
    assert "NextToken" not in rest
    before = {"Type": "AT_TIMESTAMP", "Timestamp": BEGIN_MS / 1000}
    assert _ids(bench.call("ListShards", StreamName="talk", ShardFilter=before)) == [0, 1]


@pytest.mark.parametrize(
    "members",
    [
        {"ShardFilter": {"Type": "AFTER_SHARD_ID"}},
        {"ShardFilter": {"Type": "AT_LATEST", "ShardId": "shardId-000000000000"}},
        {"ShardFilter": {"Type": "AT_TIMESTAMP"}},
        {"ShardFilter": {"Type": "AT_LATEST", "Timestamp": 5.0}},
        {"ShardFilter": {"Type": "FROM_TIMESTAMP", "Timestamp": BEGIN_MS / 1000 + 1}},
        {"ShardFilter": {"Type": "AT_LATEST"}, "ExclusiveStartShardId": "shardId-000000000000"},
        {"NextToken": "AAAA"},
    ],
)
def test_arguments_that_do_not_go_together(bench: Bench, members: dict[str, Any]) -> None:
    bench.stream()
    with pytest.raises(KinesisError, match="InvalidArgumentException"):
        bench.call("ListShards", StreamName="talk", **members)


def test_a_list_may_be_pinned_to_one_life_of_a_stream(bench: Bench) -> None:
    bench.stream()
    created_s = BEGIN_MS / 1000
    assert _ids(bench.call("ListShards", StreamName="talk", StreamCreationTimestamp=created_s)) == [0]
    with pytest.raises(KinesisError, match="ResourceNotFoundException"):
        bench.call("ListShards", StreamName="talk", StreamCreationTimestamp=created_s - 60)


def test_ten_resizes_a_day() -> None:
    bench = Bench(limit_scale=1.0)
    bench.stream()
    for number in range(10):
        target = 2 - number % 2
        bench.call("UpdateShardCount", StreamName="talk", TargetShardCount=target, ScalingType="UNIFORM_SCALING")
        bench.now_ms += 1_000
    with pytest.raises(KinesisError, match="LimitExceededException"):
        bench.call("UpdateShardCount", StreamName="talk", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    bench.now_ms += 24 * 3_600_000
    bench.call("UpdateShardCount", StreamName="talk", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
