"""Snapshots: what was stored comes back; an older owner, or a parent's, cannot overwrite."""

from typing import Any

import pytest

from streams.errors import LeaseLost
from streams.snapshots import Snapshot, Snapshots
from streams.stage import Position

SEQUENCE = 49_653_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_001
PARENT, CHILD = "shardId-000000000000", "shardId-000000000002"


def snapshot(shard_id: str, state: bytes = b"state") -> Snapshot:
    return Snapshot(Position(shard_id, SEQUENCE), Position("shardId-000000000009", SEQUENCE + 1), state)


async def test_only_those_that_exist_come_back_and_whole(dynamo: Any, snapshots_table: str) -> None:
    snapshots = Snapshots(dynamo, snapshots_table, "translate")
    assert await snapshots.save("s", snapshot(PARENT), PARENT, epoch=5, turn=1) == 5
    assert await snapshots.load(["s", "t"]) == {"s": snapshot(PARENT)}
    assert await Snapshots(dynamo, snapshots_table, "broadcast").load(["s"]) == {}


async def test_more_sessions_than_one_request_takes(dynamo: Any, snapshots_table: str) -> None:
    snapshots = Snapshots(dynamo, snapshots_table, "translate")
    for number in range(3):
        await snapshots.save(f"s{number}", snapshot(PARENT), PARENT, epoch=1, turn=number)
    assert len(await snapshots.load([f"s{number}" for number in range(250)])) == 3


async def test_an_older_owner_of_the_shard_cannot_write(dynamo: Any, snapshots_table: str) -> None:
    snapshots = Snapshots(dynamo, snapshots_table, "translate")
    await snapshots.save("s", snapshot(PARENT, b"new"), PARENT, epoch=6, turn=1)
    with pytest.raises(LeaseLost):
        await snapshots.save("s", snapshot(PARENT, b"old"), PARENT, epoch=5, turn=2)
    await snapshots.save("s", snapshot(PARENT, b"newer"), PARENT, epoch=7, turn=1)
    assert (await snapshots.load(["s"]))["s"].state == b"newer"


async def test_a_write_that_comes_late_does_not_bring_back_an_older_snapshot(dynamo: Any, snapshots_table: str) -> None:
    snapshots = Snapshots(dynamo, snapshots_table, "translate")
    await snapshots.save("s", snapshot(PARENT, b"first"), PARENT, epoch=6, turn=1)
    await snapshots.save("s", snapshot(PARENT, b"first"), PARENT, epoch=6, turn=1)  # its answer was lost
    await snapshots.save("s", snapshot(PARENT, b"second"), PARENT, epoch=6, turn=2)
    with pytest.raises(LeaseLost):
        await snapshots.save("s", snapshot(PARENT, b"first"), PARENT, epoch=6, turn=1)
    assert (await snapshots.load(["s"]))["s"].state == b"second"


async def test_the_child_s_owner_goes_on_where_the_parent_s_ended_and_not_back(
    dynamo: Any, snapshots_table: str
) -> None:
    snapshots = Snapshots(dynamo, snapshots_table, "translate")
    await snapshots.save("s", snapshot(PARENT, b"parent"), PARENT, epoch=900, turn=1)
    await snapshots.save("s", snapshot(PARENT, b"rest of the parent"), CHILD, epoch=1, turn=1)
    await snapshots.save("s", snapshot(CHILD, b"child"), CHILD, epoch=1, turn=2)
    with pytest.raises(LeaseLost):
        await snapshots.save("s", snapshot(PARENT, b"zombie"), PARENT, epoch=901, turn=2)
    assert (await snapshots.load(["s"]))["s"].state == b"child"


async def test_the_rest_of_a_closed_shard_is_left_to_its_children(dynamo: Any, snapshots_table: str) -> None:
    snapshots = Snapshots(dynamo, snapshots_table, "translate")
    assert await snapshots.load_rest(PARENT) == {}
    rest = {"shardId-000000000007": 0, PARENT: SEQUENCE}
    await snapshots.save_rest(PARENT, rest)
    assert await snapshots.load_rest(PARENT) == rest
    assert list(await snapshots.load_rest(PARENT)) == list(rest)
