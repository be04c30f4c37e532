"""Sessions' snapshots in DynamoDB, one row per stage and session, and what a closed shard leaves to its children.

A row says after which input it was taken (`shard`, `sequence`), where the session's last emit stands on the output
stream, and under which epoch of which shard's lease it was written: an older owner's write fails.
"""

import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from botocore.exceptions import ClientError

from streams.aws import as_error
from streams.errors import LeaseLost
from streams.stage import Position

KEEP_S: Final = 8 * 24 * 3600
"""Longer than a stream's longest usual retention (7 days), after which no input could be added to it."""
BATCH_KEYS: Final = 100
"""BatchGetItem's limit."""
_MAY_REPLACE: Final = (
    "attribute_not_exists(#key) OR #owner < :mine"
    " OR (#owner = :mine AND epoch < :epoch) OR (#owner = :mine AND epoch = :epoch AND turn <= :turn)"
)


class Snapshot(msgspec.Struct, frozen=True):
    """What a session had settled after the input at `upto`."""

    upto: Position
    place: Position | None
    state: bytes


class Snapshots:
    """One stage's snapshots. Every method raises HeraldError."""

    def __init__(self, client: Any, table: str, stage: str) -> None:
        self._client = client
        self._table = table
        self._stage = stage

    async def load(self, session_ids: Iterable[str]) -> dict[str, Snapshot]:
        """The snapshots of those sessions that have one."""
        keys = [{"key": {"S": self._key(session_id)}} for session_id in session_ids]
        found: dict[str, Snapshot] = {}
        for start in range(0, len(keys), BATCH_KEYS):
            wanted: Any = {self._table: {"Keys": keys[start : start + BATCH_KEYS], "ConsistentRead": True}}
            while wanted:
                try:
                    answer = await self._client.batch_get_item(RequestItems=wanted)
                except Exception as error:
                    raise as_error(error, "loading snapshots") from error
                for row in answer["Responses"].get(self._table, []):
                    found[row["key"]["S"].partition("#")[2]] = _from_row(row)
                wanted = answer.get("UnprocessedKeys")
        return found

    async def save(self, session_id: str, snapshot: Snapshot, shard_id: str, epoch: int, turn: int) -> int:
        """Store a session's snapshot; its size in bytes.

        shard_id: the shard whose lease allows it; a row of one of its ancestors (whose ids are smaller) is replaced,
        however long ago it was written. epoch: the lease's counter when its owner took it. turn: grows with each of the
        owner's snapshots, so that one whose answer was lost cannot land after a later one. Raises LeaseLost when a
        newer owner, or a child's owner, has written already.
        """
        item: dict[str, Any] = {
            "key": {"S": self._key(session_id)},
            "shard": {"S": snapshot.upto.shard_id},
            "owner": {"S": shard_id},
            "sequence": {"S": str(snapshot.upto.sequence)},  # over DynamoDB's 38 digits as a number
            "epoch": {"N": str(epoch)},
            "turn": {"N": str(turn)},
            "state": {"B": snapshot.state},
            "expiresAt": {"N": str(int(time.time()) + KEEP_S)},
        }
        if snapshot.place is not None:
            item["placeShard"] = {"S": snapshot.place.shard_id}
            item["placeSequence"] = {"S": str(snapshot.place.sequence)}
        values = {":mine": {"S": shard_id}, ":epoch": {"N": str(epoch)}, ":turn": {"N": str(turn)}}
        await self._put(item, _MAY_REPLACE, values)
        return len(snapshot.state)

    async def _put(self, item: dict[str, Any], condition: str, values: dict[str, Any]) -> None:
        try:
            await self._client.put_item(
                TableName=self._table,
                Item=item,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#key": "key", "#owner": "owner"},
                ExpressionAttributeValues=values,
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException":
                raise LeaseLost(f"a newer owner has written the snapshot of a session of {self._stage}") from error
            raise as_error(error, "saving a snapshot") from error
        except Exception as error:
            raise as_error(error, "saving a snapshot") from error

    async def save_rest(self, shard_id: str, rest: dict[str, int]) -> None:
        """Where to go on in a closed shard and its ancestors: by shard, the sequence number after which."""
        item = {
            "key": {"S": self._rest_key(shard_id)},
            "rest": {"B": msgspec.msgpack.encode({shard: str(after) for shard, after in rest.items()})},
            "expiresAt": {"N": str(int(time.time()) + KEEP_S)},
        }
        try:
            await self._client.put_item(TableName=self._table, Item=item)
        except Exception as error:
            raise as_error(error, f"leaving the rest of {shard_id}") from error

    async def load_rest(self, shard_id: str) -> dict[str, int]:
        """What `save_rest` left; empty if nothing."""
        try:
            answer = await self._client.get_item(
                TableName=self._table, Key={"key": {"S": self._rest_key(shard_id)}}, ConsistentRead=True
            )
        except Exception as error:
            raise as_error(error, f"finding the rest of {shard_id}") from error
        if "Item" not in answer:
            return {}
        rest = msgspec.msgpack.decode(bytes(answer["Item"]["rest"]["B"]), type=dict[str, str])
        return {shard: int(after) for shard, after in rest.items()}

    def _key(self, session_id: str) -> str:
        return f"{self._stage}#{session_id}"

    def _rest_key(self, shard_id: str) -> str:
        return f"{self._stage}##{shard_id}"


def _from_row(row: dict[str, Any]) -> Snapshot:
    place = None
    if "placeShard" in row:
        place = Position(row["placeShard"]["S"], int(row["placeSequence"]["S"]))
    return Snapshot(Position(row["shard"]["S"], int(row["sequence"]["S"])), place, bytes(row["state"]["B"]))
