"""Reshards a running stream, and reads what is left in the dead letters, past the proxies."""

import asyncio
from typing import Any, Final, NamedTuple

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from ops.chaos.plan import Fault
from ops.stack_file import Stack
from streams.aws import as_error
from streams.kinesis import list_shards
from streams.resources import DEAD_LETTERS, physical_name

TRIES: Final = 30
AGAIN_AFTER_S: Final = 0.5
"""A stream that is being changed, or a twin that is away, is waited for."""


class Letter(NamedTuple):
    """A dead letter, in short."""

    session_id: str
    stage: str
    code: str
    message: str
    id: str


class Streams:
    """Clients of a stack's Kinesis and DynamoDB, at their own addresses."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def client(self, service: str) -> Any:
        """A client, as a context."""
        environment = self._stack.environment
        return get_session().create_client(
            service,
            region_name=environment["AWS_REGION"],
            endpoint_url=self._stack.parts[service].url,
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=AioConfig(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5),
        )

    async def reshard(self, fault: Fault) -> str:
        """Split, merge or update the stream; what did not go as planned."""
        stream = physical_name(self._stack.prefix, fault.target)
        failure = ""
        async with self.client("kinesis") as kinesis:
            for _ in range(TRIES):
                try:
                    return await self._try(kinesis, fault, stream)
                except Exception as error:  # noqa: BLE001 - as_error raises what is not the service's
                    failure = str(as_error(error, fault.kind))
                await asyncio.sleep(AGAIN_AFTER_S)
        return failure

    @staticmethod
    async def _try(kinesis: Any, fault: Fault, stream: str) -> str:
        shards = sorted(
            (shard for shard in await list_shards(kinesis, stream) if shard.is_open),
            key=lambda shard: shard.start_hash,
        )
        if fault.kind == "update":
            await kinesis.update_shard_count(
                StreamName=stream, TargetShardCount=fault.put["shards"], ScalingType="UNIFORM_SCALING"
            )
        elif fault.kind == "split":
            shard = shards[int(fault.pick * len(shards))]
            middle = (shard.start_hash + shard.end_hash) // 2
            await kinesis.split_shard(StreamName=stream, ShardToSplit=shard.shard_id, NewStartingHashKey=str(middle))
        else:
            if len(shards) < 2:
                return "there is one shard only"
            left = int(fault.pick * (len(shards) - 1))
            await kinesis.merge_shards(
                StreamName=stream, ShardToMerge=shards[left].shard_id, AdjacentShardToMerge=shards[left + 1].shard_id
            )
        return ""

    async def letters(self) -> list[Letter]:
        """The dead letters of the whole stack. Raises HeraldError."""
        found: list[Letter] = []
        arguments: dict[str, Any] = {"TableName": physical_name(self._stack.prefix, DEAD_LETTERS.name)}
        async with self.client("dynamodb") as dynamodb:
            while True:
                try:
                    page = await dynamodb.scan(**arguments)
                except Exception as error:
                    raise as_error(error, "reading the dead letters") from error
                found += [_letter(row) for row in page["Items"] if row["part"]["S"] == "0"]
                if "LastEvaluatedKey" not in page:
                    return found
                arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _letter(row: dict[str, Any]) -> Letter:
    return Letter(row["partitionKey"]["S"], row["stage"]["S"], row["code"]["S"], row["message"]["S"], row["id"]["S"])
