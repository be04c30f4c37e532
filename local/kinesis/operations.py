"""The table of operations: name, request shape, handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from local.kinesis import administration, consumers, records, requests, resharding, tagging
from local.kinesis.twin import Twin
from local.kinesis.wire import Answer

Handler = Callable[[Twin, Any, int], Answer]


class Operation(NamedTuple):
    """How a call is served. `partial` is what the fault of that name makes of it, where it means anything."""

    request: type[msgspec.Struct]
    handler: Handler
    partial: Handler | None = None


SUBSCRIBE = "SubscribeToShard"

OPERATIONS: dict[str, Operation] = {
    "AddTagsToStream": Operation(requests.AddTagsToStream, tagging.add_tags),
    "CreateStream": Operation(requests.CreateStream, administration.create_stream),
    "DecreaseStreamRetentionPeriod": Operation(requests.RetentionPeriod, administration.decrease_retention),
    "DeleteStream": Operation(requests.DeleteStream, administration.delete_stream),
    "DeregisterStreamConsumer": Operation(requests.ToConsumer, consumers.deregister_consumer),
    "DescribeLimits": Operation(requests.DescribeLimits, administration.describe_limits),
    "DescribeStream": Operation(requests.DescribeStream, administration.describe_stream),
    "DescribeStreamConsumer": Operation(requests.ToConsumer, consumers.describe_consumer),
    "DescribeStreamSummary": Operation(requests.ToStream, administration.describe_stream_summary),
    "DisableEnhancedMonitoring": Operation(requests.EnhancedMonitoring, administration.disable_monitoring),
    "EnableEnhancedMonitoring": Operation(requests.EnhancedMonitoring, administration.enable_monitoring),
    "GetRecords": Operation(requests.GetRecords, records.get_records, records.get_no_records),
    "GetShardIterator": Operation(requests.GetShardIterator, records.get_shard_iterator),
    "IncreaseStreamRetentionPeriod": Operation(requests.RetentionPeriod, administration.increase_retention),
    "ListShards": Operation(requests.ListShards, resharding.list_shards),
    "ListStreamConsumers": Operation(requests.ListStreamConsumers, consumers.list_consumers),
    "ListStreams": Operation(requests.ListStreams, administration.list_streams),
    "ListTagsForResource": Operation(requests.ListTagsForResource, tagging.list_resource_tags),
    "ListTagsForStream": Operation(requests.ListTagsForStream, tagging.list_tags),
    "MergeShards": Operation(requests.MergeShards, resharding.merge_shards),
    "PutRecord": Operation(requests.PutRecord, records.put_record),
    "PutRecords": Operation(requests.PutRecords, records.put_records, records.put_half_of_records),
    "RegisterStreamConsumer": Operation(requests.RegisterStreamConsumer, consumers.register_consumer),
    "RemoveTagsFromStream": Operation(requests.RemoveTagsFromStream, tagging.remove_tags),
    "SplitShard": Operation(requests.SplitShard, resharding.split_shard),
    "StartStreamEncryption": Operation(requests.StreamEncryption, administration.start_encryption),
    "StopStreamEncryption": Operation(requests.StreamEncryption, administration.stop_encryption),
    "TagResource": Operation(requests.TagResource, tagging.tag_resource),
    "UntagResource": Operation(requests.UntagResource, tagging.untag_resource),
    "UpdateShardCount": Operation(requests.UpdateShardCount, resharding.update_shard_count),
    "UpdateStreamMode": Operation(requests.UpdateStreamMode, administration.update_stream_mode),
}
