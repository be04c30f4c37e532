"""Creates every stream and table of an environment, from `streams/resources.py`; what is there already stays.

    python -m local.provision [--shards N]

Ends with 0 once all can be used.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from botocore.exceptions import ClientError

from local import process
from streams.aws import Clients
from streams.resources import DEFAULT_PREFIX, STAGES, STREAMS, TABLES, TableSpec, lease_table, physical_name

WITHIN_S: Final = 30.0
_POLL_S: Final = 0.05


async def provision(clients: Clients, prefix: str, shards: int) -> None:
    """Create them all. Raises ClientError, or TimeoutError if some can't be used after WITHIN_S."""
    kinesis, dynamodb = await clients.get("kinesis"), await clients.get("dynamodb")
    tables = [*TABLES, *(lease_table(stage.name) for stage in STAGES)]
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
        for stream in STREAMS:
            group.create_task(_stream(kinesis, physical_name(prefix, stream.name), shards))
        for table in tables:
            group.create_task(_table(dynamodb, physical_name(prefix, table.name), table))


async def _stream(kinesis: Any, name: str, shards: int) -> None:
    if not await _created(lambda: kinesis.create_stream(StreamName=name, ShardCount=shards)):
        return
    while True:
        summary = await kinesis.describe_stream_summary(StreamName=name)
        if summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
            return
        await asyncio.sleep(_POLL_S)


async def _table(dynamodb: Any, name: str, spec: TableSpec) -> None:
    if not await _created(lambda: dynamodb.create_table(**table_definition(name, spec))):
        return
    while (await dynamodb.describe_table(TableName=name))["Table"]["TableStatus"] != "ACTIVE":
        await asyncio.sleep(_POLL_S)
    if spec.ttl is not None:
        await dynamodb.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": spec.ttl}
        )


async def _created(create: Callable[[], Awaitable[Any]]) -> bool:
    """False when it was there before."""
    try:
        await create()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceInUseException":
            return False
        raise
    return True


def table_definition(name: str, spec: TableSpec) -> dict[str, Any]:
    """The arguments of CreateTable for a table."""
    indexes = [
        {
            "IndexName": index.name,
            "KeySchema": _key_schema(index.hash_key, index.range_key),
            "Projection": {"ProjectionType": "ALL"},
        }
        for index in spec.indexes
    ]
    keys = [spec.hash_key, spec.range_key, *(key for i in spec.indexes for key in (i.hash_key, i.range_key))]
    definition: dict[str, Any] = {
        "TableName": name,
        "KeySchema": _key_schema(spec.hash_key, spec.range_key),
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in dict.fromkeys(keys) if key],
        "BillingMode": "PAY_PER_REQUEST",
    }
    return definition | ({"GlobalSecondaryIndexes": indexes} if indexes else {})


def _key_schema(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return schema if range_key is None else [*schema, {"AttributeName": range_key, "KeyType": "RANGE"}]


async def _run(prefix: str, shards: int) -> None:
    async with Clients() as clients:
        await provision(clients, prefix, shards)


def main() -> int:
    """Parse the arguments and do it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.provision", description="Create streams and tables.")
    parser.add_argument("--shards", type=int, default=1, help="shards of each new stream")
    parser.add_argument("--prefix", default=os.environ.get("HERALD_PREFIX") or DEFAULT_PREFIX)
    args = parser.parse_args()
    process.log_to_stderr("provision", "WARNING")
    asyncio.run(_run(args.prefix, args.shards))
    return 0


if __name__ == "__main__":
    sys.exit(main())
