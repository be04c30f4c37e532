"""Row S6: a record that cannot be processed is kept with its bytes, its error, stage and attempts."""

from typing import Any

from streams.dead_letters import PART_BYTES, DeadLetters
from streams.errors import Failure
from streams.kinesis import StoredRecord
from streams.stage import Position

FAILURE = Failure("StageError", "KeyError in on_record, line 7", retryable=False)


def record(data: bytes) -> StoredRecord:
    return StoredRecord(Position("shardId-000000000000", 4_965_300), "golden-eagle-427", data, 17)


async def test_a_letter_comes_back_whole_however_large(dynamo: Any, dead_letters_table: str) -> None:
    letters = DeadLetters(dynamo, dead_letters_table, "translate", "transcripts")
    data = bytes(range(256)) * (3 * PART_BYTES // 256)
    letter_id = await letters.bury(record(data), FAILURE, attempts=3)
    letter = await letters.read(letter_id)
    assert letter is not None
    assert letter.data == data
    assert (letter.stage, letter.stream, letter.key) == ("translate", "transcripts", "golden-eagle-427")
    assert (letter.shard_id, letter.sequence) == ("shardId-000000000000", 4_965_300)
    assert (letter.failure, letter.attempts) == (FAILURE, 3)


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
