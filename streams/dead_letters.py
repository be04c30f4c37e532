"""The dead-letter store (row S6): inputs that could not be processed, with their bytes and why.

A letter is a row `part = "0"` with the facts and the first bytes, and further rows for what does not fit an item. A
record that was sent back and failed again has a row `part = "origin"` too, written by whoever sent it. Letters outlive
the stream by far.
"""

import asyncio
import time
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from streams.aws import as_error
from streams.errors import Failure
from streams.kinesis import StoredRecord

KEEP_S: Final = 30 * 24 * 3600
"""30 days: four times the longest retention that the streams are given."""
PART_BYTES: Final = 350_000
"""DynamoDB's item limit is 400 KB."""
AT_ONCE: Final = 4
"""Letters of sessions, which wait for them, written at once."""
UNREAD_AT_ONCE: Final = 1
"""Letters that no session waits for: a page full of rubbish must not fill the table's queue before the others."""
FACTS: Final = "0"
ORIGIN: Final = "origin"
"""The parts of a letter that are not only bytes: its facts, and which letters the record had been before."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One letter. buried_at_ms: Unix milliseconds. attempts: tries of what failed, in this burial. data: empty where
    only the facts were asked for; size_bytes is the record's.

    redriven: how often it was sent back, redriven_at_ms: when last, redriven_to: where it then stood. redriving_at_ms:
    when sending it back was begun that nobody has confirmed. before: ids of the letters that the same record had been
    before it was sent back and failed again, oldest first; attempts_before: theirs, together.
    """

    id: str
    stage: str
    stream: str
    key: str
    shard_id: str
    sequence: int
    failure: Failure
    attempts: int
    buried_at_ms: int
    data: bytes = b""
    size_bytes: int = 0
    redriven: int = 0
    redriven_at_ms: int | None = None
    redriven_to: str = ""
    redriving_at_ms: int | None = None
    before: list[str] = []
    attempts_before: int = 0


def letter_id(stage: str, shard_id: str, sequence: int) -> str:
    """The id of the letter that a stage keeps of the record at a place."""
    return f"{stage}.{shard_id}.{sequence}"


class DeadLetters:
    """A stage's view of the store. Raises HeraldError."""

    def __init__(self, client: Any, table: str, stage: str, stream: str) -> None:
        self._client = client
        self._table = table
        self._stage = stage
        self._stream = stream
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._unread_slots = asyncio.Semaphore(UNREAD_AT_ONCE)

    async def bury(self, record: StoredRecord, failure: Failure, *, unread: bool = False) -> str:
        """Keep a record; the letter's id. unread: it was given to no session, and nothing but the checkpoint waits.

        The same record has the same id, so that twice is once: the first stays, with what an operator has noted on it
        since.
        """
        place = record.position
        its_id = letter_id(self._stage, place.shard_id, place.sequence)
        parts = [record.data[at : at + PART_BYTES] for at in range(0, len(record.data), PART_BYTES)] or [b""]
        facts = {
            "stage": {"S": self._stage},
            "stream": {"S": self._stream},
            "partitionKey": {"S": record.key},
            "shard": {"S": place.shard_id},
            "sequence": {"S": str(place.sequence)},
            "code": {"S": failure.code},
            "message": {"S": failure.message},
            "retryable": {"BOOL": failure.retryable},
            "attempts": {"N": str(failure.attempts)},
            "parts": {"N": str(len(parts))},
            "sizeBytes": {"N": str(len(record.data))},
            "buriedAt": {"N": str(time.time_ns() // 1_000_000)},
        }
        # The first part comes last: a letter whose facts are there is whole.
        for number in reversed(range(len(parts))):
            item = {
                "id": {"S": its_id},
                "part": {"S": str(number)},
                "data": {"B": parts[number]},
                "expiresAt": {"N": str(int(time.time()) + KEEP_S)},
            }
            if number == 0:
                item |= facts
            async with self._unread_slots if unread else self._slots:
                await self._put(item)
        return its_id

    async def _put(self, item: dict[str, Any]) -> None:
        try:
            await self._client.put_item(
                TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(id)"
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise as_error(error, "burying a record") from error
        except Exception as error:
            raise as_error(error, "burying a record") from error

    async def read(self, wanted: str) -> DeadLetter | None:
        """A letter, whole."""
        return await read_letter(self._client, self._table, wanted)


async def read_letter(client: Any, table: str, wanted: str) -> DeadLetter | None:
    """A letter, whole; None if there is none. Raises HeraldError."""
    found: list[dict[str, Any]] = []
    arguments: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "id = :id",
        "ExpressionAttributeValues": {":id": {"S": wanted}},
        "ConsistentRead": True,
    }
    while True:  # a page has 1 MB at the most
        try:
            page = await client.query(**arguments)
        except Exception as error:
            raise as_error(error, "reading a dead letter") from error
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    rows = {row["part"]["S"]: row for row in found}
    if FACTS not in rows:
        return None
    count = int(rows[FACTS]["parts"]["N"])
    data = b"".join(bytes(rows[str(number)]["data"]["B"]) for number in range(count))
    return as_letter(rows[FACTS], rows.get(ORIGIN), data)


def as_letter(row: dict[str, Any], origin: dict[str, Any] | None, data: bytes = b"") -> DeadLetter:
    """A letter from its row of facts, and the one that says where the record came from, if there is one."""

    def number(name: str) -> int | None:
        return int(row[name]["N"]) if name in row else None

    return DeadLetter(
        id=row["id"]["S"],
        stage=row["stage"]["S"],
        stream=row["stream"]["S"],
        key=row["partitionKey"]["S"],
        shard_id=row["shard"]["S"],
        sequence=int(row["sequence"]["S"]),
        failure=Failure(row["code"]["S"], row["message"]["S"], row["retryable"]["BOOL"], int(row["attempts"]["N"])),
        attempts=int(row["attempts"]["N"]),
        buried_at_ms=int(row["buriedAt"]["N"]),
        data=data,
        size_bytes=number("sizeBytes") or len(data),
        redriven=number("redriven") or 0,
        redriven_at_ms=number("redrivenAt"),
        redriven_to=row["redrivenTo"]["S"] if "redrivenTo" in row else "",
        redriving_at_ms=number("redrivingAt"),
        before=[each["S"] for each in origin["before"]["L"]] if origin else [],
        attempts_before=int(origin["attempts"]["N"]) if origin else 0,
    )
