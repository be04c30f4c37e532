"""A thousand records of ten kinds that nobody should have written, and a talk with listeners to hold beside them."""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec

from local import tones
from ops import tokens
from ops.audit.evidence import Evidence, receipts_of
from ops.audit.reader import read
from ops.environment import Environment
from ops.hops import END_TO_END, spent
from ops.listener import Listener
from ops.speaker import Speaker
from streams.records import (
    VERSION,
    AudioChunk,
    EmotionFrame,
    Record,
    SessionEvent,
    SpeechPart,
    Transcript,
    Word,
    encode,
)
from streams.resources import STAGES, StreamName
from tests.e2e import stored
from tests.e2e.whole_stack import WholeStack, described

STREAMS: Final[tuple[StreamName, ...]] = ("audio", "transcripts", "speech")
OF_A_KIND: Final = 110
HUGE: Final = 10
HUGE_BYTES: Final = 700_000
"""Two rows and a half of the dead-letter store."""
OUT_OF_THIS_WORLD: Final = (2**63 - 1, -(2**63), 2**62, -1)
TAKEN: Final = "out of this world"
"""The kind that is a record like others, and may be processed."""
BATCHES: Final = 20


class Poison(NamedTuple):
    """One record to write."""

    kind: str
    stream: StreamName
    key: str
    data: bytes


def poison(session_id: str) -> list[Poison]:
    """A thousand, shuffled; many under the key of the good session."""
    chance = random.Random(7)
    found = [
        each
        for kind, make in _KINDS.items()
        for number in range(OF_A_KIND)
        for each in make(kind, number, session_id if number % 3 == 0 else f"poison-{number % 7}", chance)
    ]
    found += [
        Poison("huge", STREAMS[number % 3], f"poison-{number}", chance.randbytes(HUGE_BYTES)) for number in range(HUGE)
    ]
    chance.shuffle(found)
    assert len(found) == 1000
    assert len({each.kind for each in found}) == 10
    return found


def _everywhere(make: Callable[[StreamName, str, random.Random], bytes]) -> Any:
    def kind(name: str, number: int, key: str, chance: random.Random) -> Iterator[Poison]:
        stream = STREAMS[number % 3]
        yield Poison(name, stream, key, make(stream, key, chance))

    return kind


def _record(stream: StreamName, key: str, version: int = VERSION) -> Record:
    """One that belongs into the stream, though its session may not be."""
    record: Record
    if stream == "audio":
        record = AudioChunk(session_id=key, connection="poison", admitted_at_ms=0, pcm=bytes(3200), sequence=0)
    elif stream == "transcripts":
        record = _clause(key, 0)
    else:
        record = _speech(key)
    return msgspec.structs.replace(record, v=version)


def _clause(key: str, start_ms: int) -> Transcript:
    return Transcript(
        session_id=key,
        utterance_id=f"{key}:{start_ms}",
        status="clause",
        source_language="en-US",
        transcript_text="poison",
        words=[Word("poison", start_ms, start_ms + 1)],
        start_ms=start_ms,
        end_ms=start_ms + 1,
        clause=0,
        revision=1,
        stability_score=1.0,
        timestamp=start_ms,
    )


def _speech(key: str) -> SpeechPart:
    fields = {"kind": "speech", "sessionId": key, "utteranceId": f"{key}:0", "clause": 0, "language": "es"}
    more = {"sequence": 0, "text": "poison", "ssml": "", "voice": "", "dynamics": {}, "sampleRateHz": 16_000}
    return msgspec.convert(fields | more | {"pcm": b"\0\0", "startMs": 0, "endMs": 1}, SpeechPart)


def _misplaced(stream: StreamName, key: str, chance: random.Random) -> bytes:
    if stream == "audio":
        frame = EmotionFrame(
            session_id=key,
            start_ms=0,
            end_ms=500,
            volume=0.5,
            rate=1.0,
            energy=0.5,
            level_db=-20.0,
            voiced_ms=0,
            onsets_ms=[],
        )
        return encode(frame)
    return encode(_record("speech" if stream == "transcripts" else "transcripts", key))


def _odd(name: str, number: int, key: str, chance: random.Random) -> Iterator[Poison]:
    chunk = AudioChunk(session_id=key, connection="poison", admitted_at_ms=number, pcm=chance.randbytes(3201))
    yield Poison(name, "audio", key, encode(chunk))


def _strange(name: str, number: int, key: str, chance: random.Random) -> Iterator[Poison]:
    """Never under the good session's key: who may write under it, may say what it likes."""
    strange = OUT_OF_THIS_WORLD[number % len(OUT_OF_THIS_WORLD)]
    if number % 3 == 0:
        yield Poison(name, "transcripts", "poison-t", encode(_clause("poison-t", max(0, strange // 2))))
    elif number % 3 == 1:
        event = SessionEvent(session_id="poison-e", event="volume", timestamp=strange, volume=1.0)
        yield Poison(name, "audio", "poison-e", encode(event))
    else:
        chunk = AudioChunk(
            session_id="poison-a",
            connection=str(number % 5),
            admitted_at_ms=strange,
            captured_at_ms=OUT_OF_THIS_WORLD[number % 3],
            sequence=strange,
            pcm=bytes(320),
        )
        yield Poison(name, "audio", "poison-a", encode(chunk))


_KINDS: Final = {
    "rubbish": _everywhere(lambda stream, key, chance: chance.randbytes(chance.randrange(1, 200))),
    "empty": _everywhere(lambda stream, key, chance: b""),
    "truncated": _everywhere(lambda stream, key, chance: encode(_record(stream, key))[: chance.randrange(1, 40)]),
    "newer version": _everywhere(lambda stream, key, chance: encode(_record(stream, key, VERSION + 1))),
    "unknown kind": _everywhere(
        lambda stream, key, chance: msgspec.msgpack.encode({"kind": "hologram", "v": VERSION, "sessionId": key})
    ),
    "wrong key": _everywhere(lambda stream, key, chance: encode(_record(stream, "somebody-else-100"))),
    "wrong type": _everywhere(_misplaced),
    "odd PCM": _odd,
    TAKEN: _strange,
}


class Held(NamedTuple):
    """A talk that was held. words: what each language's listener heard, in order. refused: positions of what must be in
    the dead letters, with the stage, and the bytes."""

    session_id: str
    words: dict[str, list[int]]
    told: bool
    refused: dict[str, bytes]
    evidence: Evidence

    def delays_ms(self) -> list[int]:
        """From the last sound of each clause's words to its first listener."""
        each = [spent(receipt.times_ms) for _, receipt in receipts_of(self.evidence.receipts) if receipt.of == "speech"]
        return sorted(one[END_TO_END] for one in each if END_TO_END in one)


def here(stack: WholeStack) -> Environment:
    """The stack, as commands see it."""
    found = described(stack)
    return Environment("the stack", found.prefix, found.engine, found.environment)


def ids_of_letters(dynamo: Any) -> set[str]:
    """Of those that are whole: their facts are written last."""
    pages = dynamo.get_paginator("scan").paginate(
        TableName="herald-DeadLetters",
        ConsistentRead=True,
        ProjectionExpression="id",
        FilterExpression="part = :facts",
        ExpressionAttributeValues={":facts": {"S": "0"}},
    )
    return {row["id"]["S"] for page in pages for row in page["Items"]}


def letters(dynamo: Any) -> dict[str, bytes]:
    """All there are, put together."""
    parts: dict[str, dict[int, bytes]] = {}
    for page in dynamo.get_paginator("scan").paginate(TableName="herald-DeadLetters", ConsistentRead=True):
        for row in page["Items"]:
            if row["part"]["S"].isdigit():
                parts.setdefault(row["id"]["S"], {})[int(row["part"]["S"])] = row["data"]["B"]
    return {its_id: b"".join(rows[number] for number in sorted(rows)) for its_id, rows in parts.items() if 0 in rows}


def write(kinesis: Any, rows: Sequence[Poison]) -> dict[str, bytes]:
    """Write them all; the ids of the letters that there must be, with their bytes."""
    refused: dict[str, bytes] = {}
    for stream in STREAMS:
        left = [row for row in rows if row.stream == stream]
        while left:
            entries = [{"Data": row.data, "PartitionKey": row.key} for row in left[:100]]
            answer = kinesis.put_records(StreamName=f"herald-{stream}", Records=entries)
            again = []
            for row, outcome in zip(left, answer["Records"], strict=False):
                if outcome.get("ErrorCode"):
                    again.append(row)  # throttled: huge ones are beyond a second's worth
                elif row.kind != TAKEN:
                    for stage in STAGES:
                        if stage.input == stream:
                            refused[f"{stage.name}.{outcome['ShardId']}.{outcome['SequenceNumber']}"] = row.data
            left = again + left[100:]
    return refused


async def hold(stack: WholeStack, script: tones.Script, languages: Sequence[str], *, poisoned: bool) -> Held:
    """A talk at the speed of speech, with a thousand records of poison strewn in, or none."""
    found = described(stack)
    pcm = script.render()
    kinesis = stored.client(stack.environment, "kinesis")
    refused: dict[str, bytes] = {}

    async def strew(session_id: str) -> None:
        rows = poison(session_id)
        for start in range(0, len(rows), len(rows) // BATCHES):
            refused.update(await asyncio.to_thread(write, kinesis, rows[start : start + len(rows) // BATCHES]))
            await asyncio.sleep(len(pcm) / 16_000 / BATCHES / 2)

    async with AsyncExitStack() as opened:
        session = await opened.enter_async_context(aiohttp.ClientSession())
        speaker = await opened.enter_async_context(
            await Speaker.create(session, found.url, tokens.token(found, "somebody"))
        )
        listeners = [
            await opened.enter_async_context(
                await Listener.join(session, found.url, speaker.session_id, language, lambda: None)
            )
            for language in languages
        ]
        work = asyncio.create_task(strew(speaker.session_id)) if poisoned else None
        await speaker.speak(pcm)
        if work is not None:
            await work
        await speaker.end()
        async with asyncio.timeout(60):
            await asyncio.gather(*(listener.ended.wait() for listener in listeners))
        words = {
            listener.language: [n for clause in listener.ear.heard for n in tones.numbers_in(clause.text.lower())]
            for listener in listeners
        }
        told = all(listener.told for listener in listeners)
    evidence = await read(here(stack), speaker.session_id)
    return Held(speaker.session_id, words, told, refused, evidence)
