"""The dead-letter store (row S6): inputs that could not be processed, with their bytes and why.

A letter is a row `part = "0"` with the facts and the first bytes, and further rows for what does not fit an item. It
outlives the stream by far.
"""

import time
from typing import Any, Final

import msgspec

from streams.aws import as_error
from streams.errors import Failure
from streams.kinesis import StoredRecord

KEEP_S: Final = 30 * 24 * 3600
"""30 days: four times the longest retention that the streams are given."""
PART_BYTES: Final = 350_000
"""DynamoDB's item limit is 400 KB."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One letter. buried_at_ms: Unix milliseconds."""

    id: str
    stage: str
    stream: str
    key: str
    shard_id: str
    sequence: int
    failure: Failure
    attempts: int
    buried_at_ms: int
    data: bytes


class DeadLetters:
    """A stage's view of the store. Raises HeraldError."""

    def __init__(self, client: Any, table: str, stage: str, stream: str) -> None:
        self._client = client
        self._table = table
        self._stage = stage
        self._stream = stream

    async def bury(self, record: StoredRecord, failure: Failure, attempts: int = 1) -> str:
        """Keep a record; the letter's id. The same record has the same id, so that twice is once."""
        letter_id = f"{self._stage}.{record.position.shard_id}.{record.position.sequence}"
        parts = [record.data[at : at + PART_BYTES] for at in range(0, len(record.data), PART_BYTES)] or [b""]
        facts = {
            "stage": {"S": self._stage},
            "stream": {"S": self._stream},
            "partitionKey": {"S": record.key},
            "shard": {"S": record.position.shard_id},
            "sequence": {"S": str(record.position.sequence)},
            "code": {"S": failure.code},
            "message": {"S": failure.message},
            "retryable": {"BOOL": failure.retryable},
            "attempts": {"N": str(attempts)},
            "parts": {"N": str(len(parts))},
            "buriedAt": {"N": str(time.time_ns() // 1_000_000)},
        }
        # The first part comes last: a letter whose facts are there is whole.
        for number in reversed(range(len(parts))):
            item = {
                "id": {"S": letter_id},
                "part": {"S": str(number)},
                "data": {"B": parts[number]},
                "expiresAt": {"N": str(int(time.time()) + KEEP_S)},
            }
            if number == 0:
                item |= facts
            try:
                await self._client.put_item(TableName=self._table, Item=item)
            except Exception as error:
                raise as_error(error, "burying a record") from error
        return letter_id

    async def read(self, letter_id: str) -> DeadLetter | None:
        """A letter, whole."""
        found: list[dict[str, Any]] = []
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "id = :id",
            "ExpressionAttributeValues": {":id": {"S": letter_id}},
            "ConsistentRead": True,
        }
        while True:  # a page has 1 MB at the most
            try:
                page = await self._client.query(**arguments)
            except Exception as error:
                raise as_error(error, "reading a dead letter") from error
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                break
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        rows = sorted(found, key=lambda row: int(row["part"]["S"]))
        if not rows:
            return None
        facts = rows[0]
        return DeadLetter(
            id=letter_id,
            stage=facts["stage"]["S"],
            stream=facts["stream"]["S"],
            key=facts["partitionKey"]["S"],
            shard_id=facts["shard"]["S"],
            sequence=int(facts["sequence"]["S"]),
            failure=Failure(facts["code"]["S"], facts["message"]["S"], facts["retryable"]["BOOL"]),
            attempts=int(facts["attempts"]["N"]),
            buried_at_ms=int(facts["buriedAt"]["N"]),
            data=b"".join(bytes(row["data"]["B"]) for row in rows),
        )
