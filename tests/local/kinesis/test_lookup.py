from __future__ import annotations

import pytest

from local.kinesis import lookup
from local.kinesis.errors import KinesisError
from tests.local.kinesis.support import Bench


def test_a_stream_is_found_by_name_or_arn_or_both(bench: Bench) -> None:
    stream = bench.twin.streams[bench.stream()]
    for name, arn in (("talk", None), (None, stream.arn), ("talk", stream.arn)):
        assert lookup.stream_named(bench.twin, name, arn, bench.now_ms) is stream


@pytest.mark.parametrize(
    ("name", "arn", "code"),
    [
        (None, None, "ValidationException"),
        ("absent", None, "ResourceNotFoundException"),
        ("other", "arn:aws:kinesis:us-east-1:000000000000:stream/talk", "InvalidArgumentException"),
        (None, "arn:aws:kinesis:us-east-1:000000000001:stream/talk", "ResourceNotFoundException"),
        (None, "arn:aws:kinesis:eu-west-1:000000000000:stream/talk", "ResourceNotFoundException"),
    ],
)
def test_others_are_refused(bench: Bench, name: str | None, arn: str | None, code: str) -> None:
    bench.stream()
    with pytest.raises(KinesisError) as raised:
        lookup.stream_named(bench.twin, name, arn, bench.now_ms)
    assert raised.value.code == code


def test_a_consumer_of_the_same_name_and_another_time_is_another(bench: Bench) -> None:
    stream = bench.twin.streams[bench.stream()]
    bench.call("RegisterStreamConsumer", StreamARN=stream.arn, ConsumerName="c")
    arn = lookup.consumer_arn(stream, stream.consumers["c"])
    assert lookup.consumer_by_arn(bench.twin, arn, bench.now_ms) == (stream, stream.consumers["c"])
    with pytest.raises(KinesisError, match="ResourceNotFoundException"):
        lookup.consumer_by_arn(bench.twin, arn[:-1], bench.now_ms)
