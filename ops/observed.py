"""What an engineer sees of a session: its records in every stream behind the audio, in order."""

import asyncio
from typing import NamedTuple

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from ops.stack_file import Stack
from streams.records import EmotionFrame, QualityReport, Receipt, Record, SpeechPart, Transcript
from streams.resources import physical_name
from streams.tail import tail

POLL_S = 0.5
"""Stages share the shard's five reads a second; an onlooker takes few."""
SETTLED_S = 1.1
"""Longer than a tail's poll: when nothing new has come for so long after the tip, nothing more is there."""
READ_WITHIN_S = 60.0


class Observed(NamedTuple):
    """One session's records, each kind in the order of its stream."""

    transcripts: list[Transcript]
    emotions: list[EmotionFrame]
    quality: list[QualityReport]
    speech: list[SpeechPart]
    receipts: list[Receipt]


async def observe(stack: Stack, session_id: str, since_ms: int) -> Observed:
    """Read what the streams hold of a session that has ended. since_ms: from when on (Unix milliseconds)."""
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
        names = ("transcripts", "emotions", "speech", "receipts")
        found = await asyncio.gather(
            *(_read(kinesis, physical_name(stack.prefix, name), session_id, since_ms) for name in names)
        )
    records = [record for stream in found for record in stream]
    return Observed(
        [r for r in records if isinstance(r, Transcript)],
        [r for r in records if isinstance(r, EmotionFrame)],
        [r for r in records if isinstance(r, QualityReport)],
        [r for r in records if isinstance(r, SpeechPart)],
        [r for r in records if isinstance(r, Receipt)],
    )


async def _read(client: object, stream: str, session_id: str, since_ms: int) -> list[Record]:
    found: list[Record] = []
    at_tip = asyncio.Event()

    async def collect() -> None:
        async for seen in tail(client, stream, since_ms=since_ms, poll_s=POLL_S, on_caught_up=at_tip.set):
            if seen.record is not None and seen.record.session_id == session_id:
                found.append(seen.record)

    collecting = asyncio.create_task(collect())
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            await at_tip.wait()
            count = -1
            while count != len(found):
                count = len(found)
                await asyncio.sleep(SETTLED_S)
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
    return found
