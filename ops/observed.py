"""What an engineer sees of a session: its records in every stream behind the audio, in order, as they come.

They are followed during the talk at a gentle pace, and not read after it: the stages share a shard's five reads and
2 MB a second with every onlooker.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from ops.errors import CommandError
from ops.stack_file import Stack
from streams.errors import HeraldError
from streams.records import EmotionFrame, QualityReport, Receipt, Record, SessionEvent, SpeechPart, Transcript
from streams.resources import StreamName, physical_name
from streams.tail import tail

POLL_S: Final = 1.0
END_WITHIN_S: Final = 10.0
"""From the last listener's `sessionEnded` to its record in each stream; longer only if something is lost."""
FOLLOWED: Final[tuple[StreamName, ...]] = ("transcripts", "emotions", "speech", "receipts")
_TELL_THE_END: Final = frozenset({"transcripts", "speech", "receipts"})

Kept: TypeAlias = Transcript | EmotionFrame | QualityReport | SpeechPart | Receipt


class Observed(NamedTuple):
    """One session's records, each kind in the order of its stream. speech: without its sound."""

    transcripts: list[Transcript]
    emotions: list[EmotionFrame]
    quality: list[QualityReport]
    speech: list[SpeechPart]
    receipts: list[Receipt]


class Observer:
    """Follows one session. Make one by `observing`."""

    def __init__(self, client: Any, prefix: str, session_id: str, since_ms: int, poll_s: float) -> None:
        self._session_id = session_id
        self._poll_s = poll_s
        self._kept: dict[str, list[Kept]] = {name: [] for name in FOLLOWED}
        self._ended = {name: asyncio.Event() for name in _TELL_THE_END}
        self._following = [
            asyncio.create_task(self._follow(client, name, physical_name(prefix, name), since_ms)) for name in FOLLOWED
        ]

    async def _follow(self, client: Any, name: str, stream: str, since_ms: int) -> None:
        async for seen in tail(client, stream, since_ms=since_ms, poll_s=self._poll_s):
            if seen.record is not None and seen.record.session_id == self._session_id:
                if _is_end(seen.record) and name in self._ended:
                    self._ended[name].set()
                if isinstance(seen.record, SpeechPart):
                    self._kept[name].append(msgspec.structs.replace(seen.record, pcm=b""))
                elif isinstance(seen.record, Kept):
                    self._kept[name].append(seen.record)

    async def finished(self, within_s: float = END_WITHIN_S) -> Observed:
        """All of a session that has ended: when each stream has told the end, and emotions have been read once more.

        What has not come within_s later is not waited for. Raises CommandError when a stream cannot be read.
        """
        whole = asyncio.create_task(self._whole())
        try:
            await asyncio.wait([whole, *self._following], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            whole.cancel()
            await asyncio.gather(whole, return_exceptions=True)
        for task in self._following:
            if task.done():
                try:
                    task.result()
                except HeraldError as error:
                    raise CommandError(f"the session's records cannot be read: {error}") from error
        records = [record for kept in self._kept.values() for record in kept]
        return Observed(
            [r for r in records if isinstance(r, Transcript)],
            [r for r in records if isinstance(r, EmotionFrame)],
            [r for r in records if isinstance(r, QualityReport)],
            [r for r in records if isinstance(r, SpeechPart)],
            [r for r in records if isinstance(r, Receipt)],
        )

    async def _whole(self) -> None:
        await asyncio.sleep(1.2 * self._poll_s)
        for event in self._ended.values():
            await event.wait()

    async def stop(self) -> None:
        """Follow no longer."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)


def _is_end(record: Record) -> bool:
    if isinstance(record, Receipt):
        return record.of == "event" and ":ended:" in record.utterance_id
    return isinstance(record, SessionEvent) and record.event == "ended"


@contextlib.asynccontextmanager
async def observing(stack: Stack, session_id: str, since_ms: int, poll_s: float = POLL_S) -> AsyncIterator[Observer]:
    """Follow a session. since_ms: from when on (Unix milliseconds)."""
    environment = stack.environment
    client = get_session().create_client(
        "kinesis",
        region_name=environment["AWS_REGION"],
        endpoint_url=environment["AWS_ENDPOINT_URL_KINESIS"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=AioConfig(retries={"total_max_attempts": 1}),
    )
    async with client as kinesis:
        observer = Observer(kinesis, stack.prefix, session_id, since_ms, poll_s)
        try:
            yield observer
        finally:
            await observer.stop()
