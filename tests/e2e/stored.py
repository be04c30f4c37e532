"""What a stack has stored: records of its streams, rows of its tables."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config

from streams.records import Receipt, Record, SessionEvent, decode
from streams.resources import STREAMS


def client(environment: Mapping[str, str], service: str) -> Any:
    """A patient client of boto3 for `kinesis` or `dynamodb`. environment: the stack's."""
    return boto3.client(
        service,
        endpoint_url=environment[f"AWS_ENDPOINT_URL_{service.upper()}"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"mode": "standard", "total_max_attempts": 20}),  # the stages read too
    )


def records_by_key(environment: Mapping[str, str], since: datetime) -> dict[str, dict[str, list[Record]]]:
    """What each stream holds since then, by key; without the journal, which tells of it at its own pace."""
    kinesis = client(environment, "kinesis")
    names = [stream.name for stream in STREAMS if stream.name != "journal"]
    return {name: _records(kinesis, f"herald-{name}", since) for name in names}


def _records(kinesis: Any, stream: str, since: datetime) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        answer: dict[str, Any] = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="AT_TIMESTAMP", Timestamp=since
        )
        iterator: str | None = answer["ShardIterator"]
        while iterator is not None:  # another test may have split the shard: it has an end
            page = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            for one in page["Records"]:
                found[one["PartitionKey"]].append(decode(one["Data"]))
            iterator = page.get("NextShardIterator")
            if page["MillisBehindLatest"] == 0:
                break
    return found


def rows(environment: Mapping[str, str], table: str) -> list[dict[str, Any]]:
    """All rows of a table, called by its short name."""
    pages = (
        client(environment, "dynamodb").get_paginator("scan").paginate(TableName=f"herald-{table}", ConsistentRead=True)
    )
    return [row for page in pages for row in page["Items"]]


def is_of_the_session_itself(record: Record) -> bool:
    """That it was created, or changed, passed on by each stage, and that listeners were told."""
    return isinstance(record, SessionEvent) or (isinstance(record, Receipt) and record.of == "event")
