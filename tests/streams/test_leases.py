"""Leases: conditional on owner and counter, in the KCL's layout."""

import asyncio
from typing import Any

import pytest

from streams.errors import LeaseLost
from streams.kinesis import MAX_HASH, Shard
from streams.leases import SHARD_END, TRIM_HORIZON, Lease, Leases

SHARD = Shard("shardId-000000000003", ("shardId-000000000001", "shardId-000000000002"), 0, MAX_HASH, True)


async def fresh(dynamo: Any, table: str) -> Lease:
    await Leases(dynamo, table, "maker").create(SHARD)
    return (await Leases(dynamo, table, "maker").list())[SHARD.shard_id]


async def test_a_new_lease_has_no_owner_and_starts_at_the_beginning(dynamo: Any, leases_table: str) -> None:
    lease = await fresh(dynamo, leases_table)
    assert lease == Lease(SHARD.shard_id, None, 0, TRIM_HORIZON, SHARD.parents, 0, MAX_HASH)
    assert lease.as_shard() == SHARD


async def test_the_row_has_the_layout_of_the_kcl(dynamo: Any, leases_table: str) -> None:
    lease = await fresh(dynamo, leases_table)
    await Leases(dynamo, leases_table, "a", run="1").take(lease)
    row = (await dynamo.scan(TableName=leases_table))["Items"][0]
    assert row == {
        "leaseKey": {"S": "shardId-000000000003"},
        "leaseOwner": {"S": "a"},
        "leaseCounter": {"N": "1"},
        "checkpoint": {"S": "TRIM_HORIZON"},
        "checkpointSubSequenceNumber": {"N": "0"},
        "ownerSwitchesSinceCheckpoint": {"N": "1"},
        "parentShardId": {"SS": ["shardId-000000000001", "shardId-000000000002"]},
        "startingHashKey": {"S": "0"},
        "endingHashKey": {"S": str(MAX_HASH)},
        "heraldRun": {"S": "1"},  # ours, beside the KCL's
    }


async def test_a_lease_says_which_life_of_its_owner_took_it_and_later_lives_are_greater(
    dynamo: Any, leases_table: str
) -> None:
    lease = await fresh(dynamo, leases_table)
    leases = Leases(dynamo, leases_table, "a")
    await leases.take(lease)
    assert (await leases.list())[SHARD.shard_id].run == leases.run
    await asyncio.sleep(0.002)
    assert Leases(dynamo, leases_table, "a").run > leases.run


async def test_making_a_lease_that_exists_leaves_it_alone(dynamo: Any, leases_table: str) -> None:
    leases = Leases(dynamo, leases_table, "a")
    taken = await leases.take(await fresh(dynamo, leases_table))
    await leases.create(SHARD)
    assert (await leases.list())[SHARD.shard_id] == taken


async def test_two_workers_cannot_take_the_same_lease(dynamo: Any, leases_table: str) -> None:
    lease = await fresh(dynamo, leases_table)
    await Leases(dynamo, leases_table, "a").take(lease)
    with pytest.raises(LeaseLost):
        await Leases(dynamo, leases_table, "b").take(lease)


async def test_an_owner_that_was_overtaken_can_neither_renew_nor_checkpoint_nor_release(
    dynamo: Any, leases_table: str
) -> None:
    old = Leases(dynamo, leases_table, "a")
    held = await old.take(await fresh(dynamo, leases_table))
    await Leases(dynamo, leases_table, "b").take(held)
    for deed in (old.renew(held), old.checkpoint(held, "17"), old.release(held)):
        with pytest.raises(LeaseLost):
            await deed


async def test_an_owner_under_the_same_name_fences_its_former_life(dynamo: Any, leases_table: str) -> None:
    leases = Leases(dynamo, leases_table, "a")
    former = await leases.take(await fresh(dynamo, leases_table))
    await leases.take(former)
    with pytest.raises(LeaseLost):
        await leases.checkpoint(former, "17")


async def test_checkpoints_and_renewals_follow_each_other_and_a_release_frees(dynamo: Any, leases_table: str) -> None:
    leases = Leases(dynamo, leases_table, "a")
    lease = await leases.take(await fresh(dynamo, leases_table))
    lease = await leases.renew(await leases.checkpoint(lease, "17"))
    lease = await leases.checkpoint(lease, SHARD_END)
    assert lease.ended
    await leases.release(lease)
    stored = (await leases.list())[SHARD.shard_id]
    assert (stored.owner, stored.checkpoint, stored.counter) == (None, SHARD_END, lease.counter + 1)


async def test_a_renewal_whose_answer_was_lost_is_found_again(dynamo: Any, leases_table: str) -> None:
    leases = Leases(dynamo, leases_table, "a")
    held = await leases.take(await fresh(dynamo, leases_table))
    assert await leases.confirm(held) == held
    renewed = await leases.renew(held)
    assert await leases.confirm(held) == renewed
    await Leases(dynamo, leases_table, "b").take(renewed)
    with pytest.raises(LeaseLost):
        await leases.confirm(held)
