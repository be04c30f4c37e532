"""Who is there: whether a session's speaker is, who listens, and what the speaker was last told of that.

The rest of the Sessions and Connections tables is `tables`'. Every method raises HeraldError. Each change of a
session's row is one conditional write, so that of functions that run at once one does it.
"""

from collections import Counter
from typing import Any, Final, NamedTuple

from gateway.tables import Report, Session, is_condition, session_of
from streams.aws import as_error
from streams.resources import CONNECTIONS, LISTENERS_INDEX, SESSIONS, physical_name

_GOING_ON: Final = "attribute_exists(sessionId) AND attribute_not_exists(endedAt)"


class Aged(NamedTuple):
    """A connection by its age. connected_at: Unix milliseconds."""

    connection_id: str
    session_id: str
    connected_at: int


class Presence:
    """The two tables, of one environment."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client = client
        self._sessions = physical_name(prefix, SESSIONS.name)
        self._connections = physical_name(prefix, CONNECTIONS.name)

    async def speaker_left(self, session_id: str, connection_id: str, now_ms: int) -> Session | None:
        """Note that the session waits for its speaker, since the first time that this was said.

        None if it does not: it has ended, or its speaker has another connection by now.
        """
        return await self._update_session(
            session_id,
            "SET speakerGoneAt = if_not_exists(speakerGoneAt, :now)",
            f"{_GOING_ON} AND speakerConnectionId = :connection",
            {":now": {"N": str(now_ms)}, ":connection": {"S": connection_id}},
        )

    async def take_over(self, session: Session, connection_id: str, audio_count: str) -> Session | None:
        """The speaker has a new connection, to which nothing has been reported yet; the session as it is now.

        None if it has ended, or it is not as it was read any more: read it again. audio_count: see `Session`.
        """
        values = {
            ":new": {"S": connection_id},
            ":old": {"S": session.speaker_connection_id},
            ":count": {"S": audio_count},
        }
        gone = "attribute_not_exists(speakerGoneAt)"
        if session.speaker_gone_at is not None:
            gone, values[":gone"] = "speakerGoneAt = :gone", {"N": str(session.speaker_gone_at)}
        return await self._update_session(
            session.session_id,
            "SET speakerConnectionId = :new, audioCount = :count REMOVE speakerGoneAt, lastReport",
            f"{_GOING_ON} AND speakerConnectionId = :old AND {gone}",
            values,
        )

    async def end_abandoned(self, session: Session, now_ms: int) -> bool:
        """Mark a session ended whose speaker has not come back; False if it has, or if the session had ended."""
        ended = await self._update_session(
            session.session_id,
            "SET endedAt = :now, broadcastState.isActive = :no",
            f"{_GOING_ON} AND speakerGoneAt = :gone",
            {":now": {"N": str(now_ms)}, ":no": {"BOOL": False}, ":gone": {"N": str(session.speaker_gone_at)}},
        )
        return ended is not None

    async def open_door(self, connection_id: str) -> bool:
        """Let a speaker's new connection in, as far as its broadcast's state does; False when it has gone already."""
        return await self._update_connection(connection_id, "SET door.isActive = :yes", "", {":yes": {"BOOL": True}})

    async def mark_refreshed(self, connection_id: str, session_id: str) -> bool:
        """Note that a listener's connection has its successor: once; False if it is no such connection, or has one."""
        return await self._update_connection(
            connection_id,
            "SET refreshed = :yes",
            "sessionId = :session AND #role = :listener AND attribute_not_exists(refreshed)",
            {":yes": {"BOOL": True}, ":session": {"S": session_id}, ":listener": {"S": "listener"}},
            {"#role": "role"},
        )

    async def mark_warned(self, connection_id: str, now_ms: int) -> bool:
        """Note that the client is told of its connection's end; False if it was, or has gone."""
        return await self._update_connection(
            connection_id, "SET warnedAt = :now", "attribute_not_exists(warnedAt)", {":now": {"N": str(now_ms)}}
        )

    async def listeners_by_language(self, session_id: str) -> dict[str, int]:
        """How many listeners there are of each language, by the index of row B1; it follows the table by a moment."""
        rows = await self._pages(
            self._client.query,
            "counting listeners by language",
            TableName=self._connections,
            IndexName=LISTENERS_INDEX,
            KeyConditionExpression="sessionId = :session",
            ExpressionAttributeValues={":session": {"S": session_id}},
            ProjectionExpression="targetLanguage",
        )
        return dict(sorted(Counter(row["targetLanguage"]["S"] for row in rows).items()))

    async def beyond(self, session_id: str, most: int) -> list[str]:
        """The connections of listeners who came after a session had `most` of them, by the index.

        Everybody who asks finds the same: they are in the order in which they connected. One that has its successor
        does not count.
        """
        rows = await self._pages(
            self._client.query,
            "looking who has a place",
            TableName=self._connections,
            IndexName=LISTENERS_INDEX,
            KeyConditionExpression="sessionId = :session",
            FilterExpression="attribute_not_exists(refreshed)",
            ExpressionAttributeValues={":session": {"S": session_id}},
            ProjectionExpression="connectionId, connectedAt",
        )
        came = sorted((int(row["connectedAt"]["N"]), row["connectionId"]["S"]) for row in rows)
        return [connection_id for _, connection_id in came[most:]]

    async def unended(self) -> list[Session]:
        """Sessions whose end has not been published; an estimate, as scans are."""
        rows = await self._pages(
            self._client.scan,
            "looking for sessions",
            TableName=self._sessions,
            FilterExpression="attribute_not_exists(endPublished)",
        )
        return [session_of(row) for row in rows]

    async def old_connections(self, connected_before_ms: int) -> list[Aged]:
        """Connections from before a time, whose clients have not been told that they will end."""
        rows = await self._pages(
            self._client.scan,
            "looking for old connections",
            TableName=self._connections,
            FilterExpression="connectedAt < :before AND attribute_not_exists(warnedAt)",
            ExpressionAttributeValues={":before": {"N": str(connected_before_ms)}},
        )
        return [Aged(row["connectionId"]["S"], row["sessionId"]["S"], int(row["connectedAt"]["N"])) for row in rows]

    async def everybody(self) -> list[str]:
        """All connection ids; an estimate, as scans are."""
        rows = await self._pages(
            self._client.scan,
            "looking for connections",
            TableName=self._connections,
            ProjectionExpression="connectionId",
        )
        return [row["connectionId"]["S"] for row in rows]

    async def claim_report(self, session_id: str, now_ms: int, until_ms: int) -> bool:
        """Become the one who looks what there is to report, at until_ms; False if somebody will do so already."""
        claimed = await self._update_session(
            session_id,
            "SET reportClaimedUntil = :until",
            f"{_GOING_ON} AND (attribute_not_exists(reportClaimedUntil) OR reportClaimedUntil <= :now)",
            {":until": {"N": str(until_ms)}, ":now": {"N": str(now_ms)}},
        )
        return claimed is not None

    async def note_report(self, session: Session, report: Report) -> bool:
        """Note what the speaker is told now; False if somebody else has told it something since `session` was read."""
        last = session.last_report
        condition = "attribute_not_exists(lastReport)" if last is None else "lastReport.#at = :last"
        values: dict[str, Any] = {
            ":report": {
                "M": {
                    "at": {"N": str(report.at_ms)},
                    "languages": {"M": {name: {"N": str(count)} for name, count in report.languages.items()}},
                }
            }
        }
        if last is not None:
            values[":last"] = {"N": str(last.at_ms)}
        noted = await self._update_session(
            session.session_id,
            "SET lastReport = :report",
            f"{_GOING_ON} AND {condition}",
            values,
            None if last is None else {"#at": "at"},
        )
        return noted is not None

    async def _update_session(
        self,
        session_id: str,
        update: str,
        condition: str,
        values: dict[str, Any],
        names: dict[str, str] | None = None,
    ) -> Session | None:
        try:
            answer = await self._client.update_item(
                TableName=self._sessions,
                Key={"sessionId": {"S": session_id}},
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
                **({"ExpressionAttributeNames": names} if names else {}),
            )
        except Exception as error:
            if is_condition(error):
                return None
            raise as_error(error, "updating a session") from error
        return session_of(answer["Attributes"])

    async def _update_connection(
        self,
        connection_id: str,
        update: str,
        condition: str,
        values: dict[str, Any],
        names: dict[str, str] | None = None,
    ) -> bool:
        try:
            await self._client.update_item(
                TableName=self._connections,
                Key={"connectionId": {"S": connection_id}},
                UpdateExpression=update,
                ConditionExpression="attribute_exists(connectionId)" + (f" AND {condition}" if condition else ""),
                ExpressionAttributeValues=values,
                **({"ExpressionAttributeNames": names} if names else {}),
            )
        except Exception as error:
            if is_condition(error):
                return False
            raise as_error(error, "updating a connection") from error
        return True

    @staticmethod
    async def _pages(ask: Any, doing: str, **arguments: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        start: dict[str, Any] = {}
        while True:
            try:
                page = await ask(**arguments, **start)
            except Exception as error:
                raise as_error(error, doing) from error
            rows += page["Items"]
            if not page.get("LastEvaluatedKey"):
                return rows
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
