"""Leases and checkpoints of a stage, in the table layout of the Kinesis Client Library.

A row per shard. Whoever holds a lease raises its counter; every write is conditional on owner and counter, so an owner
that was paused past its lease cannot write (design: fencing).
"""

import builtins
import secrets
import time
from typing import Any, Final, NamedTuple, Self

from botocore.exceptions import ClientError

from streams.aws import as_error
from streams.errors import LeaseLost
from streams.kinesis import Shard

TRIM_HORIZON: Final = "TRIM_HORIZON"
SHARD_END: Final = "SHARD_END"


class Lease(NamedTuple):
    """A shard's row. checkpoint: a sequence number, TRIM_HORIZON or SHARD_END.

    run: which life of its owner took it; runs compare in the order of their starts. Empty: not taken by us. It is in an
    attribute of our own, which the KCL leaves alone.
    """

    shard_id: str
    owner: str | None
    counter: int
    checkpoint: str
    parents: tuple[str, ...]
    start_hash: int
    end_hash: int
    run: str = ""

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """From DynamoDB's form."""
        return cls(
            shard_id=row["leaseKey"]["S"],
            owner=row["leaseOwner"]["S"] if "leaseOwner" in row else None,
            counter=int(row["leaseCounter"]["N"]),
            checkpoint=row["checkpoint"]["S"],
            parents=tuple(row["parentShardId"]["SS"]) if "parentShardId" in row else (),
            start_hash=int(row["startingHashKey"]["S"]),
            end_hash=int(row["endingHashKey"]["S"]),
            run=row["heraldRun"]["S"] if "heraldRun" in row else "",
        )

    @property
    def ended(self) -> bool:
        """Whether the whole shard has been worked off."""
        return self.checkpoint == SHARD_END

    def as_shard(self) -> Shard:
        """The shard, as its lineage needs it."""
        return Shard(self.shard_id, self.parents, self.start_hash, self.end_hash, not self.ended)


def new_run() -> str:
    """A name for a life of a worker, from the time and chance."""
    return f"{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(4)}"


class Leases:
    """A stage's lease table, as one worker uses it. Every method raises HeraldError.

    run: this life of the worker; by default made from the time and chance.
    """

    def __init__(self, client: Any, table: str, worker_id: str, run: str = "") -> None:
        self._client = client
        self._table = table
        self._worker_id = worker_id
        self.run = run or new_run()

    async def list(self) -> dict[str, Lease]:
        """All leases by shard."""
        return {row["leaseKey"]["S"]: Lease.from_row(row) for row in await self.rows()}

    async def rows(self) -> builtins.list[dict[str, Any]]:
        """All leases in DynamoDB's form."""
        rows: list[dict[str, Any]] = []
        arguments: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        while True:
            try:
                page = await self._client.scan(**arguments)
            except Exception as error:
                raise as_error(error, "listing leases") from error
            rows += page["Items"]
            if "LastEvaluatedKey" not in page:
                return rows
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def create(self, shard: Shard) -> None:
        """A row for a shard that has none; somebody else's is left alone."""
        item: dict[str, Any] = {
            "leaseKey": {"S": shard.shard_id},
            "leaseCounter": {"N": "0"},
            "checkpoint": {"S": TRIM_HORIZON},
            "checkpointSubSequenceNumber": {"N": "0"},
            "ownerSwitchesSinceCheckpoint": {"N": "0"},
            "startingHashKey": {"S": str(shard.start_hash)},
            "endingHashKey": {"S": str(shard.end_hash)},
        }
        if shard.parents:
            item["parentShardId"] = {"SS": list(shard.parents)}
        try:
            await self._client.put_item(
                TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(leaseKey)"
            )
        except ClientError as error:
            if not _lost_condition(error):
                raise as_error(error, f"making the lease of {shard.shard_id}") from error
        except Exception as error:
            raise as_error(error, f"making the lease of {shard.shard_id}") from error

    async def take(self, lease: Lease) -> Lease:
        """Become the owner. Raises LeaseLost when somebody was faster."""
        values = {":me": {"S": self._worker_id}, ":old": {"N": str(lease.counter)}, ":one": {"N": "1"}}
        values[":run"] = {"S": self.run}
        await self._update(
            lease,
            "SET leaseOwner = :me, leaseCounter = leaseCounter + :one, heraldRun = :run REMOVE checkpointOwner"
            " ADD ownerSwitchesSinceCheckpoint :one",
            "leaseCounter = :old",
            values,
        )
        return lease._replace(owner=self._worker_id, counter=lease.counter + 1, run=self.run)

    async def renew(self, lease: Lease) -> Lease:
        """Say that I am alive. Raises LeaseLost when I am not the owner any more."""
        await self._mine(lease, "SET leaseCounter = leaseCounter + :one", {":one": {"N": "1"}})
        return lease._replace(counter=lease.counter + 1)

    async def confirm(self, lease: Lease) -> Lease:
        """The lease as it stands, after a renewal whose answer was lost. Raises LeaseLost when it is not mine."""
        try:
            answer = await self._client.get_item(
                TableName=self._table, Key={"leaseKey": {"S": lease.shard_id}}, ConsistentRead=True
            )
        except Exception as error:
            raise as_error(error, f"the lease of {lease.shard_id}") from error
        found = Lease.from_row(answer["Item"]) if "Item" in answer else None
        if found is None or found.owner != self._worker_id or found.counter not in (lease.counter, lease.counter + 1):
            raise LeaseLost(f"the lease of {lease.shard_id} has another owner")
        return lease._replace(counter=found.counter)

    async def checkpoint(self, lease: Lease, sequence: str) -> Lease:
        """Everything up to this sequence number is settled. Raises LeaseLost."""
        await self._mine(
            lease,
            "SET checkpoint = :at, checkpointSubSequenceNumber = :zero, ownerSwitchesSinceCheckpoint = :zero",
            {":at": {"S": sequence}, ":zero": {"N": "0"}},
        )
        return lease._replace(checkpoint=sequence)

    async def release(self, lease: Lease) -> None:
        """Let go at once, so that another worker need not wait for the lease to expire. Raises LeaseLost."""
        await self._mine(lease, "SET leaseCounter = leaseCounter + :one REMOVE leaseOwner", {":one": {"N": "1"}})

    async def _mine(self, lease: Lease, update: str, values: dict[str, Any]) -> None:
        values = values | {":me": {"S": self._worker_id}, ":old": {"N": str(lease.counter)}}
        await self._update(lease, update, "leaseOwner = :me AND leaseCounter = :old", values)

    async def _update(self, lease: Lease, update: str, condition: str, values: dict[str, Any]) -> None:
        try:
            await self._client.update_item(
                TableName=self._table,
                Key={"leaseKey": {"S": lease.shard_id}},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if _lost_condition(error):
                raise LeaseLost(f"the lease of {lease.shard_id} has another owner") from error
            raise as_error(error, f"the lease of {lease.shard_id}") from error
        except Exception as error:
            raise as_error(error, f"the lease of {lease.shard_id}") from error


def _lost_condition(error: ClientError) -> bool:
    return bool(error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException")
