from __future__ import annotations

import pytest

from local.kinesis import errors


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (errors.stream_not_found("s"), "ResourceNotFoundException", "Stream s under account 000000000000 not found."),
        (
            errors.shard_not_found("s", "shardId-000000000001"),
            "ResourceNotFoundException",
            "Could not find shard shardId-000000000001 in stream s under account 000000000000.",
        ),
        (
            errors.not_active("s", "UPDATING"),
            "ResourceInUseException",
            "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING",
        ),
        (
            errors.throughput_exceeded("s", "shardId-000000000001"),
            "ProvisionedThroughputExceededException",
            "Rate exceeded for shard shardId-000000000001 in stream s under account 000000000000.",
        ),
        (
            errors.consumer_not_found("c"),
            "ResourceNotFoundException",
            "Consumer c, under account 000000000000 not found.",
        ),
        (errors.invalid_argument("x"), "InvalidArgumentException", "x"),
        (errors.validation("x"), "ValidationException", "x"),
        (errors.limit_exceeded("x"), "LimitExceededException", "x"),
    ],
)
def test_code_and_words(error: errors.KinesisError, code: str, text: str) -> None:
    assert (error.code, error.message, error.status) == (code, text, 400)
    assert str(error) == f"{code}: {text}"
