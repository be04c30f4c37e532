"""What the Connections table says of a speaker, kept for a moment: one round trip reads the door and counts the chunks.

Between invocations an instance knows a connection for `rate.LEASE_MS` at the most, and `MAX_ENTRIES` of them; so a
pause or a mute shuts the door within that time, and most chunks need no round trip. The time is counted from when the
row was asked for, not from the answer, which may be older than it looks.

A chunk goes by what is known for so long, or by an answer that was asked for after the chunk came, however long that
took: so each chunk waits for two answers at the most (one that was on its way, and its own), and a table that is slower
than `rate.LEASE_MS` slows audio, but stops none.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

import msgspec
from botocore.exceptions import ClientError

from ingest.admission import Door
from ingest.format import FormatCheck
from ingest.rate import LEASE_MS, Ledger, Verdict, Window
from streams.aws import as_error
from streams.errors import HeraldError, TimedOut, Unavailable

MAX_ENTRIES: Final = 4096
"""Connections that an instance remembers; each is some kilobytes at most."""
_PACE_KEPT: Final = 0.8
"""From chunk to chunk: the longest gap counts for a while, for chunks come unevenly."""
ASK_WITHIN_S: Final = 10.0
"""A chunk that has waited so long for answers is given up: speech that is so late is of no use."""
MAX_ASKS: Final = 8
"""Answers that a chunk may wait for to be counted. More than two are needed only where others, here or in other
instances, took what was leased for it."""
QUIET_KEPT_MS: Final = 20
"""A speaker is refused for being paused or muted only by what was asked so short a time ago. What a muted one sends all
the same costs no more round trips than what it may say."""
LEDGER: Final = "rate-"
"""Ledgers are attributes of the row, one per instance."""
STALE_LEDGER_MS: Final = 60_000
"""An instance that wrote nothing for so long has ended, or has nothing left to say of the last second."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Ledger)


class Entry:
    """A connection, as this instance knows it. door is None when there is no such connection.

    passed_ms: when a chunk last passed; pace_ms: how long after the one before, of late, at the most; 0 if not known.
    asked: how many times its row was asked for; learned: the number of the latest question that has been answered.
    turn: held by the chunk that is at the door; failures: chunks that were refused in passing.
    """

    def __init__(self, limit: int) -> None:
        self.door: Door | None = None
        self.window = Window(limit)
        self.format = FormatCheck()
        self.warned_at_ms = 0.0
        self.until_ms = 0.0
        self.passed_ms = self.pace_ms = 0.0
        self.asked = 0
        self.learned = 0
        self.asking: asyncio.Future[None] | None = None
        self.waiting = 0
        self.turn = asyncio.Lock()
        self.failures = 0
        self.stale: list[str] = []

    @property
    def is_asking(self) -> bool:
        """Whether an answer is on its way. A question that is over counts as over, whoever has noticed."""
        return self.asking is not None and not self.asking.done()


class Visit(NamedTuple):
    """A chunk at the door. asked: how many questions were asked before it came; answers to later ones are fresh."""

    entry: Entry
    asked: int

    @property
    def is_fresh(self) -> bool:
        """Whether what the entry says was asked for after the chunk came."""
        return self.entry.learned > self.asked


class Doors:
    """All connections that this instance knows. note_failure: called for each question that got no answer."""

    def __init__(
        self,
        client: Any,
        table: str,
        limit: int,
        instance_id: str,
        now_ms: Callable[[], int],
        note_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._table = table
        self._limit = limit
        self._attribute = LEDGER + instance_id
        self._now_ms = now_ms
        self._note_failure = note_failure
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    @asynccontextmanager
    async def visit(self, connection_id: str) -> AsyncIterator[Visit]:
        """A chunk's visit, when those of its connection that came before have left the door: none overtakes another.

        The entry is not older than LEASE_MS or than this call. What stands behind a chunk that is refused in passing is
        refused with it, so that the speaker sends all of it again in order. Raises HeraldError.
        """
        entry = self._entry(connection_id)
        visit, failures = Visit(entry, entry.asked), entry.failures
        entry.waiting += 1
        try:
            await entry.turn.acquire()
        finally:
            entry.waiting -= 1
        try:
            if entry.failures != failures:
                raise Unavailable("a chunk before this one was refused")
            try:
                await self._learn(connection_id, visit)
                yield visit
            except HeraldError:
                entry.failures += 1
                raise
        finally:
            entry.turn.release()

    def _entry(self, connection_id: str) -> Entry:
        entry = self._entries.get(connection_id)
        if entry is None:
            entry = self._entries[connection_id] = Entry(self._limit)
            while len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)
        else:
            self._entries.move_to_end(connection_id)
        return entry

    async def _learn(self, connection_id: str, visit: Visit) -> None:
        """Wait until what is known of the connection is not older than LEASE_MS or than the visit."""
        for _ in range(MAX_ASKS):
            if self._now_ms() < visit.entry.until_ms or visit.is_fresh:
                return
            await self._ask(connection_id, visit.entry)
        raise TimedOut("reading a speaker's row: no answer in time")

    async def look_again(self, connection_id: str, visit: Visit) -> None:
        """Make sure that a speaker who is to be refused as paused or muted still is: one that resumes is heard at once.

        Raises HeraldError.
        """
        door, asked_ms = visit.entry.door, visit.entry.until_ms - LEASE_MS
        is_quiet = door is not None and door.is_active and (door.is_paused or door.is_muted)
        if is_quiet and self._now_ms() - asked_ms >= QUIET_KEPT_MS:
            await self._ask(connection_id, visit.entry)

    async def admit(self, connection_id: str, visit: Visit, arrived_ms: int) -> bool:
        """Count a chunk; False when it is over the limit. Raises HeraldError."""
        entry = visit.entry
        for _ in range(MAX_ASKS):
            verdict = entry.window.admit(arrived_ms, self._now_ms(), is_fresh=visit.is_fresh)
            if verdict is not Verdict.ASK:
                return verdict is Verdict.PASS
            await self._ask(connection_id, entry)
        raise TimedOut("counting a chunk: no room in time")

    def refresh_ahead(self, connection_id: str, entry: Entry) -> None:
        """Called for each chunk that passes: ask again, if the next chunk, at the pace of this one, would have to ask.

        Nobody waits for the answer but who needs it. An instance that is frozen meanwhile finds it, or that it has
        failed, when the next chunk comes.
        """
        now_ms = self._now_ms()
        gap_ms, entry.passed_ms = now_ms - entry.passed_ms, now_ms
        entry.pace_ms = max(gap_ms, _PACE_KEPT * entry.pace_ms) if gap_ms < LEASE_MS else 0.0
        if not entry.is_asking and 0 < entry.until_ms - now_ms <= entry.pace_ms:
            self._begin_to_ask(connection_id, entry)

    def forget(self, connection_id: str) -> None:
        """The connection is being closed."""
        self._entries.pop(connection_id, None)

    async def _ask(self, connection_id: str, entry: Entry) -> None:
        """Wait for an answer: the one that is on its way, or else a new one. It always yields to the loop.

        Raises HeraldError if there is none; not if it was on its way, for it may have failed long ago.
        """
        entry.waiting += 1
        was_asking = entry.is_asking
        try:
            asking = entry.asking if was_asking and entry.asking else self._begin_to_ask(connection_id, entry)
            async with asyncio.timeout(ASK_WITHIN_S):
                await asyncio.shield(asking)
        except TimeoutError as error:
            raise as_error(error, "reading a speaker's row") from error
        except HeraldError:
            if not was_asking:
                raise
        finally:
            entry.waiting -= 1

    def _begin_to_ask(self, connection_id: str, entry: Entry) -> asyncio.Future[None]:
        entry.asked += 1
        entry.asking = asyncio.ensure_future(self._update(connection_id, entry, entry.asked))
        entry.asking.add_done_callback(self._note_outcome)
        return entry.asking

    def _note_outcome(self, asking: asyncio.Future[None]) -> None:
        """Its failure is told to those who wait; that nobody does is no failure of its own."""
        if not asking.cancelled() and asking.exception() is not None:
            self._note_failure()

    async def _update(self, connection_id: str, entry: Entry, number: int) -> None:
        now_ms = self._now_ms()
        mine = entry.window.declare(now_ms, wanted=entry.waiting)
        names = {"#mine": self._attribute} | {f"#old{n}": name for n, name in enumerate(entry.stale)}
        remove = ", ".join(f"#old{n}" for n in range(len(entry.stale)))
        try:
            answer = await self._client.update_item(
                TableName=self._table,
                Key={"connectionId": {"S": connection_id}},
                UpdateExpression="SET #mine = :mine, lastSeenAt = :now" + (f" REMOVE {remove}" if remove else ""),
                ConditionExpression="attribute_exists(connectionId)",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={":mine": {"B": _encoder.encode(mine)}, ":now": {"N": str(now_ms)}},
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise as_error(error, "reading a speaker's row") from error
            row: dict[str, Any] | None = None
        except Exception as error:
            raise as_error(error, "reading a speaker's row") from error
        else:
            row = answer["Attributes"]
        entry.door = _door(row)
        others = self._others(row or {})
        entry.stale = [name for name, ledger in others.items() if now_ms - ledger.until_ms > STALE_LEDGER_MS]
        entry.window.learn(others.values())
        entry.until_ms = now_ms + LEASE_MS
        entry.learned = number

    def _others(self, row: dict[str, Any]) -> dict[str, Ledger]:
        return {
            name: _decoder.decode(value["B"])
            for name, value in row.items()
            if name.startswith(LEDGER) and name != self._attribute
        }


def _door(row: dict[str, Any] | None) -> Door | None:
    if row is None:
        return None
    state = row.get("door", {}).get("M", {})
    return Door(
        session_id=row["sessionId"]["S"],
        role=row["role"]["S"],
        is_active=state.get("isActive", {}).get("BOOL", False),
        is_paused=state.get("isPaused", {}).get("BOOL", False),
        is_muted=state.get("isMuted", {}).get("BOOL", False),
        acknowledge=row.get("acknowledge", {}).get("BOOL", True),
        audio_count=row.get("audioCount", {}).get("S", ""),
    )
