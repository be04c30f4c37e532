"""Claims: the last process to claim a lease knows that it is, and the others know that they are not."""

from typing import Any

import pytest

from streams.claims import Claim, Claims
from streams.errors import LeaseLost, Unavailable
from streams.kinesis import MAX_HASH, Shard
from streams.leases import Leases

SHARD = Shard("shardId-000000000003", (), 0, MAX_HASH, True)


@pytest.fixture
async def mine(dynamo: Any, leases_table: str) -> Claims:
    """The claims of `w`, who has the lease."""
    leases = Leases(dynamo, leases_table, "w")
    await leases.create(SHARD)
    await leases.take((await leases.list())[SHARD.shard_id])
    return Claims(dynamo, leases_table, "w")


async def claim(claims: Claims) -> Claim:
    return await claims.claim(SHARD.shard_id)


async def take(claims: Claims) -> None:
    await claims.take((await claims.list())[SHARD.shard_id])


async def test_a_claim_is_not_below_the_counter_and_above_every_claim_before(mine: Claims) -> None:
    first = await claim(mine)
    assert first.number == first.lease.counter == 1
    second = await claim(mine)
    assert second.number == 2
    for _ in range(5):
        await mine.renew((await mine.list())[SHARD.shard_id])
    assert (await claim(mine)).number == 6


async def test_a_claim_of_another_process_of_the_same_worker_ends_mine(mine: Claims) -> None:
    old = await claim(mine)
    new = await claim(mine)
    with pytest.raises(LeaseLost, match="another process"):
        await mine.look(old)
    assert (await mine.look(new)).number == new.number


async def test_a_look_sees_renewals(mine: Claims) -> None:
    held = await claim(mine)
    await mine.renew((await mine.list())[SHARD.shard_id])
    assert (await mine.look(held)).lease.counter == held.lease.counter + 1


async def test_another_worker_s_lease_can_be_neither_claimed_nor_kept(
    mine: Claims, dynamo: Any, leases_table: str
) -> None:
    held = await claim(mine)
    await take(Claims(dynamo, leases_table, "other"))
    with pytest.raises(LeaseLost, match="another owner"):
        await mine.look(held)
    with pytest.raises(LeaseLost, match="another owner"):
        await claim(mine)


async def test_a_new_owner_s_claim_is_greater_than_all_old_ones(mine: Claims, dynamo: Any, leases_table: str) -> None:
    old = [await claim(mine), await claim(mine)]
    other = Claims(dynamo, leases_table, "other")
    await take(other)
    assert (await claim(other)).number > max(held.number for held in old)


async def test_while_a_lease_is_handed_over_its_old_owner_has_it(mine: Claims, dynamo: Any, leases_table: str) -> None:
    held = await claim(mine)
    await dynamo.update_item(  # as the KCL's leader begins it
        TableName=leases_table,
        Key={"leaseKey": {"S": SHARD.shard_id}},
        UpdateExpression="SET leaseOwner = :next, checkpointOwner = :me",
        ExpressionAttributeValues={":next": {"S": "other"}, ":me": {"S": "w"}},
    )
    assert (await mine.look(held)).owner == "w"
    assert (await claim(mine)).number == held.number + 1
    with pytest.raises(LeaseLost):
        await claim(Claims(dynamo, leases_table, "other"))


async def test_who_is_read_is_noted_with_the_claim(mine: Claims) -> None:
    old = await claim(mine)
    await mine.note_reading(old)
    assert (await mine.claims())[SHARD.shard_id].reading == old.number
    await claim(mine)
    with pytest.raises(Unavailable):
        await mine.note_reading(old)


async def test_a_lease_that_is_gone_is_lost(mine: Claims, dynamo: Any, leases_table: str) -> None:
    held = await claim(mine)
    await dynamo.delete_item(TableName=leases_table, Key={"leaseKey": {"S": SHARD.shard_id}})
    with pytest.raises(LeaseLost):
        await mine.look(held)
