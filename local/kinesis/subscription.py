"""SubscribeToShard: what is pushed when. Pure; `server.py` sends it.

A subscription is asked for its next event whenever its shard has grown or its time has come, and says when
it wants to be asked again at the latest.
"""

from __future__ import annotations

from typing import Any

from local.kinesis import errors, records, requests
from local.kinesis.limits import READ_BYTES_PER_S, Bucket
from local.kinesis.lookup import consumer_by_arn
from local.kinesis.model import Consumer, Shard, Stream
from local.kinesis.twin import Batch, Twin

_EVENT_RECORDS = 1_000  # records in one event; the service does not promise a number
TAKEOVER_MS = 5_000  # how soon after a successful call another one is refused (API reference)


class Subscription:
    """One consumer's stream of one shard, for five minutes at the most."""

    def __init__(self, twin: Twin, stream: Stream, shard: Shard, consumer: Consumer, counter: int, now_ms: int) -> None:
        self.stream = stream
        self.shard = shard
        self.key = (stream.name, consumer.name, consumer.created_ms, shard.index)
        self.began_ms = now_ms
        self.ended = False
        self._twin = twin
        self._consumer = consumer
        self._counter = counter
        self._until_ms = now_ms + twin.options.subscription_ms
        self._heartbeat_ms = now_ms  # the first event comes at once, empty if need be
        scale = twin.options.limit_scale
        self._bytes = None if scale is None else Bucket(READ_BYTES_PER_S * scale, now_ms)

    def wake_at_ms(self, now_ms: int) -> int:
        """When to ask for the next event even though the shard has not grown."""
        due_ms = min(self._heartbeat_ms, self._until_ms)
        debt_ms = self._bytes.wait_ms(now_ms) if self._bytes else 0
        return min(due_ms, now_ms + debt_ms) if debt_ms else due_ms

    def next_event(self, now_ms: int) -> dict[str, Any] | None:
        """The event that is due, or None. After the last one, `ended` is true.

        Raises:
            KinesisError: the stream or the consumer is gone.
        """
        self._check_alive()
        if now_ms >= self._until_ms:
            self.ended = True
            return None
        if self._bytes is not None and self._bytes.wait_ms(now_ms):
            return None
        batch = self._twin.read(self.stream, self.shard, self._counter, _EVENT_RECORDS, now_ms)
        finished = records.at_end(self._twin, self.shard, batch)
        if not batch.records and not finished and now_ms < self._heartbeat_ms:
            return None
        if self._bytes is not None:
            self._bytes.take(sum(record.size_bytes for record in batch.records))
        return self._event(batch, finished, now_ms)

    def _event(self, batch: Batch, finished: bool, now_ms: int) -> dict[str, Any]:
        self._counter = batch.next_counter
        self._heartbeat_ms = now_ms + self._twin.options.heartbeat_ms
        event = records.page(self.stream, self.shard, batch, now_ms)
        if finished:
            self.ended = True
            return event | {"ChildShards": records.child_shards(self.stream, self.shard)}
        # Good with AFTER_SEQUENCE_NUMBER: everything up to here has been sent.
        return event | {"ContinuationSequenceNumber": self.shard.sequence_number(max(0, self._counter - 1))}

    def _check_alive(self) -> None:
        if self._twin.streams.get(self.stream.name) is not self.stream:
            raise errors.stream_not_found(self.stream.name)
        if self.stream.consumers.get(self._consumer.name) is not self._consumer:
            raise errors.consumer_not_found(self._consumer.name)


def subscribe(twin: Twin, request: requests.SubscribeToShard, now_ms: int) -> Subscription:
    """Begin a subscription.

    Raises:
        KinesisError: the consumer is unknown or still being registered, or the position does not fit.
    """
    stream, consumer = consumer_by_arn(twin, request.consumer_arn, now_ms)
    if now_ms < consumer.active_at_ms:
        raise errors.in_use(
            f"Consumer {request.consumer_arn} under account {errors.ACCOUNT_ID} is not ACTIVE, "
            "instead in state CREATING"
        )
    if stream.status in ("CREATING", "DELETING"):
        raise errors.not_active(stream.name, stream.status)
    shard = records.live_shard(twin, stream, request.shard_id, now_ms)
    start = request.starting_position
    at_ms = None if start.timestamp is None else round(start.timestamp * 1000)
    counter = records.starting_counter(twin, stream, shard, start.type, start.sequence_number, at_ms, now_ms)
    return Subscription(twin, stream, shard, consumer, counter, now_ms)
