"""Row S6: a record that cannot be processed is kept with its bytes, its error, stage and attempts."""

import asyncio
import time
from typing import Any

import msgspec

from streams.dead_letters import ORIGIN, PART_BYTES, DeadLetters, letter_id
from streams.errors import Failure
from streams.kinesis import StoredRecord
from streams.resources import DEAD_LETTERS
from streams.stage import Position

FAILURE = Failure("StageError", "KeyError in on_record, line 7", retryable=False)


def record(data: bytes) -> StoredRecord:
    return StoredRecord(Position("shardId-000000000000", 4_965_300), "golden-eagle-427", data, 17)


async def test_a_letter_comes_back_whole_however_large(dynamo: Any, dead_letters_table: str) -> None:
    letters = DeadLetters(dynamo, dead_letters_table, "translate", "transcripts")
    data = bytes(range(256)) * (3 * PART_BYTES // 256)
    letter_id = await letters.bury(record(data), msgspec.structs.replace(FAILURE, attempts=3))
    letter = await letters.read(letter_id)
    assert letter is not None
    assert letter.data == data
    assert (letter.stage, letter.stream, letter.key) == ("translate", "transcripts", "golden-eagle-427")
    assert (letter.shard_id, letter.sequence) == ("shardId-000000000000", 4_965_300)
    assert (letter.failure.code, letter.failure.message, letter.attempts) == (FAILURE.code, FAILURE.message, 3)
    assert (letter.size_bytes, letter.redriven, letter.before) == (len(data), 0, [])


async def test_the_same_record_twice_is_one_letter_and_nothing_is_kept_too(
    dynamo: Any, dead_letters_table: str
) -> None:
    letters = DeadLetters(dynamo, dead_letters_table, "translate", "transcripts")
    first = await letters.bury(record(b""), FAILURE)
    assert await letters.bury(record(b""), FAILURE) == first
    assert (await dynamo.scan(TableName=dead_letters_table))["Count"] == 1
    letter = await letters.read(first)
    assert letter is not None
    assert letter.data == b""
    assert await letters.read("nothing") is None


async def test_a_letter_that_is_buried_again_keeps_what_was_noted_on_it(dynamo: Any, dead_letters_table: str) -> None:
    letters = DeadLetters(dynamo, dead_letters_table, "translate", "transcripts")
    its_id = await letters.bury(record(b"a"), FAILURE)
    await dynamo.update_item(
        TableName=dead_letters_table,
        Key={"id": {"S": its_id}, "part": {"S": "0"}},
        UpdateExpression="SET redrivenAt = :at, redriven = :one",
        ExpressionAttributeValues={":at": {"N": "17"}, ":one": {"N": "1"}},
    )
    assert await letters.bury(record(b"a"), FAILURE) == its_id
    letter = await letters.read(its_id)
    assert letter is not None
    assert (letter.redriven, letter.redriven_at_ms) == (1, 17)


async def test_a_record_that_was_sent_back_and_failed_again_has_a_history(dynamo: Any, dead_letters_table: str) -> None:
    letters = DeadLetters(dynamo, dead_letters_table, "translate", "transcripts")
    origin = {
        "id": {"S": letter_id("translate", "shardId-000000000000", 4_965_300)},
        "part": {"S": ORIGIN},
        "before": {"L": [{"S": "translate.shardId-000000000000.7"}]},
        "attempts": {"N": "5"},
    }
    await dynamo.put_item(TableName=dead_letters_table, Item=origin)
    assert await letters.read(origin["id"]["S"]) is None  # it has not failed
    letter = await letters.read(await letters.bury(record(b"a"), FAILURE))
    assert letter is not None
    assert (letter.before, letter.attempts_before, letter.attempts) == (["translate.shardId-000000000000.7"], 5, 1)


async def test_letters_outlive_the_stream_by_far(dynamo: Any, dead_letters_table: str) -> None:
    await DeadLetters(dynamo, dead_letters_table, "translate", "transcripts").bury(
        record(bytes(2 * PART_BYTES)), FAILURE
    )
    assert DEAD_LETTERS.ttl is not None
    rows = (await dynamo.scan(TableName=dead_letters_table))["Items"]
    assert len(rows) == 2
    for row in rows:
        kept_days = (int(row[DEAD_LETTERS.ttl]["N"]) - time.time()) / 86_400
        assert 29.9 < kept_days <= 30  # a stream keeps its records for 1 day, or 7 where that is asked for


async def test_rubbish_that_nobody_waits_for_holds_up_no_session(dynamo: Any, dead_letters_table: str) -> None:
    letters = DeadLetters(dynamo, dead_letters_table, "translate", "transcripts")
    place = record(b"a").position
    rubbish = [
        asyncio.create_task(
            letters.bury(record(b"x")._replace(position=place._replace(sequence=n)), FAILURE, unread=True)
        )
        for n in range(40)
    ]
    await letters.bury(record(b"a"), FAILURE)
    assert sum(task.done() for task in rubbish) < 20
    await asyncio.gather(*rubbish)
    assert (await dynamo.scan(TableName=dead_letters_table, Select="COUNT"))["Count"] == 41
