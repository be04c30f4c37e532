"""Reads what an audit goes by from an environment: the session's row, its records, its dead letters.

Only shards that ever held the session's key are read, parents before children, from the session's beginning to its end
(or the tip, while it goes on). Reading is gentle: a shard's 5 reads and 2 MB a second are shared with the stages.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from gateway.tables import Tables
from ops.audit.evidence import Evidence, Letter, Listening, end_of
from ops.dlq.store import Store
from ops.environment import Environment
from ops.errors import CommandError
from ops.patience import patiently
from stages.translate.requests import LISTENERS
from streams.errors import BadRecord, HeraldError, NotFound, Throttled
from streams.kinesis import Page, StoredRecord, get_iterator, get_page, is_expired_iterator, list_shards
from streams.records import SessionEvent, decode
from streams.resources import StreamName
from streams.stage import Position

READ_EVERY_S: Final = 0.4
"""Half of a shard's reads."""
BYTES_PER_S: Final = 1_500_000
"""Of a shard's 2 MB; halved whenever the shard says that it is too much, down to LEAST_BYTES_PER_S."""
LEAST_BYTES_PER_S: Final = 250_000
PAGE_BYTES: Final = 1_000_000
"""About so much a read: one of 10 MB would silence the shard for 5 s."""
FIRST_RECORDS: Final = 200
MAX_RECORDS: Final = 10_000
BEFORE_MS: Final = 60_000
"""How far before the session's row was written reading begins: two machines' clocks."""
AFTER_END_MS: Final = 120_000
"""How long after listeners were told of the end an owner that had been asleep may still write."""
TRIES: Final = 20
PAUSE_S: Final = 0.5


class Span(NamedTuple):
    """From when to when a stream is read (Unix milliseconds). None: from its beginning; to its tip."""

    since_ms: int | None
    until_ms: int | None


async def read(
    environment: Environment, session_id: str, on_read: Callable[[str, int], None] = lambda stream, size: None
) -> Evidence:
    """All that is known of a session. on_read: told of each page, with the stream and its bytes.

    Raises CommandError when the session is nowhere, or the environment cannot be read.
    """
    async with environment.client("kinesis") as kinesis, environment.client("dynamodb") as dynamodb:
        reader = _Reader(environment, session_id, kinesis, on_read)
        try:
            row = await patiently(lambda: Tables(dynamodb, environment.prefix).session(session_id))
            evidence = reader.evidence
            if row is not None:
                evidence.created_at_ms, evidence.ended_at_ms = row.created_at, row.ended_at
            await reader.read()
            evidence.letters = [
                Letter(
                    id=letter.id,
                    stage=letter.stage,
                    stream=letter.stream,
                    position=Position(letter.shard_id, letter.sequence),
                    failure=letter.failure,
                    attempts=letter.attempts,
                    buried_at_ms=letter.buried_at_ms,
                    redriven=letter.redriven,
                    redriven_at_ms=letter.redriven_at_ms,
                )
                async for letter in Store(dynamodb, environment.prefix).letters(session=session_id)
            ]
        except NotFound as error:
            raise CommandError(f"{environment.name} has no Herald, or not under this prefix: {error}") from error
        except HeraldError as error:
            raise CommandError(f"{environment.name} cannot be read: {error}") from error
    if evidence.is_empty():
        raise CommandError(
            f"session {session_id} is nowhere in {environment.name}: it has no row in the Sessions table, no record in"
            " any stream (they are kept for the streams' retention), and no dead letter"
        )
    evidence.exact = environment.engine == "tones"
    return evidence


class _Reader:
    def __init__(
        self, environment: Environment, session_id: str, kinesis: Any, on_read: Callable[[str, int], None]
    ) -> None:
        self.evidence = Evidence(session_id)
        self._environment = environment
        self._kinesis = kinesis
        self._on_read = on_read
        self._listening: list[Listening] = []

    async def read(self) -> None:
        """Downstream first, transcripts last: whatever was spoken is then in the transcripts that were read."""
        created_ms = self.evidence.created_at_ms
        span = Span(None if created_ms is None else created_ms - BEFORE_MS, None)
        await self._read("receipts", span)
        end = end_of(self.evidence.receipts)
        span = Span(span.since_ms, end.written_ms + AFTER_END_MS if end else None)
        try:
            async with asyncio.TaskGroup() as group:
                for stream in ("audio", "speech"):
                    group.create_task(self._read(stream, span))
                group.create_task(self._read_journal(span))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        await self._read("transcripts", span)
        self.evidence.read_at_ms = time.time_ns() // 1_000_000
        self.evidence.trimmed = [name for name in ("audio", "transcripts", "speech") if self._lacks_beginning(name)]

    def _lacks_beginning(self, name: str) -> bool:
        rows = getattr(self.evidence, name)
        return bool(rows) and not any(
            isinstance(seen.record, SessionEvent) and seen.record.event == "created" for seen in rows
        )

    async def _read(self, stream: StreamName, span: Span) -> None:
        async for stored in self._records(stream, span):
            try:
                record = decode(stored.data)
            except BadRecord:
                record = None
            if record is None or record.session_id == self.evidence.session_id:
                self.evidence.take(stream, stored.position, stored.arrived_ms, record)

    async def _read_journal(self, span: Span) -> None:
        async for stored in self._records("journal", span):
            entry = _entry(stored.data)
            if entry is not None and entry.stage == "translate":
                self._take(entry)
        self._listening.sort()
        self.evidence.listening = self._listening or None

    def _take(self, entry: "_Entry") -> None:
        for step in entry.steps:
            if step.what == "input" and step.position is not None:
                self.evidence.given_ms[Position(step.position[0], int(step.position[1]))] = step.now_ms
            elif step.reply is not None and step.reply.call_id.startswith(LISTENERS):
                codes = _codes(step.reply.value)
                if codes is not None:
                    self._listening.append(Listening(step.reply.answered_ms or step.now_ms, frozenset(codes)))

    async def _records(self, stream: StreamName, span: Span) -> AsyncIterator[StoredRecord]:
        """The session's records, in order."""
        name = self._environment.physical(stream)
        key = self.evidence.session_id
        shards = [shard for shard in await patiently(lambda: list_shards(self._kinesis, name)) if shard.holds(key)]
        for shard in sorted(shards, key=lambda shard: shard.shard_id):
            async for page in self._pages(stream, name, shard.shard_id, span.since_ms):
                for stored in page.records:
                    if stored.key == key:
                        yield stored
                if span.until_ms is not None and page.records and page.records[-1].arrived_ms > span.until_ms:
                    return

    async def _pages(self, stream: str, name: str, shard_id: str, since_ms: int | None) -> AsyncIterator[Page]:
        """A shard's pages up to its tip, as it is when it is reached, or its end."""
        pace = _Pace()
        after: int | None = None
        iterator: str | None = None
        failures = 0
        while True:
            await pace.wait()
            try:
                if iterator is None:
                    start = _start(since_ms, after)
                    iterator = await get_iterator(self._kinesis, name, shard_id, **start)
                page = await get_page(self._kinesis, shard_id, iterator, pace.records)
            except NotFound:
                if after is None and since_ms is None:
                    raise
                return  # a closed shard went with its last records
            except HeraldError as error:
                failures += 1
                if is_expired_iterator(error):
                    iterator = None
                elif not error.retryable or failures > TRIES:
                    raise
                pace.failed(throttled=isinstance(error, Throttled))
                continue
            failures = 0
            size = sum(len(stored.data) for stored in page.records)
            pace.took(len(page.records), size)
            self._on_read(stream, size)
            yield page
            if page.records:
                after = page.records[-1].position.sequence
            if page.iterator is None or page.behind_ms == 0:
                return
            iterator = page.iterator


class _Pace:
    """How fast one shard is read. records: how many to ask for next."""

    def __init__(self) -> None:
        self.records = FIRST_RECORDS
        self._bytes_per_s = BYTES_PER_S
        self._next_s = 0.0

    async def wait(self) -> None:
        await asyncio.sleep(self._next_s - time.monotonic())

    def took(self, records: int, size: int) -> None:
        self._next_s = time.monotonic() + max(READ_EVERY_S, size / self._bytes_per_s)
        if records:
            self.records = max(1, min(MAX_RECORDS, PAGE_BYTES * records // max(1, size), 4 * self.records))

    def failed(self, *, throttled: bool) -> None:
        if throttled:
            self._bytes_per_s = max(LEAST_BYTES_PER_S, self._bytes_per_s // 2)
        self._next_s = time.monotonic() + PAUSE_S


def _start(since_ms: int | None, after: int | None) -> dict[str, Any]:
    if after is not None:
        return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(after)}
    if since_ms is None:
        return {"ShardIteratorType": "TRIM_HORIZON"}
    return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": datetime.fromtimestamp(since_ms / 1000, UTC)}


# --- the journal, as little of it as is needed --------------------------------------------------------------------


class _Reply(msgspec.Struct):
    call_id: str = ""
    value: msgspec.Raw = msgspec.Raw()
    answered_ms: int = 0


class _Step(msgspec.Struct, array_like=True):
    what: str
    now_ms: int
    position: tuple[str, str] | None = None
    reply: _Reply | None = None


class _Entry(msgspec.Struct, rename="camel"):
    stage: str = ""
    steps: list[_Step] = []


class _Languages(msgspec.Struct):
    codes: list[str]


_entry_decoder: Final = msgspec.msgpack.Decoder(_Entry)
_languages_decoder: Final = msgspec.msgpack.Decoder(_Languages)


def _entry(data: bytes) -> _Entry | None:
    try:
        return _entry_decoder.decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None  # rubbish, or of a later release: who listened is then known a little less well


def _codes(value: msgspec.Raw) -> list[str] | None:
    try:
        return _languages_decoder.decode(value).codes
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None  # a reply that failed has no value
