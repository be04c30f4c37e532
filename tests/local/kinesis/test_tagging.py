from __future__ import annotations

import pytest

from local.kinesis.errors import KinesisError
from tests.local.kinesis.support import Bench


def test_tags_of_a_stream_by_either_call(bench: Bench) -> None:
    arn = bench.twin.streams[bench.stream()].arn
    bench.call("AddTagsToStream", StreamName="talk", Tags={"a": "1", "b": "2"})
    bench.call("TagResource", ResourceARN=arn, Tags={"b": "3", "c": "4"})
    expected = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "3"}, {"Key": "c", "Value": "4"}]
    assert bench.call("ListTagsForResource", ResourceARN=arn)["Tags"] == expected
    page = bench.call("ListTagsForStream", StreamName="talk", ExclusiveStartTagKey="a", Limit=1)
    assert (page["Tags"], page["HasMoreTags"]) == (expected[1:2], True)
    bench.call("UntagResource", ResourceARN=arn, TagKeys=["a"])
    bench.call("RemoveTagsFromStream", StreamARN=arn, TagKeys=["b", "absent"])
    assert bench.call("ListTagsForStream", StreamName="talk") == {"Tags": expected[2:], "HasMoreTags": False}


def test_tags_of_a_consumer_are_its_own(bench: Bench) -> None:
    arn = bench.twin.streams[bench.stream()].arn
    made = bench.call("RegisterStreamConsumer", StreamARN=arn, ConsumerName="c", Tags={"a": "1"})["Consumer"]
    bench.call("TagResource", ResourceARN=made["ConsumerARN"], Tags={"b": "2"})
    tags = bench.call("ListTagsForResource", ResourceARN=made["ConsumerARN"])["Tags"]
    assert [tag["Key"] for tag in tags] == ["a", "b"]
    assert bench.call("ListTagsForStream", StreamName="talk")["Tags"] == []


def test_a_stream_has_fifty_tags_at_the_most(bench: Bench) -> None:
    bench.stream()
    bench.call("AddTagsToStream", StreamName="talk", Tags={str(number): "" for number in range(50)})
    bench.call("AddTagsToStream", StreamName="talk", Tags={"7": "again"})
    with pytest.raises(KinesisError, match="cannot have more than 50 tags"):
        bench.call("AddTagsToStream", StreamName="talk", Tags={"one more": ""})
