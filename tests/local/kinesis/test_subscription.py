from __future__ import annotations

from typing import Any

import pytest

from local.kinesis.errors import KinesisError
from local.kinesis.limits import MIB
from local.kinesis.requests import StartingPosition, SubscribeToShard
from local.kinesis.subscription import Subscription, subscribe
from tests.local.kinesis.support import Bench


def _subscribe(bench: Bench, kind: Any = "TRIM_HORIZON", **more: Any) -> Subscription:
    arn = bench.twin.streams["talk"].arn
    if "c" not in bench.twin.streams["talk"].consumers:
        bench.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c")
    consumer = bench.call("DescribeStreamConsumer", StreamARN=arn, ConsumerName="c")["ConsumerDescription"]
    request = SubscribeToShard(
        consumer_arn=consumer["ConsumerARN"],
        shard_id="shardId-000000000000",
        starting_position=StartingPosition(type=kind, **more),
    )
    return subscribe(bench.twin, request, bench.now_ms)


@pytest.fixture
def talk(bench: Bench) -> Bench:
    bench.stream()
    return bench


def _data(event: dict[str, Any] | None) -> list[bytes]:
    assert event is not None
    return [record["Data"] for record in event["Records"]]


def test_records_are_pushed_once_and_silence_is_told_now_and_then(talk: Bench) -> None:
    subscription = _subscribe(talk)
    first = talk.put(b"a")
    event = subscription.next_event(talk.now_ms)
    assert _data(event) == [b"a"]
    assert event is not None
    assert event["ContinuationSequenceNumber"] == first
    assert subscription.next_event(talk.now_ms) is None
    talk.now_ms = subscription.wake_at_ms(talk.now_ms)
    assert _data(subscription.next_event(talk.now_ms)) == []


def test_the_continuation_goes_on_where_the_last_event_ended(talk: Bench) -> None:
    talk.put(b"a")
    event = _subscribe(talk).next_event(talk.now_ms)
    assert event is not None
    talk.put(b"b")
    again = _subscribe(talk, "AFTER_SEQUENCE_NUMBER", sequence_number=event["ContinuationSequenceNumber"])
    assert _data(again.next_event(talk.now_ms)) == [b"b"]


def test_the_continuation_of_an_empty_shard_is_its_start(talk: Bench) -> None:
    event = _subscribe(talk).next_event(talk.now_ms)
    assert event is not None
    talk.put(b"a")
    again = _subscribe(talk, "AFTER_SEQUENCE_NUMBER", sequence_number=event["ContinuationSequenceNumber"])
    assert _data(again.next_event(talk.now_ms)) == [b"a"]


def test_it_ends_after_five_minutes(talk: Bench) -> None:
    subscription = _subscribe(talk)
    subscription.next_event(talk.now_ms)
    talk.now_ms += 299_999
    assert _data(subscription.next_event(talk.now_ms)) == []
    assert not subscription.ended
    talk.now_ms = subscription.wake_at_ms(talk.now_ms)
    assert subscription.next_event(talk.now_ms) is None
    assert subscription.ended


def test_it_ends_with_the_shard(talk: Bench) -> None:
    subscription = _subscribe(talk)
    talk.put(b"a")
    split = {"StreamName": "talk", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "1000"}
    talk.call("SplitShard", **split)
    event = subscription.next_event(talk.now_ms)
    assert _data(event) == [b"a"]
    assert event is not None
    assert [len(event["ChildShards"]), "ContinuationSequenceNumber" in event] == [2, False]
    assert subscription.ended


def test_two_mebibytes_a_second() -> None:
    bench = Bench(limit_scale=1.0)
    bench.stream()
    for _ in range(3):
        bench.put(bytes(MIB - 1))
        bench.now_ms += 1_000
    subscription = _subscribe(bench)
    assert len(_data(subscription.next_event(bench.now_ms))) == 3
    bench.put(b"x")
    assert subscription.next_event(bench.now_ms) is None
    wait_ms = subscription.wake_at_ms(bench.now_ms) - bench.now_ms
    assert 400 < wait_ms < 600
    bench.now_ms += wait_ms
    assert _data(subscription.next_event(bench.now_ms)) == [b"x"]


def test_a_consumer_must_be_active() -> None:
    bench = Bench(transition_ms=100)
    bench.stream()
    bench.now_ms += 100
    bench.call("DescribeStreamSummary", StreamName="talk")
    with pytest.raises(KinesisError, match="ResourceInUseException"):
        _subscribe(bench)


def test_it_fails_when_its_consumer_or_stream_goes(talk: Bench) -> None:
    subscription = _subscribe(talk)
    talk.call("DeregisterStreamConsumer", StreamARN=talk.twin.streams["talk"].arn, ConsumerName="c")
    with pytest.raises(KinesisError, match="Consumer c"):
        subscription.next_event(talk.now_ms)
    subscription = _subscribe(talk)
    talk.call("DeleteStream", StreamName="talk", EnforceConsumerDeletion=True)
    with pytest.raises(KinesisError, match="Stream talk"):
        subscription.next_event(talk.now_ms)
