from __future__ import annotations

import pytest

from local.kinesis.errors import KinesisError
from tests.local.kinesis.support import Bench


@pytest.fixture
def arn(bench: Bench) -> str:
    return bench.twin.streams[bench.stream()].arn


def test_a_consumer_is_registered_described_and_forgotten(bench: Bench, arn: str) -> None:
    made = bench.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c")["Consumer"]
    assert made["ConsumerARN"] == f"{arn}/consumer/c:{bench.now_ms // 1000}"
    for members in ({"ConsumerARN": made["ConsumerARN"]}, {"StreamARN": arn, "ConsumerName": "c"}):
        found = bench.call("DescribeStreamConsumer", **members)["ConsumerDescription"]
        assert found == made | {"StreamARN": arn}
    bench.call("DeregisterStreamConsumer", StreamARN=arn, ConsumerName="c")
    with pytest.raises(KinesisError, match="ResourceNotFoundException"):
        bench.call("DescribeStreamConsumer", ConsumerARN=made["ConsumerARN"])


def test_a_consumer_is_creating_at_first() -> None:
    bench = Bench(transition_ms=100)
    arn = bench.twin.streams[bench.stream()].arn
    bench.now_ms += 100
    made = bench.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c")["Consumer"]
    assert made["ConsumerStatus"] == "CREATING"
    bench.now_ms += 100
    found = bench.call("DescribeStreamConsumer", ConsumerARN=made["ConsumerARN"])["ConsumerDescription"]
    assert found["ConsumerStatus"] == "ACTIVE"


def test_consumers_are_listed_in_pages(bench: Bench, arn: str) -> None:
    for name in "cab":
        bench.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName=name)
    first = bench.call("ListStreamConsumers", StreamARN=arn, MaxResults=2)
    rest = bench.call("ListStreamConsumers", StreamARN=arn, NextToken=first["NextToken"])
    assert [found["ConsumerName"] for found in first["Consumers"] + rest["Consumers"]] == ["a", "b", "c"]
    assert "NextToken" not in rest


def test_names_are_unique_and_twenty_at_the_most(bench: Bench, arn: str) -> None:
    for number in range(20):
        bench.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName=f"c{number}")
    with pytest.raises(KinesisError, match="ResourceInUseException"):
        bench.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c3")
    with pytest.raises(KinesisError, match="LimitExceededException"):
        bench.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c20")


def test_a_consumer_must_be_named(bench: Bench, arn: str) -> None:
    with pytest.raises(KinesisError, match="InvalidArgumentException"):
        bench.call("DescribeStreamConsumer", StreamARN=arn)
    with pytest.raises(KinesisError, match="ResourceNotFoundException"):
        bench.call("DescribeStreamConsumer", StreamARN=arn, ConsumerName="absent")
