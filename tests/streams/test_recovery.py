"""What a new owner learns: where to read on, and what had been written for its keys."""

from typing import Any

import pytest

from streams.kinesis import OrderedWriter, list_shards
from streams.records import SessionEvent, encode
from streams.recovery import first_arrival_ms, merge_rests, read_emitted, rest_of
from streams.stage import Position
from tests.streams.conftest import make_stream


@pytest.mark.parametrize(
    ("settled", "rest"),
    [
        (None, {"grandparent": 5, "parent": 0, "own": 0}),
        (Position("grandparent", 9), {"grandparent": 9, "parent": 0, "own": 0}),
        (Position("parent", 3), {"parent": 3, "own": 0}),
        (Position("own", 7), {"own": 7}),
    ],
)
def test_the_rest_begins_where_the_watermark_stands(settled: Position | None, rest: dict[str, int]) -> None:
    assert rest_of({"grandparent": 5, "parent": 0, "own": 0}, settled) == rest
    assert list(rest_of({"grandparent": 5, "parent": 0, "own": 0}, settled)) == list(rest)


@pytest.mark.parametrize(
    ("one", "other", "merged"),
    [
        ({}, {"s1": 4}, {"s1": 4}),
        ({"s1": 4}, {"s2": 7}, {"s1": 4, "s2": 7}),
        ({"s0": 10, "s1": 0}, {"s0": 12, "s2": 0}, {"s0": 10, "s1": 0, "s2": 0}),
        ({"s1": 4}, {"s0": 12, "s2": 0}, {"s0": 12, "s1": 4, "s2": 0}),
    ],
)
def test_the_rests_of_two_parents_are_read_ancestors_first_from_the_lower_place(
    one: dict[str, int], other: dict[str, int], merged: dict[str, int]
) -> None:
    assert list(merge_rests(one, other).items()) == list(merged.items())


def event(session_id: str, timestamp: int) -> SessionEvent:
    return SessionEvent(session_id=session_id, event="paused", timestamp=timestamp)


async def test_the_first_arrival_is_that_of_the_last_settled_record_or_of_the_first_to_be_read(
    kinesis: Any, prefix: str
) -> None:
    stream = await make_stream(kinesis, prefix)
    (shard,) = await list_shards(kinesis, stream)
    assert await first_arrival_ms(kinesis, stream, {shard.shard_id: 0}) is None
    writer = OrderedWriter(kinesis, stream)
    first = await writer.put("s", encode(event("s", 1)))
    second = await writer.put("s", encode(event("s", 2)))
    early = await first_arrival_ms(kinesis, stream, {shard.shard_id: 0})
    same = await first_arrival_ms(kinesis, stream, {shard.shard_id: first.sequence})
    later = await first_arrival_ms(kinesis, stream, {shard.shard_id: second.sequence})
    assert early is not None
    assert later is not None
    assert early == same <= later
    await writer.close()


async def test_what_was_emitted_is_found_by_session_in_order_for_the_shard_s_keys_only(
    kinesis: Any, prefix: str
) -> None:
    stream = await make_stream(kinesis, prefix, 2)
    writer = OrderedWriter(kinesis, stream)
    for timestamp in range(5):
        for session in ("a", "b", "c", "d"):
            await writer.put(session, encode(event(session, timestamp)))
    await writer.put("a", b"rubbish")
    left, _ = await list_shards(kinesis, stream)
    mine = {session for session in ("a", "b", "c", "d") if left.holds(session)}
    assert 0 < len(mine) < 4
    now = await first_arrival_ms(kinesis, stream, {left.shard_id: 0})
    assert now is not None
    found = await read_emitted(kinesis, stream, left, now)
    assert set(found) == mine
    for session in mine:
        assert [row.record for row in found[session]] == [event(session, timestamp) for timestamp in range(5)]
    await writer.close()
