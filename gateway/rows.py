"""Reads and conditional writes of the Sessions and Connections tables: what all that we ask of them has in common."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeGuard

from botocore.exceptions import ClientError

from streams.aws import as_error
from streams.resources import CONNECTIONS, SESSIONS, physical_name

_CONDITION_FAILED: Final = "ConditionalCheckFailedException"


class Rows:
    """The two tables of one environment. Every method raises HeraldError; `doing` says in it what failed."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._sessions = physical_name(prefix, SESSIONS.name)
        self._connections = physical_name(prefix, CONNECTIONS.name)

    async def _pages(
        self, ask: Callable[..., Awaitable[dict[str, Any]]], doing: str, **arguments: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """All pages of a query or scan. ask: the client's method."""
        start: dict[str, Any] = {}
        while True:
            try:
                page = await ask(**arguments, **start)
            except Exception as error:
                raise as_error(error, doing) from error
            yield page
            if not page.get("LastEvaluatedKey"):
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def _items(
        self, ask: Callable[..., Awaitable[dict[str, Any]]], doing: str, **arguments: Any
    ) -> list[dict[str, Any]]:
        """The items of all pages."""
        return [item async for page in self._pages(ask, doing, **arguments) for item in page["Items"]]

    async def _update_session(
        self,
        session_id: str,
        doing: str,
        update: str,
        values: dict[str, Any],
        condition: str = "",
        names: dict[str, str] | None = None,
    ) -> dict[str, Any] | None:
        """Change a session's row, if it is there and the condition holds; the row as it is then, else None."""
        key = {"sessionId": {"S": session_id}}
        return await self._update(self._sessions, key, doing, update, values, condition, names)

    async def _update_connection(
        self,
        connection_id: str,
        update: str,
        values: dict[str, Any],
        condition: str = "",
        names: dict[str, str] | None = None,
    ) -> bool:
        """Change a connection's row; False if it is not there, or the condition does not hold."""
        key = {"connectionId": {"S": connection_id}}
        changed = await self._update(self._connections, key, "updating a connection", update, values, condition, names)
        return changed is not None

    async def _update(
        self,
        table: str,
        key: dict[str, Any],
        doing: str,
        update: str,
        values: dict[str, Any],
        condition: str,
        names: dict[str, str] | None,
    ) -> dict[str, Any] | None:
        is_there = f"attribute_exists({next(iter(key))})"
        try:
            answer = await self._client.update_item(
                TableName=table,
                Key=key,
                UpdateExpression=update,
                ConditionExpression=f"{is_there} AND {condition}" if condition else is_there,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
                **({"ExpressionAttributeNames": names} if names else {}),
            )
        except Exception as error:
            if is_condition(error):
                return None
            raise as_error(error, doing) from error
        row: dict[str, Any] = answer["Attributes"]
        return row


def is_condition(error: Exception) -> TypeGuard[ClientError]:
    """Whether a write was refused by its own condition."""
    return isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") == _CONDITION_FAILED
