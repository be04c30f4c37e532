"""The letters of an environment, as an operator sees them. Every method raises HeraldError.

Letters are found by a scan: it reads the whole table, bytes included (half a read unit per 4 KB), and returns the facts
only. An index would have to hold them all a second time, and a table of dead letters is small or there is worse to do.
"""

import time
from collections.abc import AsyncIterator
from typing import Any, Final

from botocore.exceptions import ClientError

from ops.patience import patiently
from streams.aws import as_error
from streams.dead_letters import FACTS, KEEP_S, ORIGIN, DeadLetter, as_letter, letter_id, read_letter
from streams.resources import DEAD_LETTERS, physical_name
from streams.stage import Position

_NAMES: Final = {
    "#part": "part",
    "#stage": "stage",
    "#stream": "stream",
    "#key": "partitionKey",
    "#shard": "shard",
    "#sequence": "sequence",
    "#code": "code",
    "#message": "message",
    "#before": "before",
}
_FACTS: Final = (
    "id, #part, #stage, #stream, #key, #shard, #sequence, #code, #message, retryable, attempts, parts, sizeBytes,"
    " buriedAt, redriven, redrivenAt, redrivenTo, redrivingAt, #before"
)


class Store:
    """The dead letters of the environment `prefix`."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._table = physical_name(prefix, DEAD_LETTERS.name)

    async def letters(
        self, *, stage: str | None = None, session: str | None = None, since_ms: int | None = None
    ) -> AsyncIterator[DeadLetter]:
        """Letters without their bytes, oldest burial first, those of one session and shard in the order of the stream.

        session: the partition key. since_ms: buried since then (Unix milliseconds).
        """
        facts: list[dict[str, Any]] = []
        origins: dict[str, dict[str, Any]] = {}
        async for row in self._scan(stage, session, since_ms):
            if row["part"]["S"] == ORIGIN:
                origins[row["id"]["S"]] = row
            else:
                facts.append(row)
        found = [as_letter(row, origins.get(row["id"]["S"])) for row in facts]
        for letter in sorted(found, key=lambda letter: (letter.buried_at_ms, letter.shard_id, letter.sequence)):
            yield letter

    async def _scan(
        self, stage: str | None, session: str | None, since_ms: int | None
    ) -> AsyncIterator[dict[str, Any]]:
        conditions = ["#part = :facts"]
        values: dict[str, Any] = {":facts": {"S": FACTS}, ":origin": {"S": ORIGIN}}
        if stage is not None:
            conditions.append("#stage = :stage")
            values[":stage"] = {"S": stage}
        if session is not None:
            conditions.append("#key = :session")
            values[":session"] = {"S": session}
        if since_ms is not None:
            conditions.append("buriedAt >= :since")
            values[":since"] = {"N": str(since_ms)}
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "FilterExpression": f"({' AND '.join(conditions)}) OR #part = :origin",
            "ProjectionExpression": _FACTS,
            "ExpressionAttributeNames": _NAMES,
            "ExpressionAttributeValues": values,
        }
        while True:
            page = await patiently(lambda: self._page(arguments))
            for row in page["Items"]:
                yield row
            if not page.get("LastEvaluatedKey"):
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    async def _page(self, arguments: dict[str, Any]) -> Any:
        try:
            return await self._client.scan(**arguments)
        except Exception as error:
            raise as_error(error, "looking for dead letters") from error

    async def read(self, wanted: str) -> DeadLetter | None:
        """A letter, whole; None if there is none."""
        return await patiently(lambda: read_letter(self._client, self._table, wanted))

    async def begin(self, letter: DeadLetter, *, again: bool) -> bool:
        """Note that it is about to be sent back; False when it was sent before, or is being sent, and not `again`."""
        condition = "attribute_exists(id)"
        if not again:
            condition += " AND attribute_not_exists(redrivingAt) AND attribute_not_exists(redrivenAt)"
        try:
            await self._update(letter, "SET redrivingAt = :now", {":now": {"N": _now_ms()}}, condition)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                return False
            raise as_error(error, "marking a dead letter") from error
        except Exception as error:
            raise as_error(error, "marking a dead letter") from error
        return True

    async def abandon(self, letter: DeadLetter) -> None:
        """It was certainly not sent."""
        try:
            await self._update(letter, "REMOVE redrivingAt", {}, "attribute_exists(id)")
        except Exception as error:
            raise as_error(error, "marking a dead letter") from error

    async def sent(self, letter: DeadLetter, place: Position) -> None:
        """It stands at this place of its stream now; if it fails there, the new letter knows this one."""
        origin = {
            "id": {"S": letter_id(letter.stage, place.shard_id, place.sequence)},
            "part": {"S": ORIGIN},
            "before": {"L": [{"S": each} for each in (*letter.before, letter.id)]},
            "attempts": {"N": str(letter.attempts_before + letter.attempts)},
            "expiresAt": {"N": str(int(time.time()) + KEEP_S)},
        }
        values = {
            ":now": {"N": _now_ms()},
            ":one": {"N": "1"},
            ":to": {"S": f"{place.shard_id} {place.sequence}"},
        }
        try:
            await self._client.put_item(TableName=self._table, Item=origin)
            change = "SET redrivenAt = :now, redrivenTo = :to REMOVE redrivingAt ADD redriven :one"
            await self._update(letter, change, values, "attribute_exists(id)")
        except Exception as error:
            raise as_error(error, "marking a dead letter") from error

    async def _update(self, letter: DeadLetter, change: str, values: dict[str, Any], condition: str) -> None:
        arguments: dict[str, Any] = {
            "TableName": self._table,
            "Key": {"id": {"S": letter.id}, "part": {"S": FACTS}},
            "UpdateExpression": change,
            "ConditionExpression": condition,
        }
        if values:
            arguments["ExpressionAttributeValues"] = values
        await self._client.update_item(**arguments)


def _now_ms() -> str:
    return str(time.time_ns() // 1_000_000)
