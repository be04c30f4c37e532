"""Calls on records: put, find a place, get."""

from __future__ import annotations

from typing import Any

from local.kinesis import errors, model, requests, sequence, tokens
from local.kinesis.limits import PUT_RECORDS_MAX_BYTES
from local.kinesis.log import Stored
from local.kinesis.lookup import serving_stream
from local.kinesis.model import Shard, Stream
from local.kinesis.twin import Batch, Twin
from local.kinesis.wire import Answer, Timestamp


def put_record(twin: Twin, request: requests.PutRecord, now_ms: int) -> Answer:
    """Accept one record. The caller may answer only when the twin's group is durable."""
    stream = serving_stream(twin, request, now_ms)
    shard = _route(stream, request.partition_key, request.explicit_hash_key)
    if request.sequence_number_for_ordering is not None:
        _check_ordering(request.sequence_number_for_ordering)
    counter = twin.accept(shard, request.partition_key, request.data, now_ms)
    if counter is None:
        raise errors.throughput_exceeded(stream.name, shard.shard_id)
    return {
        "ShardId": shard.shard_id,
        "SequenceNumber": shard.sequence_number(counter),
        **_encryption(stream),
    }


def put_records(twin: Twin, request: requests.PutRecords, now_ms: int) -> Answer:
    """Accept up to 500 records, each by itself. The caller may answer only when the twin's group is durable."""
    return _put_records(twin, request, now_ms, refuse_every_second=False)


def put_half_of_records(twin: Twin, request: requests.PutRecords, now_ms: int) -> Answer:
    """The same, with every second record refused: the fault `partial`. A batch of one is accepted."""
    return _put_records(twin, request, now_ms, refuse_every_second=True)


def _put_records(twin: Twin, request: requests.PutRecords, now_ms: int, *, refuse_every_second: bool) -> Answer:
    stream = serving_stream(twin, request, now_ms)
    entries = request.records
    if sum(len(entry.data) + len(entry.partition_key.encode()) for entry in entries) > PUT_RECORDS_MAX_BYTES:
        raise errors.invalid_argument("Records size exceeds 5 MB limit")
    # All keys are checked before the first record is accepted: a malformed request has no effect.
    shards = [_route(stream, entry.partition_key, entry.explicit_hash_key) for entry in entries]
    answers: list[dict[str, str]] = []
    failed = 0
    for number, (entry, shard) in enumerate(zip(entries, shards, strict=True)):
        refused = refuse_every_second and number % 2 == 1
        counter = None if refused else twin.accept(shard, entry.partition_key, entry.data, now_ms)
        if counter is None:
            failed += 1
            answers.append(
                {
                    "ErrorCode": "ProvisionedThroughputExceededException",
                    "ErrorMessage": errors.rate_message(stream.name, shard.shard_id),
                }
            )
        else:
            answers.append({"ShardId": shard.shard_id, "SequenceNumber": shard.sequence_number(counter)})
    return {"FailedRecordCount": failed, "Records": answers, **_encryption(stream)}


def _encryption(stream: Stream) -> dict[str, str]:
    return {"EncryptionType": "KMS"} if stream.key_id else {}


def _route(stream: Stream, partition_key: str, explicit_hash_key: str | None) -> Shard:
    if explicit_hash_key is None:
        return stream.route(model.hash_key(partition_key))
    key = int(explicit_hash_key)
    if key > model.MAX_HASH_KEY:
        raise errors.invalid_argument(
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
            f"Specified value was {explicit_hash_key}"
        )
    return stream.route(key)


def _check_ordering(sequence_number: str) -> None:
    # Records of a shard are ordered by acceptance anyway, so the number need only be one.
    try:
        sequence.parse(sequence_number)
    except ValueError:
        raise errors.invalid_argument(
            f"ExclusiveMinimumSequenceNumber {sequence_number} used in PutRecord is invalid."
        ) from None


def get_shard_iterator(twin: Twin, request: requests.GetShardIterator, now_ms: int) -> Answer:
    """A place in a shard to read from, good for five minutes."""
    stream = serving_stream(twin, request, now_ms)
    shard = live_shard(twin, stream, request.shard_id, now_ms)
    at_ms = None if request.timestamp is None else round(request.timestamp * 1000)
    counter = starting_counter(
        twin, stream, shard, request.shard_iterator_type, request.starting_sequence_number, at_ms, now_ms
    )
    return {"ShardIterator": _iterator(stream, shard, counter, now_ms)}


def live_shard(twin: Twin, stream: Stream, shard_id: str, now_ms: int) -> Shard:
    """A shard that has not expired.

    Raises:
        KinesisError: there is none.
    """
    shard = stream.shard(shard_id)
    if shard.closed_ms is not None and shard.closed_ms < twin.horizon_ms(stream, now_ms):
        raise errors.shard_not_found(stream.name, shard_id)
    return shard


def starting_counter(
    twin: Twin,
    stream: Stream,
    shard: Shard,
    kind: requests.IteratorType,
    sequence_number: str | None,
    at_ms: int | None,
    now_ms: int,
) -> int:
    """The counter of the first record to read.

    Raises:
        KinesisError: what the kind needs is missing, or does not fit the shard.
    """
    if kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        if sequence_number is None:
            raise errors.invalid_argument(
                f"Must either specify timestamp or startingSequenceNumber for {kind} iterator type."
            )
        return shard.locate(sequence_number, stream.name) + (kind == "AFTER_SEQUENCE_NUMBER")
    if sequence_number is not None:
        raise errors.invalid_argument(f"Request cannot specify a starting sequence number with {kind}.")
    if kind == "LATEST":
        return twin.visible(shard) + 1
    if kind == "TRIM_HORIZON":
        return 0
    if at_ms is None:
        raise errors.invalid_argument("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP.")
    if at_ms > now_ms:
        raise errors.invalid_argument(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
            f"timestampInMillis: {at_ms}, currentTimestampInMillis: {now_ms}"
        )
    return twin.locate_time(shard, at_ms)


def _iterator(stream: Stream, shard: Shard, counter: int, now_ms: int) -> str:
    return tokens.iterator(tokens.Position(stream.name, shard.index, shard.stamp_ms, counter, now_ms))


def get_records(twin: Twin, request: requests.GetRecords, now_ms: int) -> Answer:
    """The records from an iterator on, and where the next call goes on; at a shard's end, its children."""
    stream, shard, counter = _position(twin, request, now_ms)
    batch = twin.read(stream, shard, counter, request.limit, now_ms)
    twin.charge_read(shard, sum(record.size_bytes for record in batch.records), now_ms)
    answer = page(stream, shard, batch, now_ms)
    if at_end(twin, shard, batch):
        answer["ChildShards"] = child_shards(stream, shard)
    else:
        answer["NextShardIterator"] = _iterator(stream, shard, batch.next_counter, now_ms)
    return answer


def get_no_records(twin: Twin, request: requests.GetRecords, now_ms: int) -> Answer:
    """An empty page that makes no way, as the service may return at any time: the fault `partial`."""
    stream, shard, counter = _position(twin, request, now_ms)
    behind = twin.read(stream, shard, counter, 1, now_ms).records
    return {
        "Records": [],
        "MillisBehindLatest": max(1, now_ms - behind[0].at_ms) if behind else 0,
        "NextShardIterator": _iterator(stream, shard, counter, now_ms),
    }


def _position(twin: Twin, request: requests.GetRecords, now_ms: int) -> tuple[Stream, Shard, int]:
    position = tokens.parse_iterator(request.shard_iterator, now_ms)
    stream = twin.stream(position.stream, now_ms)
    if request.stream_arn is not None and request.stream_arn != stream.arn:
        raise errors.invalid_argument("StreamARN does not name the stream of the ShardIterator.")
    if position.index >= len(stream.shards) or stream.shards[position.index].stamp_ms != position.stamp_ms:
        raise errors.shard_not_found(stream.name, model.shard_id(position.index))
    shard = stream.shards[position.index]
    if not twin.admit_read(shard, now_ms):
        raise errors.throughput_exceeded(stream.name, shard.shard_id)
    return stream, shard, position.counter


def page(stream: Stream, shard: Shard, batch: Batch, now_ms: int) -> dict[str, Any]:
    """A batch's records and how far behind the shard's tip it ends."""
    behind_ms = 0 if batch.next_at_ms is None else max(1, now_ms - batch.next_at_ms)
    encryption = _encryption(stream)
    return {
        "Records": [_fields(shard, record, encryption) for record in batch.records],
        "MillisBehindLatest": behind_ms,
    }


def _fields(shard: Shard, record: Stored, encryption: dict[str, str]) -> dict[str, Any]:
    return {
        "SequenceNumber": shard.sequence_number(record.counter),
        "ApproximateArrivalTimestamp": Timestamp(record.at_ms),
        "PartitionKey": record.key,
        "Data": record.data,
        **encryption,
    }


def at_end(twin: Twin, shard: Shard, batch: Batch) -> bool:
    """Whether a closed shard has nothing after the batch."""
    return not shard.is_open and batch.next_counter > twin.visible(shard)


def child_shards(stream: Stream, shard: Shard) -> list[dict[str, Any]]:
    """Where a closed shard's records go on."""
    return [
        {
            "ShardId": child.shard_id,
            "ParentShards": child.parent_ids,
            "HashKeyRange": {"StartingHashKey": child.starting_hash_key, "EndingHashKey": child.ending_hash_key},
        }
        for child in stream.children(shard)
    ]
