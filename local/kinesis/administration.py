"""Calls on streams as a whole: life, description, retention, monitoring, mode, encryption."""

from __future__ import annotations

from typing import Any, get_args

from local.kinesis import errors, requests, tokens
from local.kinesis.lookup import active_stream, require_active, serving_stream, stream_named, stream_of
from local.kinesis.model import Shard, Stream
from local.kinesis.twin import Twin
from local.kinesis.wire import Answer, Timestamp

_ON_DEMAND_SHARDS = 4  # of a new on-demand stream (developer guide, "On-demand mode")
_ON_DEMAND_STREAMS = 50  # per account, by default
_MIN_RETENTION_HOURS, _MAX_RETENTION_HOURS = 24, 8_760
_METRICS = [metric for metric in get_args(requests.Metric) if metric != "ALL"]


def create_stream(twin: Twin, request: requests.CreateStream, now_ms: int) -> Answer:
    """Begin to create a stream."""
    twin.settle(now_ms)
    if request.stream_name in twin.streams:
        raise errors.in_use(f"Stream {request.stream_name} under account {errors.ACCOUNT_ID} already exists.")
    mode = request.stream_mode_details.stream_mode if request.stream_mode_details else "PROVISIONED"
    if mode == "ON_DEMAND" and request.shard_count is not None:
        raise errors.validation("ShardCount is not supported for on-demand streams.")
    if mode == "PROVISIONED" and request.shard_count is None:
        raise errors.validation("ShardCount is required for provisioned streams.")
    count = request.shard_count or _ON_DEMAND_SHARDS
    check_account(twin, count)
    stream = Stream(name=request.stream_name, created_ms=now_ms, mode=mode, tags=request.tags or {})
    twin.create(stream, count)
    return {}


def check_account(twin: Twin, more_shards: int) -> None:
    """Refuse to pass the account's limit of open shards."""
    limit, current = twin.options.shards_per_account, open_shards(twin)
    if current + more_shards > limit:
        raise errors.limit_exceeded(
            "This request would exceed the shard limit for the account "
            f"{errors.ACCOUNT_ID} in {errors.REGION}. Current shard count for the account: {current}. "
            f"Limit: {limit}. Number of additional shards that would have resulted from this request: "
            f"{more_shards}. Refer to the AWS Service Limits page "
            "(http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and "
            "how to request higher limits."
        )


def open_shards(twin: Twin) -> int:
    """Open shards of the account."""
    return sum(len(stream.open_shards) for stream in twin.streams.values())


def delete_stream(twin: Twin, request: requests.DeleteStream, now_ms: int) -> Answer:
    """Begin to delete a stream with all its records."""
    stream = stream_of(twin, request, now_ms)
    if stream.consumers and not request.enforce_consumer_deletion:
        raise errors.in_use(
            f"Stream {stream.name} under account {errors.ACCOUNT_ID} has consumers registered. "
            "Deregister them, or set EnforceConsumerDeletion."
        )
    if stream.status != "DELETING":
        twin.begin(stream, "DELETING", now_ms)
    return {}


def describe_stream(twin: Twin, request: requests.DescribeStream, now_ms: int) -> Answer:
    """A stream with a page of its shards; none while it is being created."""
    stream = stream_of(twin, request, now_ms)
    shards = [] if stream.status == "CREATING" else stream.live_shards(now_ms, twin.options.hour_ms)
    if request.exclusive_start_shard_id is not None:
        after = stream.shard(request.exclusive_start_shard_id).index
        shards = [shard for shard in shards if shard.index > after]
    page = shards[: request.limit]
    return {
        "StreamDescription": _description(stream)
        | {"Shards": [shard_fields(shard) for shard in page], "HasMoreShards": len(page) < len(shards)}
    }


def describe_stream_summary(twin: Twin, request: requests.ToStream, now_ms: int) -> Answer:
    """A stream without its shards."""
    stream = stream_of(twin, request, now_ms)
    counts = {"OpenShardCount": len(stream.open_shards), "ConsumerCount": len(stream.consumers)}
    return {"StreamDescriptionSummary": _description(stream) | counts}


def _description(stream: Stream) -> dict[str, Any]:
    encryption = {"EncryptionType": "KMS", "KeyId": stream.key_id} if stream.key_id else {"EncryptionType": "NONE"}
    return {
        **_summary(stream),
        "RetentionPeriodHours": stream.retention_hours,
        "EnhancedMonitoring": [{"ShardLevelMetrics": stream.shard_metrics}],
        **encryption,
    }


def _summary(stream: Stream) -> dict[str, Any]:
    return {
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "StreamStatus": stream.status,
        "StreamModeDetails": {"StreamMode": stream.mode},
        "StreamCreationTimestamp": Timestamp(stream.created_ms // 1000 * 1000),
    }


def shard_fields(shard: Shard) -> dict[str, Any]:
    """A shard as it is described."""
    numbers = {"StartingSequenceNumber": shard.sequence_number(0)}
    if not shard.is_open:
        numbers["EndingSequenceNumber"] = shard.sequence_number(shard.last_counter + 1)
    fields: dict[str, Any] = {"ShardId": shard.shard_id}
    for name, parent in zip(("ParentShardId", "AdjacentParentShardId"), shard.parent_ids, strict=False):
        fields[name] = parent
    return fields | {
        "HashKeyRange": {"StartingHashKey": shard.starting_hash_key, "EndingHashKey": shard.ending_hash_key},
        "SequenceNumberRange": numbers,
    }


def list_streams(twin: Twin, request: requests.ListStreams, now_ms: int) -> Answer:
    """A page of streams, by name."""
    twin.settle(now_ms)
    after = request.exclusive_start_stream_name or ""
    if request.next_token is not None:
        after = tokens.parse_next_token(request.next_token, "streams", now_ms).after
    streams = [twin.streams[name] for name in sorted(twin.streams) if name > after]
    page = streams[: request.limit]
    answer: dict[str, Any] = {
        "StreamNames": [stream.name for stream in page],
        "StreamSummaries": [_summary(stream) for stream in page],
        "HasMoreStreams": len(page) < len(streams),
    }
    if answer["HasMoreStreams"]:
        answer["NextToken"] = tokens.next_token(tokens.Page("streams", "", page[-1].name, now_ms))
    return answer


def describe_limits(twin: Twin, _request: requests.DescribeLimits, now_ms: int) -> Answer:
    """The account's limits and how much of them is used."""
    twin.settle(now_ms)
    return {
        "ShardLimit": twin.options.shards_per_account,
        "OpenShardCount": open_shards(twin),
        "OnDemandStreamCount": sum(stream.mode == "ON_DEMAND" for stream in twin.streams.values()),
        "OnDemandStreamCountLimit": _ON_DEMAND_STREAMS,
    }


def increase_retention(twin: Twin, request: requests.RetentionPeriod, now_ms: int) -> Answer:
    """Keep records longer."""
    stream, hours = active_stream(twin, request, now_ms), request.retention_period_hours
    _check_retention(hours)
    if hours < stream.retention_hours:
        raise _retention_error(stream, hours, "shorter", "Use DecreaseRetentionPeriod API.")
    return _set_retention(twin, stream, hours, now_ms)


def decrease_retention(twin: Twin, request: requests.RetentionPeriod, now_ms: int) -> Answer:
    """Keep records for a shorter time; those that are older are gone at once."""
    stream, hours = active_stream(twin, request, now_ms), request.retention_period_hours
    _check_retention(hours)
    if hours > stream.retention_hours:
        raise _retention_error(stream, hours, "longer", "Use IncreaseRetentionPeriod API.")
    return _set_retention(twin, stream, hours, now_ms)


def _check_retention(hours: int) -> None:
    if hours < _MIN_RETENTION_HOURS:
        raise errors.invalid_argument(
            f"Minimum allowed retention period is {_MIN_RETENTION_HOURS} hours. "
            f"Requested retention period ({hours} hours) is too short."
        )
    if hours > _MAX_RETENTION_HOURS:
        raise errors.invalid_argument(
            f"Maximum allowed retention period is {_MAX_RETENTION_HOURS} hours. "
            f"Requested retention period ({hours} hours) is too long."
        )


def _retention_error(stream: Stream, hours: int, relation: str, remedy: str) -> errors.KinesisError:
    return errors.invalid_argument(
        f"Requested retention period ({hours} hours) for stream {stream.name} can not be {relation} than "
        f"existing retention period ({stream.retention_hours} hours). {remedy}"
    )


def _set_retention(twin: Twin, stream: Stream, hours: int, now_ms: int) -> Answer:
    stream.retention_hours = hours
    twin.begin(stream, "UPDATING", now_ms)
    return {}


def enable_monitoring(twin: Twin, request: requests.EnhancedMonitoring, now_ms: int) -> Answer:
    """Switch metrics per shard on."""
    wanted = _metrics(request)
    return _set_metrics(twin, request, now_ms, lambda metric, on: on or metric in wanted)


def disable_monitoring(twin: Twin, request: requests.EnhancedMonitoring, now_ms: int) -> Answer:
    """Switch metrics per shard off."""
    unwanted = _metrics(request)
    return _set_metrics(twin, request, now_ms, lambda metric, on: on and metric not in unwanted)


def _metrics(request: requests.EnhancedMonitoring) -> list[str]:
    return _METRICS if "ALL" in request.shard_level_metrics else list(request.shard_level_metrics)


def _set_metrics(twin: Twin, request: requests.EnhancedMonitoring, now_ms: int, is_on: Any) -> Answer:
    stream = serving_stream(twin, request, now_ms)
    before = stream.shard_metrics
    stream.shard_metrics = [metric for metric in _METRICS if is_on(metric, metric in before)]
    twin.save(stream)
    return {
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "CurrentShardLevelMetrics": before,
        "DesiredShardLevelMetrics": stream.shard_metrics,
    }


def update_stream_mode(twin: Twin, request: requests.UpdateStreamMode, now_ms: int) -> Answer:
    """Provisioned or on demand; the shards stay."""
    stream = require_active(stream_named(twin, None, request.stream_arn, now_ms))
    stream.mode = request.stream_mode_details.stream_mode
    twin.begin(stream, "UPDATING", now_ms)
    return {}


def start_encryption(twin: Twin, request: requests.StreamEncryption, now_ms: int) -> Answer:
    """Say that records are encrypted at rest from now on (they are not: the twin has no key service)."""
    return _set_encryption(twin, request, request.key_id, now_ms)


def stop_encryption(twin: Twin, request: requests.StreamEncryption, now_ms: int) -> Answer:
    """Say that records are not encrypted at rest any more."""
    return _set_encryption(twin, request, None, now_ms)


def _set_encryption(twin: Twin, request: requests.StreamEncryption, key_id: str | None, now_ms: int) -> Answer:
    if request.encryption_type != "KMS":
        raise errors.invalid_argument("EncryptionType must be KMS.")
    stream = active_stream(twin, request, now_ms)
    stream.key_id = key_id
    twin.begin(stream, "UPDATING", now_ms)
    return {}
