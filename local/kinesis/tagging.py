"""Tags of streams and consumers."""

from __future__ import annotations

from typing import Any

from local.kinesis import errors, requests
from local.kinesis.limits import TAGS_PER_STREAM
from local.kinesis.lookup import consumer_by_arn, stream_named, stream_of
from local.kinesis.model import Consumer, Stream
from local.kinesis.twin import Twin
from local.kinesis.wire import Answer


def add_tags(twin: Twin, request: requests.AddTagsToStream, now_ms: int) -> Answer:
    """Set tags of a stream."""
    stream = stream_of(twin, request, now_ms)
    return _set(twin, stream, stream, request.tags)


def remove_tags(twin: Twin, request: requests.RemoveTagsFromStream, now_ms: int) -> Answer:
    """Remove tags of a stream."""
    stream = stream_of(twin, request, now_ms)
    return _remove(twin, stream, stream, request.tag_keys)


def list_tags(twin: Twin, request: requests.ListTagsForStream, now_ms: int) -> Answer:
    """A page of a stream's tags, by key."""
    tags = stream_of(twin, request, now_ms).tags
    keys = sorted(key for key in tags if key > (request.exclusive_start_tag_key or ""))
    page = keys[: request.limit or TAGS_PER_STREAM]
    return {"Tags": _pairs(tags, page), "HasMoreTags": len(page) < len(keys)}


def tag_resource(twin: Twin, request: requests.TagResource, now_ms: int) -> Answer:
    """Set tags of a stream or a consumer."""
    stream, owner = _resource(twin, request.resource_arn, now_ms)
    return _set(twin, stream, owner, request.tags)


def untag_resource(twin: Twin, request: requests.UntagResource, now_ms: int) -> Answer:
    """Remove tags of a stream or a consumer."""
    stream, owner = _resource(twin, request.resource_arn, now_ms)
    return _remove(twin, stream, owner, request.tag_keys)


def list_resource_tags(twin: Twin, request: requests.ListTagsForResource, now_ms: int) -> Answer:
    """All tags of a stream or a consumer."""
    tags = _resource(twin, request.resource_arn, now_ms)[1].tags
    return {"Tags": _pairs(tags, sorted(tags))}


def _pairs(tags: dict[str, str], keys: list[str]) -> list[dict[str, Any]]:
    return [{"Key": key, "Value": tags[key]} for key in keys]


def _resource(twin: Twin, arn: str, now_ms: int) -> tuple[Stream, Stream | Consumer]:
    if "/consumer/" in arn:
        return consumer_by_arn(twin, arn, now_ms)
    stream = stream_named(twin, None, arn, now_ms)
    return stream, stream


def _set(twin: Twin, stream: Stream, owner: Stream | Consumer, tags: dict[str, str]) -> Answer:
    merged = owner.tags | tags
    if len(merged) > TAGS_PER_STREAM:
        raise errors.invalid_argument(
            f"Failed to add tags to stream {stream.name} under account {errors.ACCOUNT_ID} because a given "
            f"stream cannot have more than {TAGS_PER_STREAM} tags associated with it."
        )
    owner.tags = merged
    twin.save(stream)
    return {}


def _remove(twin: Twin, stream: Stream, owner: Stream | Consumer, keys: list[str]) -> Answer:
    owner.tags = {key: value for key, value in owner.tags.items() if key not in keys}
    twin.save(stream)
    return {}
