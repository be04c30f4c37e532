from typing import Any

from ops.dlq.store import Store
from ops.environment import Environment
from streams.dead_letters import PART_BYTES, DeadLetter, DeadLetters, letter_id
from streams.errors import Failure
from streams.kinesis import StoredRecord
from streams.stage import Position

SHARD = "shardId-000000000000"
FAILURE = Failure("StageError", "KeyError in on_record, line 7", False, attempts=3)


async def bury(
    dynamo: Any, herald: Environment, sequence: int, stage: str = "translate", key: str = "a", size: int = 4
) -> str:
    letters = DeadLetters(dynamo, herald.physical("DeadLetters"), stage, "transcripts")
    return await letters.bury(StoredRecord(Position(SHARD, sequence), key, b"x" * size, 0), FAILURE)


async def listed(store: Store, **filters: Any) -> list[DeadLetter]:
    return [letter async for letter in store.letters(**filters)]


async def test_letters_are_found_by_stage_session_and_time_without_their_bytes(herald: Environment) -> None:
    async with herald.client("dynamodb") as dynamo:
        for sequence, key in enumerate("aab"):
            await bury(dynamo, herald, sequence, "translate", key)
        await bury(dynamo, herald, 7, "broadcast", "b", size=2 * PART_BYTES)
        store = Store(dynamo, herald.prefix)
        found = await listed(store)
        assert [letter.sequence for letter in found] == [0, 1, 2, 7]
        assert {letter.data for letter in found} == {b""}
        assert (found[-1].size_bytes, found[-1].attempts) == (2 * PART_BYTES, 3)
        assert [letter.sequence for letter in await listed(store, stage="broadcast")] == [7]
        assert [letter.sequence for letter in await listed(store, session="b")] == [2, 7]
        assert [letter.sequence for letter in await listed(store, stage="translate", session="b")] == [2]
        assert [letter.sequence for letter in await listed(store, since_ms=found[1].buried_at_ms)][-1] == 7
        assert await listed(store, since_ms=found[-1].buried_at_ms + 1) == []


async def test_a_scan_goes_on_over_its_pages(herald: Environment) -> None:
    async with herald.client("dynamodb") as dynamo:
        for sequence in range(6):  # 2 MB: a page has 1
            await bury(dynamo, herald, sequence, size=PART_BYTES)
        assert len(await listed(Store(dynamo, herald.prefix))) == 6


async def test_begun_once_sent_once(herald: Environment) -> None:
    async with herald.client("dynamodb") as dynamo:
        store = Store(dynamo, herald.prefix)
        letter = await store.read(await bury(dynamo, herald, 1))
        assert letter is not None
        assert await store.begin(letter, again=False)
        assert not await store.begin(letter, again=False)  # somebody is at it, or was
        (begun,) = await listed(store)
        assert begun.redriving_at_ms is not None
        await store.abandon(letter)
        assert await store.begin(letter, again=False)
        await store.sent(letter, Position(SHARD, 99))
        assert not await store.begin(letter, again=False)
        assert await store.begin(letter, again=True)
        await store.sent(letter, Position(SHARD, 100))
        (twice,) = await listed(store)
        assert (twice.redriven, twice.redriven_to, twice.redriving_at_ms) == (2, f"{SHARD} 100", None)
        assert twice.redriven_at_ms is not None


async def test_a_record_that_comes_back_knows_what_it_was(herald: Environment) -> None:
    async with herald.client("dynamodb") as dynamo:
        store = Store(dynamo, herald.prefix)
        for sequence, after in ((1, 50), (50, 99)):
            letter = await store.read(await bury(dynamo, herald, sequence))
            assert letter is not None
            await store.sent(letter, Position(SHARD, after))
        last = await store.read(await bury(dynamo, herald, 99))
        assert last is not None
        assert last.before == [letter_id("translate", SHARD, 1), letter_id("translate", SHARD, 50)]
        assert (last.attempts_before, last.attempts) == (6, 3)
        assert (await listed(store, session="a"))[-1].before == last.before


async def test_a_letter_that_is_not_there(herald: Environment) -> None:
    async with herald.client("dynamodb") as dynamo:
        store = Store(dynamo, herald.prefix)
        assert await store.read("nothing") is None
        assert not await store.begin(missing(), again=True)


def missing() -> DeadLetter:
    return DeadLetter(
        id="nothing",
        stage="translate",
        stream="transcripts",
        key="a",
        shard_id=SHARD,
        sequence=1,
        failure=FAILURE,
        attempts=1,
        buried_at_ms=0,
    )
