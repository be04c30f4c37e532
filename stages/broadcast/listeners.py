"""Who listens: connections by session and language, from the index of the Connections table, with a short cache."""

import asyncio
import time
from collections import OrderedDict
from typing import Any, Final, NamedTuple

from streams.aws import as_error
from streams.resources import LISTENERS_INDEX

MAX_ANSWERS: Final = 4_000
"""Answers kept: twice row N9's ceiling of sessions, in four languages each."""


class Found(NamedTuple):
    """Connection ids; of these, those of listeners who have come back to the session."""

    connections: list[str]
    returned: set[str]


class _Answer(NamedTuple):
    asked_at_s: float
    found: "asyncio.Task[Found]"


class Listeners:
    """An answer is used for ttl_ms from the moment at which it was asked for."""

    def __init__(self, client: Any, table: str, ttl_ms: int) -> None:
        self._client = client
        self._table = table
        self._ttl_s = ttl_ms / 1000
        self._answers: OrderedDict[tuple[str, str], _Answer] = OrderedDict()
        self._tasks: set[asyncio.Task[Found]] = set()

    async def find(self, session_id: str, language: str) -> Found:
        """The session's listeners of this language ("" for all), as at most ttl_ms ago.

        Requests at the same time share one query. Raises HeraldError.
        """
        key = session_id, language
        answer = self._answers.get(key)
        if answer is None or time.monotonic() - answer.asked_at_s >= self._ttl_s or _has_failed(answer.found):
            task = asyncio.get_running_loop().create_task(self._query(session_id, language))
            self._tasks.add(task)
            task.add_done_callback(self._forget)
            answer = self._answers[key] = _Answer(time.monotonic(), task)
            self._answers.move_to_end(key)
            if len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
        return await asyncio.shield(answer.found)

    async def remove(self, connection_id: str) -> None:
        """The connection is gone: so is its row. Raises HeraldError."""
        try:
            await self._client.delete_item(TableName=self._table, Key={"connectionId": {"S": connection_id}})
        except Exception as error:
            raise as_error(error, "removing a connection that is gone") from error

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, task: "asyncio.Task[Found]") -> None:
        self._tasks.discard(task)
        _has_failed(task)  # an error that nobody waits for any more is no news

    async def _query(self, session_id: str, language: str) -> Found:
        condition = "sessionId = :session"
        values = {":session": {"S": session_id}}
        if language:
            condition += " AND targetLanguage = :language"
            values[":language"] = {"S": language}
        found = Found([], set())
        start: dict[str, Any] = {}
        while True:
            try:
                page = await self._client.query(
                    TableName=self._table,
                    IndexName=LISTENERS_INDEX,
                    KeyConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ProjectionExpression="connectionId, returned",
                    **start,
                )
            except Exception as error:
                raise as_error(error, "asking for a session's listeners") from error
            found.connections.extend(item["connectionId"]["S"] for item in page["Items"])
            found.returned.update(item["connectionId"]["S"] for item in page["Items"] if "returned" in item)
            if "LastEvaluatedKey" not in page:
                return found
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _has_failed(task: "asyncio.Task[Found]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
