from __future__ import annotations

from typing import Any

import pytest

from local.kinesis.errors import KinesisError
from tests.local.kinesis.support import Bench


def _status(bench: Bench) -> str:
    return str(bench.call("DescribeStreamSummary", StreamName="talk")["StreamDescriptionSummary"]["StreamStatus"])


def _refused(bench: Bench, operation: str, **members: Any) -> str:
    with pytest.raises(KinesisError) as raised:
        bench.call(operation, **members)
    return raised.value.code


def test_a_stream_passes_through_its_states() -> None:
    bench = Bench(transition_ms=100)
    bench.stream()
    assert _status(bench) == "CREATING"
    assert bench.call("DescribeStream", StreamName="talk")["StreamDescription"]["Shards"] == []
    assert _refused(bench, "PutRecord", StreamName="talk", Data=b"", PartitionKey="k") == "ResourceNotFoundException"
    assert _refused(bench, "ListShards", StreamName="talk") == "ResourceInUseException"
    bench.now_ms += 100
    assert _status(bench) == "ACTIVE"
    bench.put(b"x")
    bench.call("IncreaseStreamRetentionPeriod", StreamName="talk", RetentionPeriodHours=48)
    assert _status(bench) == "UPDATING"
    again = {"StreamName": "talk", "RetentionPeriodHours": 72}
    assert _refused(bench, "IncreaseStreamRetentionPeriod", **again) == "ResourceInUseException"
    bench.put(b"y")
    bench.now_ms += 100
    bench.call("DeleteStream", StreamName="talk")
    assert _status(bench) == "DELETING"
    assert _refused(bench, "CreateStream", StreamName="talk", ShardCount=1) == "ResourceInUseException"
    bench.now_ms += 100
    assert _refused(bench, "DescribeStream", StreamName="talk") == "ResourceNotFoundException"
    bench.stream()


def test_on_demand_streams() -> None:
    bench = Bench()
    bench.call("CreateStream", StreamName="talk", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    summary = bench.call("DescribeStreamSummary", StreamName="talk")["StreamDescriptionSummary"]
    assert (summary["OpenShardCount"], summary["StreamModeDetails"]) == (4, {"StreamMode": "ON_DEMAND"})
    resize = {"StreamName": "talk", "TargetShardCount": 8, "ScalingType": "UNIFORM_SCALING"}
    assert _refused(bench, "UpdateShardCount", **resize) == "ValidationException"
    provisioned = {"StreamModeDetails": {"StreamMode": "PROVISIONED"}}
    bench.call("UpdateStreamMode", StreamARN=summary["StreamARN"], **provisioned)
    assert bench.call("UpdateShardCount", **resize)["CurrentShardCount"] == 4
    assert _refused(bench, "CreateStream", StreamName="other") == "ValidationException"


def test_the_account_has_a_shard_limit() -> None:
    bench = Bench(shards_per_account=3)
    bench.stream(shards=2)
    assert _refused(bench, "CreateStream", StreamName="other", ShardCount=2) == "LimitExceededException"
    split = {"StreamName": "talk", "NewStartingHashKey": "1000"}
    bench.call("SplitShard", ShardToSplit="shardId-000000000000", **split)
    resize = {"StreamName": "talk", "TargetShardCount": 4, "ScalingType": "UNIFORM_SCALING"}
    assert _refused(bench, "UpdateShardCount", **resize) == "LimitExceededException"
    limits = bench.call("DescribeLimits")
    assert (limits["ShardLimit"], limits["OpenShardCount"], limits["OnDemandStreamCount"]) == (3, 3, 0)


def test_streams_are_listed_in_pages(bench: Bench) -> None:
    for name in "cab":
        bench.stream(name)
    first = bench.call("ListStreams", Limit=2)
    assert (first["StreamNames"], first["HasMoreStreams"]) == (["a", "b"], True)
    for more in ({"NextToken": first["NextToken"]}, {"ExclusiveStartStreamName": "b"}):
        rest = bench.call("ListStreams", **more)
        assert (rest["StreamNames"], rest["HasMoreStreams"]) == (["c"], False)
        assert [summary["StreamName"] for summary in rest["StreamSummaries"]] == ["c"]


def test_shards_are_described_in_pages(bench: Bench) -> None:
    bench.stream(shards=3)
    first = bench.call("DescribeStream", StreamName="talk", Limit=2)["StreamDescription"]
    assert (len(first["Shards"]), first["HasMoreShards"]) == (2, True)
    after = first["Shards"][-1]["ShardId"]
    rest = bench.call("DescribeStream", StreamName="talk", ExclusiveStartShardId=after)["StreamDescription"]
    assert ([shard["ShardId"][-1] for shard in rest["Shards"]], rest["HasMoreShards"]) == (["2"], False)


@pytest.mark.parametrize(
    ("operation", "hours", "accepted"),
    [
        ("IncreaseStreamRetentionPeriod", 24, False),
        ("IncreaseStreamRetentionPeriod", 8_760, True),
        ("IncreaseStreamRetentionPeriod", 8_761, False),
        ("DecreaseStreamRetentionPeriod", 24, True),
        ("DecreaseStreamRetentionPeriod", 23, False),
        ("DecreaseStreamRetentionPeriod", 49, False),
    ],
)
def test_retention_has_bounds_and_directions(bench: Bench, operation: str, hours: int, accepted: bool) -> None:
    bench.stream()
    bench.call("IncreaseStreamRetentionPeriod", StreamName="talk", RetentionPeriodHours=48)
    members = {"StreamName": "talk", "RetentionPeriodHours": hours}
    if accepted:
        assert bench.call(operation, **members) == {}
    else:
        assert _refused(bench, operation, **members) == "InvalidArgumentException"


def test_metrics_per_shard(bench: Bench) -> None:
    bench.stream()
    on = bench.call("EnableEnhancedMonitoring", StreamName="talk", ShardLevelMetrics=["ALL"])
    assert (on["CurrentShardLevelMetrics"], len(on["DesiredShardLevelMetrics"])) == ([], 7)
    off = bench.call("DisableEnhancedMonitoring", StreamName="talk", ShardLevelMetrics=["IncomingBytes"])
    assert "IncomingBytes" not in off["DesiredShardLevelMetrics"]
    assert len(off["DesiredShardLevelMetrics"]) == 6


def test_encryption_is_told_of_stream_and_records(bench: Bench) -> None:
    bench.stream()
    bench.call("StartStreamEncryption", StreamName="talk", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    described = bench.call("DescribeStreamSummary", StreamName="talk")["StreamDescriptionSummary"]
    assert (described["EncryptionType"], described["KeyId"]) == ("KMS", "alias/aws/kinesis")
    put = bench.call("PutRecord", StreamName="talk", Data=b"x", PartitionKey="k")
    assert put["EncryptionType"] == "KMS"
    bench.call("StopStreamEncryption", StreamName="talk", EncryptionType="KMS", KeyId="alias/aws/kinesis")
    assert "EncryptionType" not in bench.call("PutRecord", StreamName="talk", Data=b"x", PartitionKey="k")
    none = {"StreamName": "talk", "EncryptionType": "NONE", "KeyId": "x"}
    assert _refused(bench, "StartStreamEncryption", **none) == "InvalidArgumentException"


def test_consumers_keep_a_stream_unless_told_otherwise(bench: Bench) -> None:
    bench.stream()
    arn = bench.twin.streams["talk"].arn
    bench.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c")
    assert _refused(bench, "DeleteStream", StreamName="talk") == "ResourceInUseException"
    bench.call("DeleteStream", StreamName="talk", EnforceConsumerDeletion=True)
    assert bench.twin.streams == {}
