"""Who is there: whether a session's speaker is, who listens, and what the speaker was last told of that.

The rest of the Sessions and Connections tables is `tables`'. Every method raises HeraldError. Each change of a
session's row is one conditional write, so that of functions that run at once one does it.
"""

from collections import Counter
from typing import Any, Final, NamedTuple

from gateway.rows import Rows
from gateway.tables import Report, Session, session_of
from streams.resources import LISTENERS_INDEX

_GOING_ON: Final = "attribute_not_exists(endedAt)"


class Aged(NamedTuple):
    """A connection by its age. connected_at: Unix milliseconds."""

    connection_id: str
    session_id: str
    connected_at: int


class Presence(Rows):
    """Who is there, in one environment."""

    async def speaker_left(self, session_id: str, connection_id: str, now_ms: int) -> Session | None:
        """Note that the session waits for its speaker, since the first time that this was said.

        None if it does not: it has ended, or its speaker has another connection by now.
        """
        return await self._change_session(
            session_id,
            "SET speakerGoneAt = if_not_exists(speakerGoneAt, :now)",
            {":now": {"N": str(now_ms)}, ":connection": {"S": connection_id}},
            "speakerConnectionId = :connection",
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
        return await self._change_session(
            session.session_id,
            "SET speakerConnectionId = :new, audioCount = :count REMOVE speakerGoneAt, lastReport",
            values,
            f"speakerConnectionId = :old AND {gone}",
        )

    async def end_abandoned(self, session: Session, now_ms: int) -> bool:
        """Mark a session ended whose speaker has not come back; False if it has, or if the session had ended."""
        ended = await self._change_session(
            session.session_id,
            "SET endedAt = :now, broadcastState.isActive = :no",
            {":now": {"N": str(now_ms)}, ":no": {"BOOL": False}, ":gone": {"N": str(session.speaker_gone_at)}},
            "speakerGoneAt = :gone",
        )
        return ended is not None

    async def open_door(self, connection_id: str) -> bool:
        """Let a speaker's new connection in, as far as its broadcast's state does; False when it has gone already."""
        return await self._update_connection(connection_id, "SET door.isActive = :yes", {":yes": {"BOOL": True}})

    async def mark_refreshed(self, connection_id: str, session_id: str) -> bool:
        """Note that a listener's connection has its successor: once; False if it is no such connection, or has one."""
        return await self._update_connection(
            connection_id,
            "SET refreshed = :yes",
            {":yes": {"BOOL": True}, ":session": {"S": session_id}, ":listener": {"S": "listener"}},
            "sessionId = :session AND #role = :listener AND attribute_not_exists(refreshed)",
            {"#role": "role"},
        )

    async def mark_warned(self, connection_id: str, now_ms: int) -> bool:
        """Note that the client is told of its connection's end; False if it was, or has gone."""
        return await self._update_connection(
            connection_id, "SET warnedAt = :now", {":now": {"N": str(now_ms)}}, "attribute_not_exists(warnedAt)"
        )

    async def listeners(self, session_id: str) -> list[str]:
        """The connection ids of all listeners that can be reached now."""
        rows = await self._listeners(session_id, "asking for a session's listeners", "connectionId")
        return [row["connectionId"]["S"] for row in rows]

    async def listeners_by_language(self, session_id: str) -> dict[str, int]:
        """How many listeners there are of each language, by the index of row B1; it follows the table by a moment."""
        rows = await self._listeners(session_id, "counting listeners by language", "targetLanguage")
        return dict(sorted(Counter(row["targetLanguage"]["S"] for row in rows).items()))

    async def beyond(self, session_id: str, most: int) -> list[str]:
        """The connections of listeners who came after a session had `most` of them, by the index.

        Everybody who asks finds the same: they are in the order in which they connected. One that has its successor
        does not count.
        """
        rows = await self._listeners(
            session_id,
            "looking who has a place",
            "connectionId, connectedAt",
            FilterExpression="attribute_not_exists(refreshed)",
        )
        came = sorted((int(row["connectedAt"]["N"]), row["connectionId"]["S"]) for row in rows)
        return [connection_id for _, connection_id in came[most:]]

    async def unended(self) -> list[Session]:
        """Sessions whose end has not been published; an estimate, as scans are."""
        rows = await self._items(
            self._client.scan,
            "looking for sessions",
            TableName=self._sessions,
            FilterExpression="attribute_not_exists(endPublished)",
        )
        return [session_of(row) for row in rows]

    async def old_connections(self, connected_before_ms: int) -> list[Aged]:
        """Connections from before a time, whose clients have not been told that they will end."""
        rows = await self._items(
            self._client.scan,
            "looking for old connections",
            TableName=self._connections,
            FilterExpression="connectedAt < :before AND attribute_not_exists(warnedAt)",
            ExpressionAttributeValues={":before": {"N": str(connected_before_ms)}},
        )
        return [Aged(row["connectionId"]["S"], row["sessionId"]["S"], int(row["connectedAt"]["N"])) for row in rows]

    async def everybody(self) -> list[str]:
        """All connection ids; an estimate, as scans are."""
        rows = await self._items(
            self._client.scan,
            "looking for connections",
            TableName=self._connections,
            ProjectionExpression="connectionId",
        )
        return [row["connectionId"]["S"] for row in rows]

    async def claim_report(self, session_id: str, now_ms: int, until_ms: int) -> bool:
        """Become the one who looks what there is to report, at until_ms; False if somebody will do so already."""
        claimed = await self._change_session(
            session_id,
            "SET reportClaimedUntil = :until",
            {":until": {"N": str(until_ms)}, ":now": {"N": str(now_ms)}},
            "(attribute_not_exists(reportClaimedUntil) OR reportClaimedUntil <= :now)",
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
        noted = await self._change_session(
            session.session_id,
            "SET lastReport = :report",
            values,
            condition,
            None if last is None else {"#at": "at"},
        )
        return noted is not None

    async def _listeners(self, session_id: str, doing: str, attributes: str, **more: Any) -> list[dict[str, Any]]:
        return await self._items(
            self._client.query,
            doing,
            TableName=self._connections,
            IndexName=LISTENERS_INDEX,
            KeyConditionExpression="sessionId = :session",
            ExpressionAttributeValues={":session": {"S": session_id}},
            ProjectionExpression=attributes,
            **more,
        )

    async def _change_session(
        self,
        session_id: str,
        update: str,
        values: dict[str, Any],
        condition: str = "",
        names: dict[str, str] | None = None,
    ) -> Session | None:
        """Change the row of a session that goes on; the session as it is then."""
        condition = f"{_GOING_ON} AND {condition}" if condition else _GOING_ON
        row = await self._update_session(session_id, "updating a session", update, values, condition, names)
        return None if row is None else session_of(row)
