"""The Sessions and Connections tables, as the gateway uses them. Every method raises HeraldError.

A speaker's row in Connections carries a copy of what the door must know of its session (`door`), so that `sendAudio`
needs one round trip. A listener's row has its `targetLanguage`, and so a place in the index of row B1, only once it
can be reached: `reachable` puts it there.
"""

from typing import Any, Final

import msgspec

from gateway.admission import Connection
from gateway.messages import BroadcastState
from gateway.rows import Rows, is_condition
from gateway.state import Change
from streams.aws import as_error
from streams.resources import LISTENERS_INDEX

SESSION_KEPT_S: Final = 24 * 3600
"""A session's row outlives it by the streams' usual retention: replay and export look it up."""
CONNECTION_KEPT_S: Final = 3 * 3600
"""API Gateway ends a connection after 2 h; a row whose `$disconnect` never came goes an hour later."""
DOOR_KEPT_MS: Final = 250
"""How long whoever reads a door may go by what it read. Shutting one is over only after that."""


class Report(msgspec.Struct, frozen=True):
    """What a speaker was told unasked: when (Unix milliseconds), and how many listeners of each language."""

    at_ms: int
    languages: dict[str, int]


class Session(msgspec.Struct, frozen=True):
    """A row of Sessions. Times in Unix milliseconds; ended_at is None while it goes on.

    state_version: how often broadcast_state has been changed.
    end_published: whether the end has reached the audio stream. speaker_gone_at: since when it waits for its speaker
    to come back (row W13). audio_count: under which name the speaker's chunks are counted, if not that of the
    connection (`AudioChunk.connection`).
    """

    session_id: str
    speaker_connection_id: str
    owner_hash: str
    source_language: str
    quality_tier: str
    broadcast_state: BroadcastState
    created_at: int
    ended_at: int | None = None
    end_published: bool = False
    speaker_gone_at: int | None = None
    audio_count: str = ""
    last_report: Report | None = None
    state_version: int = 0


class Tables(Rows):
    """What the gateway asks of them; who is there is `presence`'s."""

    async def add_session(self, session: Session) -> bool:
        """Add a session; False when its id is taken."""
        item: dict[str, Any] = {
            "sessionId": {"S": session.session_id},
            "speakerConnectionId": {"S": session.speaker_connection_id},
            "ownerHash": {"S": session.owner_hash},
            "sourceLanguage": {"S": session.source_language},
            "qualityTier": {"S": session.quality_tier},
            "broadcastState": _state_to_item(session.broadcast_state),
            "createdAt": {"N": str(session.created_at)},
            "expiresAt": {"N": str(session.created_at // 1000 + SESSION_KEPT_S)},
        }
        try:
            await self._client.put_item(
                TableName=self._sessions, Item=item, ConditionExpression="attribute_not_exists(sessionId)"
            )
        except Exception as error:
            if is_condition(error):
                return False
            raise as_error(error, "adding a session") from error
        return True

    async def session(self, session_id: str) -> Session | None:
        """The session, as last written."""
        try:
            answer = await self._client.get_item(
                TableName=self._sessions, Key={"sessionId": {"S": session_id}}, ConsistentRead=True
            )
        except Exception as error:
            raise as_error(error, "reading a session") from error
        return session_of(answer["Item"]) if "Item" in answer else None

    async def end_session(self, session_id: str, now_ms: int) -> Session | None:
        """Mark it ended, once: the first end's time stays. The session as it is now; None if there is none."""
        row = await self._update_session(
            session_id,
            "ending a session",
            "SET endedAt = if_not_exists(endedAt, :now), broadcastState.isActive = :no",
            {":now": {"N": str(now_ms)}, ":no": {"BOOL": False}},
        )
        return None if row is None else session_of(row)

    async def change_state(self, session_id: str, change: Change, now_ms: int) -> Session | None:
        """Change what the change names of the broadcast's state, and nothing else; the session as it is then.

        None if there is no such session, or it has ended. One write, so that changes at the same time are all there
        in the end, in some order, and numbered without a gap by it (row W18).
        """
        fields = {f"broadcastState.{name}": value for name, value in _change_to_item(change).items()}
        fields["broadcastState.lastStateChange"] = {"N": str(now_ms)}
        values = {f":v{number}": value for number, value in enumerate(fields.values())}
        settings = ", ".join(f"{name} = :v{number}" for number, name in enumerate(fields))
        row = await self._update_session(
            session_id,
            "changing a broadcast's state",
            f"SET {settings} ADD stateVersion :one",
            values | {":one": {"N": "1"}},
            "attribute_not_exists(endedAt)",
        )
        return None if row is None else session_of(row)

    async def mark_end_published(self, session_id: str) -> None:
        """The session's end is in the audio stream."""
        await self._update_session(
            session_id, "noting a session's end", "SET endPublished = :yes", {":yes": {"BOOL": True}}
        )

    async def add_speaker(
        self, connection: Connection, now_ms: int, *, acknowledge: bool, is_open: bool = True, audio_count: str = ""
    ) -> None:
        """Add a speaker's connection. is_open: its door, which `presence.open_door` opens later if it is not."""
        await self._add(
            connection,
            now_ms,
            {
                "door": door_to_item(BroadcastState(is_active=is_open)),
                "acknowledge": {"BOOL": acknowledge},
                **({"audioCount": {"S": audio_count}} if audio_count else {}),
            },
        )

    async def add_listener(self, connection: Connection, now_ms: int) -> None:
        """Add a listener's connection; nothing is sent to it before it is `reachable`."""
        await self._add(connection, now_ms, {})

    async def reachable(self, connection_id: str, target_language: str, *, returned: bool = False) -> bool:
        """Give a listener its place in the index; False when it has gone already.

        One that has chosen another language meanwhile has its place. returned: it was here before, and is to be shown
        what it missed.
        """
        update = "SET targetLanguage = if_not_exists(targetLanguage, :language)"
        values: dict[str, Any] = {":language": {"S": target_language}}
        if returned:
            update, values = f"{update}, returned = :yes", values | {":yes": {"BOOL": True}}
        return await self._update_connection(connection_id, update, values)

    async def set_door(self, connection_id: str, state: BroadcastState, version: int) -> bool:
        """Bring the door up to this state; False when the connection has gone, or its door knows a newer one."""
        return await self._update_connection(
            connection_id,
            "SET door.isPaused = :paused, door.isMuted = :muted, door.version = :version",
            {
                ":paused": {"BOOL": state.is_paused},
                ":muted": {"BOOL": state.is_muted},
                ":version": {"N": str(version)},
            },
            "(attribute_not_exists(door.version) OR door.version < :version)",
        )

    async def set_language(self, connection_id: str, target_language: str) -> bool:
        """Give a listener another place in the index; False when it has gone."""
        return await self._update_connection(
            connection_id, "SET targetLanguage = :language", {":language": {"S": target_language}}
        )

    async def close_door(self, connection_id: str) -> bool:
        """No audio of this connection's session is taken any more; False when the connection has gone already."""
        return await self._update_connection(connection_id, "SET door.isActive = :no", {":no": {"BOOL": False}})

    async def connection(self, connection_id: str) -> Connection | None:
        """The connection, as last written."""
        try:
            answer = await self._client.get_item(
                TableName=self._connections, Key={"connectionId": {"S": connection_id}}, ConsistentRead=True
            )
        except Exception as error:
            raise as_error(error, "reading a connection") from error
        return connection_of(answer["Item"]) if "Item" in answer else None

    async def remove_connection(self, connection_id: str) -> Connection | None:
        """Remove it; the connection as it was, None when it had gone already."""
        try:
            answer = await self._client.delete_item(
                TableName=self._connections, Key={"connectionId": {"S": connection_id}}, ReturnValues="ALL_OLD"
            )
        except Exception as error:
            raise as_error(error, "removing a connection") from error
        return connection_of(answer["Attributes"]) if answer.get("Attributes") else None

    async def count_listeners(self, session_id: str) -> int:
        """How many listeners the index has; it follows the table by a moment."""
        pages = self._pages(
            self._client.query,
            "counting listeners",
            TableName=self._connections,
            IndexName=LISTENERS_INDEX,
            KeyConditionExpression="sessionId = :session",
            ExpressionAttributeValues={":session": {"S": session_id}},
            Select="COUNT",
        )
        return sum([int(page["Count"]) async for page in pages])

    async def silent_connections(self, seen_before_ms: int) -> list[Connection]:
        """Connections whose last sign of life was before a time; an estimate, as scans are."""
        rows = await self._scan(self._connections, "lastSeenAt < :before", seen_before_ms)
        return [connection_of(row) for row in rows]

    async def speakers_of_unended_sessions(self, created_before_ms: int) -> list[Connection]:
        """The speakers of sessions whose end has not been published, whether they are there or not."""
        condition = "createdAt < :before AND attribute_not_exists(endPublished)"
        sessions = [session_of(row) for row in await self._scan(self._sessions, condition, created_before_ms)]
        return [Connection(each.speaker_connection_id, each.session_id, "speaker") for each in sessions]

    async def _scan(self, table: str, condition: str, before_ms: int) -> list[dict[str, Any]]:
        return await self._items(
            self._client.scan,
            "looking for what is over",
            TableName=table,
            FilterExpression=condition,
            ExpressionAttributeValues={":before": {"N": str(before_ms)}},
        )

    async def _add(self, connection: Connection, now_ms: int, more: dict[str, Any]) -> None:
        item = {
            "connectionId": {"S": connection.connection_id},
            "sessionId": {"S": connection.session_id},
            "role": {"S": connection.role},
            "connectedAt": {"N": str(now_ms)},
            "lastSeenAt": {"N": str(now_ms)},
            "expiresAt": {"N": str(now_ms // 1000 + CONNECTION_KEPT_S)},
            **more,
        }
        try:
            await self._client.put_item(TableName=self._connections, Item=item)
        except Exception as error:
            raise as_error(error, "adding a connection") from error


def connection_of(item: dict[str, Any]) -> Connection:
    """A connection from its row."""
    language = item.get("targetLanguage")
    return Connection(
        connection_id=item["connectionId"]["S"],
        session_id=item["sessionId"]["S"],
        role=item["role"]["S"],
        target_language=language["S"] if language else None,
        last_seen_at=int(item.get("lastSeenAt", {}).get("N", 0)),
    )


def session_of(item: dict[str, Any]) -> Session:
    """A session from its row."""
    ended = item.get("endedAt")
    gone = item.get("speakerGoneAt")
    return Session(
        session_id=item["sessionId"]["S"],
        speaker_connection_id=item["speakerConnectionId"]["S"],
        owner_hash=item["ownerHash"]["S"],
        source_language=item["sourceLanguage"]["S"],
        quality_tier=item["qualityTier"]["S"],
        broadcast_state=_state_from_item(item["broadcastState"]),
        created_at=int(item["createdAt"]["N"]),
        ended_at=int(ended["N"]) if ended else None,
        end_published=bool(item.get("endPublished", {}).get("BOOL", False)),
        speaker_gone_at=int(gone["N"]) if gone else None,
        audio_count=item.get("audioCount", {}).get("S", ""),
        last_report=_report(item["lastReport"]["M"]) if "lastReport" in item else None,
        state_version=int(item.get("stateVersion", {}).get("N", 0)),
    )


def _report(item: dict[str, Any]) -> Report:
    languages = {name: int(count["N"]) for name, count in item["languages"]["M"].items()}
    return Report(int(item["at"]["N"]), languages)


def door_to_item(state: BroadcastState, version: int = 0) -> dict[str, Any]:
    """What the door knows of a broadcast's state (`ingest.doors`). version: the state's; 0: it was never changed."""
    item: dict[str, Any] = {
        "isActive": {"BOOL": state.is_active},
        "isPaused": {"BOOL": state.is_paused},
        "isMuted": {"BOOL": state.is_muted},
    }
    return {"M": item | ({"version": {"N": str(version)}} if version else {})}


def _change_to_item(change: Change) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if change.is_paused is not None:
        item["isPaused"] = {"BOOL": change.is_paused}
    if change.is_muted is not None:
        item["isMuted"] = {"BOOL": change.is_muted}
    if change.volume is not None:
        item["volume"] = {"N": repr(change.volume)}
    return item


def _state_to_item(state: BroadcastState) -> dict[str, Any]:
    return {
        "M": {
            "isActive": {"BOOL": state.is_active},
            "isPaused": {"BOOL": state.is_paused},
            "isMuted": {"BOOL": state.is_muted},
            "volume": {"N": repr(state.volume)},
            "lastStateChange": {"N": str(state.last_state_change)},
        }
    }


def _state_from_item(item: dict[str, Any]) -> BroadcastState:
    row = item["M"]
    return BroadcastState(
        is_active=row["isActive"]["BOOL"],
        is_paused=row["isPaused"]["BOOL"],
        is_muted=row["isMuted"]["BOOL"],
        volume=float(row["volume"]["N"]),
        last_state_change=int(row["lastStateChange"]["N"]),
    )
