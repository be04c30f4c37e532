"""From what a request names to the stream or consumer it means, with the service's errors."""

from __future__ import annotations

from local.kinesis import errors
from local.kinesis.model import Consumer, Stream, stream_arn
from local.kinesis.requests import ToStream
from local.kinesis.twin import Twin


def stream_named(twin: Twin, name: str | None, arn: str | None, now_ms: int) -> Stream:
    """The stream of a name or an ARN or both.

    Raises:
        KinesisError: neither is given, they differ, or there is no such stream.
    """
    if arn is None:
        if name is None:
            raise errors.validation("Either StreamName or StreamARN must be provided.")
        return twin.stream(name, now_ms)
    named = arn.partition(":stream/")[2]
    if name is not None and name != named:
        raise errors.invalid_argument(f"StreamARN {arn} does not name stream {name}.")
    if arn != stream_arn(named):
        raise errors.KinesisError("ResourceNotFoundException", f"Stream {arn} not found.")
    return twin.stream(named, now_ms)


def stream_of(twin: Twin, request: ToStream, now_ms: int) -> Stream:
    """The stream that a request is about."""
    return stream_named(twin, request.stream_name, request.stream_arn, now_ms)


def serving_stream(twin: Twin, request: ToStream, now_ms: int) -> Stream:
    """The same, for reading and writing: to these calls a stream that is being created does not exist yet."""
    stream = stream_of(twin, request, now_ms)
    if stream.status in ("CREATING", "DELETING"):
        raise errors.stream_not_found(stream.name)
    return stream


def active_stream(twin: Twin, request: ToStream, now_ms: int) -> Stream:
    """The same, for changes, one of which a stream takes at a time."""
    return require_active(stream_of(twin, request, now_ms))


def require_active(stream: Stream) -> Stream:
    """The stream, unless it is in a passing state."""
    if stream.status != "ACTIVE":
        raise errors.not_active(stream.name, stream.status)
    return stream


def consumer_arn(stream: Stream, consumer: Consumer) -> str:
    """A consumer's ARN: its stream's, its name and the second of its birth."""
    return f"{stream.arn}/consumer/{consumer.name}:{consumer.created_ms // 1000}"


def consumer_by_arn(twin: Twin, arn: str, now_ms: int) -> tuple[Stream, Consumer]:
    """A consumer and its stream.

    Raises:
        KinesisError: there is none.
    """
    of_stream, _, named = arn.partition("/consumer/")
    consumer_name = named.rpartition(":")[0]
    stream = stream_named(twin, None, of_stream, now_ms)
    consumer = stream.consumers.get(consumer_name)
    if consumer is None or consumer_arn(stream, consumer) != arn:
        raise errors.consumer_not_found(arn)
    return stream, consumer
