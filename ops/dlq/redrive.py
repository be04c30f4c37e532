"""Sending records back into the stream that they came from, under their own key.

A letter is marked twice: that it is about to be sent, and where it then stood. A crash between leaves the first mark:
whether the record is in the stream again is then unknown, and sending it once more must be asked for (`again`). What a
record would cause twice its readers drop, by id and media time, as they do with every repeat.

A record that two stages refused is two letters and one record: it is sent once, both stages read it, and both letters
are marked.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from ops.dlq.store import Store
from ops.environment import Environment
from ops.patience import patiently
from streams.aws import as_error
from streams.dead_letters import DeadLetter, letter_id
from streams.errors import BadRecord, HeraldError, NotFound, Refused, Throttled
from streams.records import AudioChunk, Caption, SpeechPart, Transcript, decode
from streams.resources import STAGES
from streams.stage import Position

AT_ONCE: Final = 8
"""Keys whose records are sent at once; those of one key go one after another, in the order of the stream."""

AUDIO: Final = (
    "audio: unless its session has stood still since, its place on the media clock has passed; transcribe will keep it"
    " again as LateChunk, or drop it as known if the session has ended or the stage was started again. What can still"
    " be done: take the sound out with `herald dlq show ID --bytes FILE`"
)
TRANSCRIPT: Final = (
    "a transcript: translate speaks it only if it never took it on and no later word of its session has been committed"
    " since; otherwise it drops it as known, for listeners hear words in their order or not at all"
)
SPEECH: Final = (
    "a caption or speech: broadcast delivers it, after what was delivered since, if it never took it on; otherwise it"
    " drops it as known"
)
UNREAD: Final = "no record that this release can read: the stages that run must be newer, or it will come back"


class Outcome(NamedTuple):
    """What became of one record. place: where it stands now. why: what kept it from being sent, in a sentence."""

    letters: list[DeadLetter]
    place: Position | None
    why: str = ""


def outlook(data: bytes) -> str:
    """What the stages will make of a record that comes so late; empty when nothing stands against it."""
    try:
        record = decode(data)
    except BadRecord:
        return UNREAD
    match record:
        case AudioChunk():
            return AUDIO
        case Transcript():
            return TRANSCRIPT
        case SpeechPart() | Caption():
            return SPEECH
    return ""


async def redrive(
    environment: Environment,
    kinesis: Any,
    store: Store,
    letters: Iterable[DeadLetter],
    *,
    again: bool,
    on_outcome: Callable[[Outcome, str], None],
) -> None:
    """Send records back. on_outcome: told of each as it is decided, and of its outlook."""
    records: dict[tuple[str, str, int], list[DeadLetter]] = defaultdict(list)
    for letter in letters:
        records[letter.stream, letter.shard_id, letter.sequence].append(letter)
    by_key: dict[tuple[str, str], list[list[DeadLetter]]] = defaultdict(list)
    for (stream, _, _), same in sorted(records.items()):
        by_key[stream, same[0].key].append(same)
    slots = asyncio.Semaphore(AT_ONCE)

    async def work(several: Sequence[list[DeadLetter]]) -> None:
        async with slots:
            for same in several:
                try:
                    outcome, text = await _send(environment, kinesis, store, same, again=again)
                except HeraldError as error:  # the table's: the others may fare better, and what is marked tells
                    outcome, text = Outcome(same, None, f"{error}; herald dlq ls says how far it came"), ""
                on_outcome(outcome, text)

    async with asyncio.TaskGroup() as group:
        for several in by_key.values():
            group.create_task(work(several))


async def _send(
    environment: Environment, kinesis: Any, store: Store, same: list[DeadLetter], *, again: bool
) -> tuple[Outcome, str]:
    whole = await store.read(same[0].id)
    if whole is None:
        return Outcome(same, None, "it is not in the store any more"), ""
    same = [whole, *await _siblings(store, whole)]
    begun: list[DeadLetter] = []
    for letter in same:
        if not await store.begin(letter, again=again):
            for other in begun:
                await store.abandon(other)
            return Outcome(same, None, _sent_before(letter)), ""
        begun.append(letter)
    try:
        place = await _put(kinesis, environment.physical(whole.stream), whole)
    except (Throttled, Refused, NotFound) as error:  # the service said no: nothing was written
        for letter in same:
            await store.abandon(letter)
        return Outcome(same, None, str(error)), ""
    except HeraldError as error:
        why = (
            f"{error}; whether it is in the stream is unknown: sending it again may do it twice, which its readers drop"
        )
        return Outcome(same, None, why), ""
    try:
        for letter in same:
            await store.sent(letter, place)
    except HeraldError as error:
        return Outcome(same, place, f"it is in the stream, but could not be marked as sent: {error}"), ""
    return Outcome(same, place), outlook(whole.data)


async def _siblings(store: Store, letter: DeadLetter) -> list[DeadLetter]:
    """Other stages' letters of the same record."""
    stages = [spec.name for spec in STAGES if spec.input == letter.stream and spec.name != letter.stage]
    found = [await store.read(letter_id(stage, letter.shard_id, letter.sequence)) for stage in stages]
    return [other for other in found if other is not None]


def _sent_before(letter: DeadLetter) -> str:
    if letter.redriving_at_ms is not None:
        return (
            "sending it back was begun and never confirmed: it may be in the stream already, and its readers drop what"
            " they have had; ask for it with --again"
        )
    return "it was sent back before; ask for it with --again"


async def _put(kinesis: Any, stream: str, letter: DeadLetter) -> Position:
    """Only a throttle is tried again: then nothing was written."""

    async def put() -> Position:
        try:
            answer = await kinesis.put_record(StreamName=stream, Data=letter.data, PartitionKey=letter.key)
        except Exception as error:
            raise as_error(error, f"writing to {stream}") from error
        return Position(answer["ShardId"], int(answer["SequenceNumber"]))

    return await patiently(put, lambda error: isinstance(error, Throttled))
