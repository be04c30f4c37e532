"""Claims: which process of a worker works a lease that the KCL holds, and whether it still does.

The KCL's counter moves with every renewal and every checkpoint, so it cannot be an epoch by itself; and it says nothing
of two processes of one worker (a frozen one, and the one that was started in its stead). So a process that begins on a
shard writes a claim into the lease's row, in an attribute of our own, which the KCL leaves alone: a number greater than
every earlier claim and not below the counter. It is the epoch of the shard's snapshots, under either runner: whoever
takes a lease raises the counter first.

    claim    conditional on the owner and on the claim before: of two processes one is last, and knows
    look     has the lease another owner, or another claim? has the counter moved?
"""

from typing import Any, Final, NamedTuple

from streams.aws import as_error
from streams.errors import LeaseLost, Unavailable
from streams.leases import Lease, Leases

CLAIM: Final = "heraldClaim"
READING: Final = "heraldReading"


class Claim(NamedTuple):
    """A lease's row, as claims see it. owner: who works it now. number: the last claim, 0 for none.

    reading: the claim whose process has been given records (or was told that there are none).
    """

    lease: Lease
    owner: str | None
    number: int
    reading: int

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Claim":
        """From DynamoDB's form. While a lease is handed over, the KCL keeps its owner apart from the next one."""
        lease = Lease.from_row(row)
        owner = row["checkpointOwner"]["S"] if "checkpointOwner" in row else lease.owner
        numbers = [int(row[name]["N"]) if name in row else 0 for name in (CLAIM, READING)]
        return cls(lease, owner, *numbers)


class Claims(Leases):
    """The claims in a stage's lease table, as one process of a worker makes them. Every method raises HeraldError.

    run: the same for a daemon's processes, and for who stands by it.
    """

    async def claims(self) -> dict[str, Claim]:
        """All leases by shard, with their claims."""
        return {row["leaseKey"]["S"]: Claim.from_row(row) for row in await self.rows()}

    async def read(self, shard_id: str) -> Claim:
        """A lease as it stands. Raises LeaseLost when it is not this worker's."""
        try:
            answer = await self._client.get_item(
                TableName=self._table, Key={"leaseKey": {"S": shard_id}}, ConsistentRead=True
            )
        except Exception as error:
            raise as_error(error, f"the lease of {shard_id}") from error
        found = Claim.from_row(answer["Item"]) if "Item" in answer else None
        if found is None or found.owner != self._worker_id:
            raise LeaseLost(f"the lease of {shard_id} has another owner")
        return found

    async def claim(self, shard_id: str) -> Claim:
        """Begin on a shard. Raises LeaseLost when it is another worker's, Unavailable when another was faster."""
        before = await self.read(shard_id)
        number = max(before.lease.counter, before.number + 1)
        await self._write(
            before.lease,
            f"SET {CLAIM} = :mine, heraldRun = :run",
            f"(leaseOwner = :me OR checkpointOwner = :me) AND (attribute_not_exists({CLAIM}) OR {CLAIM} = :before)",
            {
                ":mine": {"N": str(number)},
                ":before": {"N": str(before.number)},
                ":me": {"S": self._worker_id},
                ":run": {"S": self.run},
            },
        )
        return before._replace(number=number)

    async def look(self, mine: Claim) -> Claim:
        """The lease as it stands. Raises LeaseLost when it has another owner or another claim."""
        found = await self.read(mine.lease.shard_id)
        if found.number != mine.number:
            raise LeaseLost(f"another process has claimed the lease of {mine.lease.shard_id}")
        return found

    async def note_reading(self, mine: Claim) -> None:
        """Say that the shard is being read."""
        number = {":mine": {"N": str(mine.number)}}
        await self._write(mine.lease, f"SET {READING} = :mine", f"{CLAIM} = :mine", number)

    async def _write(self, lease: Lease, update: str, condition: str, values: dict[str, Any]) -> None:
        try:
            await self._update(lease, update, condition, values)
        except LeaseLost as error:
            raise Unavailable(f"the lease of {lease.shard_id} was changed meanwhile") from error
