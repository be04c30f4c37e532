"""The service's request shapes, with the constraints of its API model (2013-12-02). Decoding validates."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from local.kinesis.limits import MIB
from local.kinesis.model import FilterType

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_.-]+$")]
StreamArn = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"^arn:aws.*:kinesis:.*:\d{12}:stream/\S+$")]
ConsumerArn = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2048,
        pattern=r"^arn:aws.*:kinesis:.*:\d{12}:.*stream/[a-zA-Z0-9_.-]+/consumer/[a-zA-Z0-9_.-]+:[0-9]+$",
    ),
]
ResourceArn = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"^arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+$")]
HashKey = Annotated[str, Meta(pattern=r"^(0|([1-9]\d{0,38}))$")]
SequenceNumber = Annotated[str, Meta(pattern=r"^(0|([1-9]\d{0,128}))$")]
PartitionKey = Annotated[str, Meta(min_length=1, max_length=256)]
Data = Annotated[bytes, Meta(max_length=MIB)]
Token = Annotated[str, Meta(min_length=1, max_length=1 << 20)]
PageSize = Annotated[int, Meta(ge=1, le=10_000)]
TagKey = Annotated[str, Meta(min_length=1, max_length=128)]
Tags = Annotated[dict[TagKey, Annotated[str, Meta(max_length=256)]], Meta(min_length=1, max_length=200)]
TagKeys = Annotated[list[TagKey], Meta(min_length=1, max_length=50)]
Seconds = float  # a timestamp: Unix seconds, in both encodings once decoded
Mode = Literal["PROVISIONED", "ON_DEMAND"]
Metric = Literal[
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
    "ALL",
]
IteratorType = Literal["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]


class Request(msgspec.Struct, rename="pascal", kw_only=True):
    """Base of all; members that this list does not name are ignored, as the service does."""


class ToStream(Request, kw_only=True):
    """A call on a stream, named or by its ARN."""

    stream_name: Name | None = None
    stream_arn: StreamArn | None = msgspec.field(default=None, name="StreamARN")


class ModeDetails(Request, kw_only=True):
    """Provisioned or on demand."""

    stream_mode: Mode


class CreateStream(Request, kw_only=True):
    """Create a stream."""

    stream_name: Name
    shard_count: Annotated[int, Meta(ge=1)] | None = None
    stream_mode_details: ModeDetails | None = None
    tags: Tags | None = None


class DeleteStream(ToStream, kw_only=True):
    """Delete a stream."""

    enforce_consumer_deletion: bool = False


class DescribeStream(ToStream, kw_only=True):
    """Describe a stream with a page of its shards."""

    limit: PageSize = 100
    exclusive_start_shard_id: Name | None = None


class ListStreams(Request, kw_only=True):
    """List streams by name."""

    limit: PageSize = 100
    exclusive_start_stream_name: Name | None = None
    next_token: Token | None = None


class ShardFilter(Request, kw_only=True):
    """Which shards."""

    type: FilterType
    shard_id: Name | None = None
    timestamp: Seconds | None = None


class ListShards(ToStream, kw_only=True):
    """List a stream's shards."""

    next_token: Token | None = None
    exclusive_start_shard_id: Name | None = None
    max_results: PageSize = 1_000
    stream_creation_timestamp: Seconds | None = None
    shard_filter: ShardFilter | None = None


class PutRecord(ToStream, kw_only=True):
    """Write one record."""

    data: Data
    partition_key: PartitionKey
    explicit_hash_key: HashKey | None = None
    sequence_number_for_ordering: SequenceNumber | None = None


class Entry(msgspec.Struct, rename="pascal", gc=False):
    """One record of PutRecords."""

    data: Data
    partition_key: PartitionKey
    explicit_hash_key: HashKey | None = None


class PutRecords(ToStream, kw_only=True):
    """Write up to 500 records; each succeeds or fails by itself."""

    records: Annotated[list[Entry], Meta(min_length=1, max_length=500)]


class GetShardIterator(ToStream, kw_only=True):
    """A place in a shard to read from."""

    shard_id: Name
    shard_iterator_type: IteratorType
    starting_sequence_number: SequenceNumber | None = None
    timestamp: Seconds | None = None


class GetRecords(Request, kw_only=True):
    """Read from an iterator."""

    shard_iterator: Annotated[str, Meta(min_length=1, max_length=512)]
    limit: PageSize = 10_000
    stream_arn: StreamArn | None = msgspec.field(default=None, name="StreamARN")


class SplitShard(ToStream, kw_only=True):
    """Cut a shard in two."""

    shard_to_split: Name
    new_starting_hash_key: HashKey


class MergeShards(ToStream, kw_only=True):
    """Join two adjacent shards."""

    shard_to_merge: Name
    adjacent_shard_to_merge: Name


class UpdateShardCount(ToStream, kw_only=True):
    """Cut the hash space evenly anew."""

    target_shard_count: Annotated[int, Meta(ge=1)]
    scaling_type: Literal["UNIFORM_SCALING"]


class RetentionPeriod(ToStream, kw_only=True):
    """Increase or decrease how long records stay."""

    retention_period_hours: int


class AddTagsToStream(ToStream, kw_only=True):
    """Set tags."""

    tags: Tags


class RemoveTagsFromStream(ToStream, kw_only=True):
    """Remove tags."""

    tag_keys: TagKeys


class ListTagsForStream(ToStream, kw_only=True):
    """List tags by key."""

    exclusive_start_tag_key: TagKey | None = None
    limit: Annotated[int, Meta(ge=1, le=50)] | None = None


class TagResource(Request, kw_only=True):
    """Set tags of a stream or consumer."""

    resource_arn: ResourceArn = msgspec.field(name="ResourceARN")
    tags: Tags


class UntagResource(Request, kw_only=True):
    """Remove tags of a stream or consumer."""

    resource_arn: ResourceArn = msgspec.field(name="ResourceARN")
    tag_keys: TagKeys


class ListTagsForResource(Request, kw_only=True):
    """List the tags of a stream or consumer."""

    resource_arn: ResourceArn = msgspec.field(name="ResourceARN")


class DescribeLimits(Request, kw_only=True):
    """The account's limits."""


class EnhancedMonitoring(ToStream, kw_only=True):
    """Switch metrics per shard on or off."""

    shard_level_metrics: Annotated[list[Metric], Meta(min_length=1, max_length=7)]


class UpdateStreamMode(Request, kw_only=True):
    """Provisioned or on demand."""

    stream_arn: StreamArn = msgspec.field(name="StreamARN")
    stream_mode_details: ModeDetails


class StreamEncryption(ToStream, kw_only=True):
    """Switch encryption at rest on or off."""

    encryption_type: Literal["NONE", "KMS"]
    key_id: Annotated[str, Meta(min_length=1, max_length=2048)]


class RegisterStreamConsumer(Request, kw_only=True):
    """Register a consumer of enhanced fan-out."""

    stream_arn: StreamArn = msgspec.field(name="StreamARN")
    consumer_name: Name
    tags: Tags | None = None


class ToConsumer(Request, kw_only=True):
    """A call on a consumer: by its ARN, or by name and stream."""

    stream_arn: StreamArn | None = msgspec.field(default=None, name="StreamARN")
    consumer_name: Name | None = None
    consumer_arn: ConsumerArn | None = msgspec.field(default=None, name="ConsumerARN")


class ListStreamConsumers(Request, kw_only=True):
    """List a stream's consumers."""

    stream_arn: StreamArn = msgspec.field(name="StreamARN")
    next_token: Token | None = None
    max_results: PageSize = 100
    stream_creation_timestamp: Seconds | None = None


class StartingPosition(Request, kw_only=True):
    """Where a subscription begins."""

    type: IteratorType
    sequence_number: SequenceNumber | None = None
    timestamp: Seconds | None = None


class SubscribeToShard(Request, kw_only=True):
    """Have a shard's records pushed."""

    consumer_arn: ConsumerArn = msgspec.field(name="ConsumerARN")
    shard_id: Name
    starting_position: StartingPosition
