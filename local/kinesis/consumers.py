"""Registered consumers of enhanced fan-out: register, find, forget."""

from __future__ import annotations

from typing import Any

from local.kinesis import errors, requests, tokens
from local.kinesis.limits import CONSUMERS_PER_STREAM
from local.kinesis.lookup import consumer_arn, consumer_by_arn, require_active, stream_named
from local.kinesis.model import Consumer, Stream
from local.kinesis.twin import Twin
from local.kinesis.wire import Answer, Timestamp


def register_consumer(twin: Twin, request: requests.RegisterStreamConsumer, now_ms: int) -> Answer:
    """Begin to register a consumer; it is CREATING for a while."""
    stream = require_active(stream_named(twin, None, request.stream_arn, now_ms))
    if request.consumer_name in stream.consumers:
        raise errors.in_use(
            f"Consumer {request.consumer_name}, under stream {stream.name} under account {errors.ACCOUNT_ID} "
            "already exists."
        )
    if len(stream.consumers) >= CONSUMERS_PER_STREAM:
        raise errors.limit_exceeded(
            f"Stream {stream.name} under account {errors.ACCOUNT_ID} has {CONSUMERS_PER_STREAM} consumers already."
        )
    active_at_ms = now_ms + twin.options.transition_ms
    consumer = Consumer(request.consumer_name, now_ms, active_at_ms, request.tags or {})
    stream.consumers = stream.consumers | {consumer.name: consumer}
    twin.save(stream)
    return {"Consumer": _fields(stream, consumer, now_ms)}


def deregister_consumer(twin: Twin, request: requests.ToConsumer, now_ms: int) -> Answer:
    """Forget a consumer; its subscriptions end."""
    stream, consumer = _named(twin, request, now_ms)
    stream.consumers = {name: other for name, other in stream.consumers.items() if name != consumer.name}
    twin.save(stream)
    twin.notify(shard.uid for shard in stream.shards)
    return {}


def describe_consumer(twin: Twin, request: requests.ToConsumer, now_ms: int) -> Answer:
    """One consumer."""
    stream, consumer = _named(twin, request, now_ms)
    return {"ConsumerDescription": _fields(stream, consumer, now_ms) | {"StreamARN": stream.arn}}


def list_consumers(twin: Twin, request: requests.ListStreamConsumers, now_ms: int) -> Answer:
    """A page of a stream's consumers, by name."""
    stream = stream_named(twin, None, request.stream_arn, now_ms)
    after = ""
    if request.next_token is not None:
        after = tokens.parse_next_token(request.next_token, "consumers", now_ms).after
    names = sorted(name for name in stream.consumers if name > after)
    page = names[: request.max_results]
    answer: dict[str, Any] = {"Consumers": [_fields(stream, stream.consumers[name], now_ms) for name in page]}
    if len(page) < len(names):
        answer["NextToken"] = tokens.next_token(tokens.Page("consumers", stream.name, page[-1], now_ms))
    return answer


def _named(twin: Twin, request: requests.ToConsumer, now_ms: int) -> tuple[Stream, Consumer]:
    if request.consumer_arn is not None:
        return consumer_by_arn(twin, request.consumer_arn, now_ms)
    if request.stream_arn is None or request.consumer_name is None:
        raise errors.invalid_argument("Either ConsumerARN or both StreamARN and ConsumerName must be provided.")
    stream = stream_named(twin, None, request.stream_arn, now_ms)
    if request.consumer_name not in stream.consumers:
        raise errors.consumer_not_found(request.consumer_name)
    return stream, stream.consumers[request.consumer_name]


def _fields(stream: Stream, consumer: Consumer, now_ms: int) -> dict[str, Any]:
    return {
        "ConsumerName": consumer.name,
        "ConsumerARN": consumer_arn(stream, consumer),
        "ConsumerStatus": "ACTIVE" if now_ms >= consumer.active_at_ms else "CREATING",
        "ConsumerCreationTimestamp": Timestamp(consumer.created_ms // 1000 * 1000),
    }
