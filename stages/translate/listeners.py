"""Which languages of a session have a listener: asks the index of the Connections table. No policy but its cache."""

import asyncio
import time
from collections import OrderedDict
from typing import Any, Final

from stages.translate.requests import LISTENERS, FindLanguages, Languages
from streams.aws import as_error
from streams.resources import LISTENERS_INDEX
from streams.stage import Replies, Request

MAX_SESSIONS: Final = 1_000
"""Answers kept; twice row N9's ceiling of sessions."""


class Listeners:
    """A `Service`. An answer is used for ttl_ms from the moment at which it was asked for.

    The index is skipped through, one item per language: a session with 500 listeners in four languages is five reads of
    one item, not the reading of 500.
    """

    name = LISTENERS

    def __init__(self, client: Any, table: str, ttl_ms: int) -> None:
        self._client = client
        self._table = table
        self._ttl_s = ttl_ms / 1000
        self._known: OrderedDict[str, tuple[float, asyncio.Task[Languages]]] = OrderedDict()

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Languages:
        """The languages that had a listener at most ttl_ms ago. Requests at the same time share one answer."""
        assert isinstance(request, FindLanguages)
        now = time.monotonic()
        asked_at, task = self._known.get(session_id, (0.0, None))
        if task is None or now - asked_at >= self._ttl_s or _has_failed(task):
            task = asyncio.get_running_loop().create_task(self._find(session_id))
            task.add_done_callback(_has_failed)  # an error that nobody waits for any more is no news
            self._known[session_id] = (now, task)
            self._known.move_to_end(session_id)
            if len(self._known) > MAX_SESSIONS:
                self._known.popitem(last=False)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is under way."""
        tasks = [task for _, task in self._known.values()]
        self._known.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _find(self, session_id: str) -> Languages:
        codes: list[str] = []
        while True:
            condition = "sessionId = :session"
            values = {":session": {"S": session_id}}
            if codes:
                condition += " AND targetLanguage > :after"
                values[":after"] = {"S": codes[-1]}
            try:
                page = await self._client.query(
                    TableName=self._table,
                    IndexName=LISTENERS_INDEX,
                    KeyConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ProjectionExpression="targetLanguage",
                    Limit=1,
                )
            except Exception as error:
                raise as_error(error, "asking for a session's languages") from error
            if not page["Items"]:
                return Languages(codes)
            codes.append(page["Items"][0]["targetLanguage"]["S"])


def _has_failed(task: "asyncio.Task[Languages]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
