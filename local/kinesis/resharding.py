"""Calls on a stream's shards: list, split, merge, resize."""

from __future__ import annotations

from typing import Any

from local.kinesis import errors, requests, tokens
from local.kinesis.administration import check_account, shard_fields
from local.kinesis.limits import resizes_in_last_day
from local.kinesis.lookup import active_stream, stream_of
from local.kinesis.model import Change, FilterType, Merge, Resize, Split, Stream
from local.kinesis.twin import Twin
from local.kinesis.wire import Answer

_FILTERS_WITH_TIME = ("AT_TIMESTAMP", "FROM_TIMESTAMP")


def list_shards(twin: Twin, request: requests.ListShards, now_ms: int) -> Answer:
    """A page of a stream's shards, by number, that pass the filter."""
    if request.next_token is not None:
        return _next_shards(twin, request, request.next_token, now_ms)
    stream = stream_of(twin, request, now_ms)
    if stream.status in ("CREATING", "DELETING"):
        raise errors.not_active(stream.name, stream.status)
    _check_incarnation(stream, request.stream_creation_timestamp)
    after = stream.shard(request.exclusive_start_shard_id).index if request.exclusive_start_shard_id else -1
    chosen = request.shard_filter
    if chosen is None:
        return _shards(twin, stream, after, request.max_results, None, None, 0, now_ms)
    if request.exclusive_start_shard_id and chosen.type != "AFTER_SHARD_ID":
        raise errors.invalid_argument("ExclusiveStartShardId and ShardFilter cannot be provided together.")
    if (chosen.type == "AFTER_SHARD_ID") != (chosen.shard_id is not None):
        raise errors.invalid_argument("ShardId in ShardFilter goes with AFTER_SHARD_ID, and only with it.")
    if (chosen.type in _FILTERS_WITH_TIME) != (chosen.timestamp is not None):
        raise errors.invalid_argument(
            "Timestamp in ShardFilter goes with AT_TIMESTAMP and FROM_TIMESTAMP, and only with them."
        )
    at_ms = round((chosen.timestamp or 0) * 1000)
    if at_ms > now_ms:
        raise errors.invalid_argument("Timestamp in ShardFilter lies in the future.")
    return _shards(twin, stream, after, request.max_results, chosen.type, chosen.shard_id, at_ms, now_ms)


def _check_incarnation(stream: Stream, created_s: float | None) -> None:
    if created_s is not None and int(created_s) != stream.created_ms // 1000:
        raise errors.stream_not_found(stream.name)


def _next_shards(twin: Twin, request: requests.ListShards, token: str, now_ms: int) -> Answer:
    if request.stream_name or request.exclusive_start_shard_id or request.shard_filter:
        raise errors.invalid_argument("NextToken and StreamName cannot be provided together.")
    page = tokens.parse_next_token(token, "shards", now_ms)
    stream = twin.stream(page.subject, now_ms)
    kind: Any = page.filter or None
    return _shards(
        twin, stream, int(page.after), request.max_results, kind, page.filter_after, page.filter_at_ms, now_ms
    )


def _shards(
    twin: Twin,
    stream: Stream,
    after: int,
    limit: int,
    kind: FilterType | None,
    filter_after: str | None,
    filter_at_ms: int,
    now_ms: int,
) -> Answer:
    passing = stream.filter_shards(kind, filter_after, filter_at_ms, now_ms, twin.options.hour_ms)
    shards = [shard for shard in passing if shard.index > after]
    page = shards[:limit]
    answer: dict[str, Any] = {"Shards": [shard_fields(shard) for shard in page]}
    if len(page) < len(shards):
        answer["NextToken"] = tokens.next_token(
            tokens.Page(
                "shards", stream.name, str(page[-1].index), now_ms, kind or "", filter_after or "", filter_at_ms
            )
        )
    return answer


def split_shard(twin: Twin, request: requests.SplitShard, now_ms: int) -> Answer:
    """Begin to cut a shard in two."""
    stream = active_stream(twin, request, now_ms)
    shard = stream.shard(request.shard_to_split)
    return _begin(twin, stream, Split(shard.index, request.new_starting_hash_key), 1, now_ms)


def merge_shards(twin: Twin, request: requests.MergeShards, now_ms: int) -> Answer:
    """Begin to join two shards."""
    stream = active_stream(twin, request, now_ms)
    one, other = stream.shard(request.shard_to_merge), stream.shard(request.adjacent_shard_to_merge)
    return _begin(twin, stream, Merge(one.index, other.index), 0, now_ms)


def update_shard_count(twin: Twin, request: requests.UpdateShardCount, now_ms: int) -> Answer:
    """Begin to cut the hash space evenly anew."""
    stream = active_stream(twin, request, now_ms)
    if stream.mode == "ON_DEMAND":
        raise errors.validation(
            f"Request is invalid. Stream {stream.name} under account {errors.ACCOUNT_ID} is in On-Demand mode."
        )
    current, target = len(stream.open_shards), request.target_shard_count
    change = Resize(target)
    limited = twin.options.limit_scale is not None
    stream.check(change, now_ms, limited=limited)
    stream.resizes_ms = [*resizes_in_last_day(stream.resizes_ms, now_ms), now_ms]
    _begin(twin, stream, change, max(0, target - current), now_ms, limited=False)
    return {
        "StreamName": stream.name,
        "CurrentShardCount": current,
        "TargetShardCount": target,
        "StreamARN": stream.arn,
    }


def _begin(
    twin: Twin, stream: Stream, change: Change, more_shards: int, now_ms: int, *, limited: bool = True
) -> Answer:
    stream.check(change, now_ms, limited=limited)
    check_account(twin, more_shards)
    twin.begin(stream, "UPDATING", now_ms, change)
    return {}
