"""Sending back: once, in order, under the same key; what a crash between leaves; what cannot be sent."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ops.dlq import redrive as module
from ops.dlq.redrive import AUDIO, SPEECH, TRANSCRIPT, UNREAD, Outcome, outlook, redrive
from ops.dlq.store import Store
from ops.environment import Environment
from stages.broadcast.logic import builder as broadcast
from stages.broadcast.settings import BroadcastSettings
from stages.transcribe.logic import builder as transcribe
from stages.transcribe.settings import TranscribeSettings
from stages.translate.logic import builder as translate
from stages.translate.settings import TranslateSettings
from streams.dead_letters import DeadLetter, DeadLetters
from streams.errors import Failure
from streams.kinesis import StoredRecord, get_iterator, get_page, list_shards
from streams.records import Record, encode
from streams.resources import StageName
from streams.stage import Call, Count, Done, Effect, Input, Position, Reject, Stage
from tests.ops.audit import talk
from tests.support.services import CREDENTIALS, free_port

SHARD = "shardId-000000000000"
FAILURE = Failure("NewerVersion", "record transcript has version 2", False)
INPUT = {"transcribe": "audio", "emotion": "audio", "translate": "transcripts"}


async def bury(dynamo: Any, herald: Environment, sequence: int, key: str, data: bytes, stage: StageName) -> DeadLetter:
    letters = DeadLetters(dynamo, herald.physical("DeadLetters"), stage, INPUT[stage])
    its_id = await letters.bury(StoredRecord(Position(SHARD, sequence), key, data, 0), FAILURE)
    letter = await letters.read(its_id)
    assert letter is not None
    return letter


async def records(kinesis: Any, stream: str) -> list[StoredRecord]:
    found: list[StoredRecord] = []
    for shard in await list_shards(kinesis, stream):
        iterator = await get_iterator(kinesis, stream, shard.shard_id, ShardIteratorType="TRIM_HORIZON")
        found += (await get_page(kinesis, shard.shard_id, iterator)).records
    return found


class Bench:
    def __init__(self, herald: Environment, kinesis: Any, dynamo: Any) -> None:
        self.herald, self.kinesis, self.dynamo = herald, kinesis, dynamo
        self.store = Store(dynamo, herald.prefix)

    async def send(self, *letters: DeadLetter, again: bool = False, kinesis: Any = None) -> list[Outcome]:
        found: list[Outcome] = []
        note: Callable[[Outcome, str], None] = lambda outcome, _: found.append(outcome)  # noqa: E731
        await redrive(self.herald, kinesis or self.kinesis, self.store, letters, again=again, on_outcome=note)
        return found

    async def letters(self) -> list[DeadLetter]:
        return [letter async for letter in self.store.letters()]

    async def bury(self, sequence: int, key: str, data: bytes, stage: StageName = "translate") -> DeadLetter:
        return await bury(self.dynamo, self.herald, sequence, key, data, stage)


@pytest.fixture
async def bench(herald: Environment) -> Any:
    async with herald.client("kinesis") as kinesis, herald.client("dynamodb") as dynamo:
        yield Bench(herald, kinesis, dynamo)


async def test_bytes_go_back_as_they_were_in_the_order_of_each_key(bench: Bench) -> None:
    letters = [await bench.bury(n, "ab"[n % 2], bytes([n]) * (n + 1)) for n in range(6)]
    sent = await bench.send(*reversed(letters))
    assert len(sent) == 6
    found = await records(bench.kinesis, bench.herald.physical("transcripts"))
    for key, numbers in (("a", (0, 2, 4)), ("b", (1, 3, 5))):
        assert [stored.data for stored in found if stored.key == key] == [bytes([n]) * (n + 1) for n in numbers]
    places = {outcome.letters[0].sequence: outcome.place for outcome in sent}
    for letter in await bench.letters():
        place = places[letter.sequence]
        assert place is not None
        assert (letter.redriven, letter.redriven_to) == (1, f"{place.shard_id} {place.sequence}")


async def test_a_second_time_must_be_asked_for(bench: Bench) -> None:
    letter = await bench.bury(1, "a", b"x")
    await bench.send(letter)
    (refused,) = await bench.send(letter)
    assert (refused.place, refused.why) == (None, "it was sent back before; ask for it with --again")
    (again,) = await bench.send(letter, again=True)
    assert again.place is not None
    assert [one.redriven for one in await bench.letters()] == [2]


async def test_a_record_that_two_stages_refused_is_sent_once(bench: Bench) -> None:
    one = await bench.bury(1, "a", b"x", "transcribe")
    await bench.bury(1, "a", b"x", "emotion")
    (outcome,) = await bench.send(one)
    assert [letter.stage for letter in outcome.letters] == ["transcribe", "emotion"]
    assert len(await records(bench.kinesis, bench.herald.physical("audio"))) == 1
    assert [letter.redriven for letter in await bench.letters()] == [1, 1]


async def test_a_letter_that_fails_again_has_a_history(bench: Bench) -> None:
    letter = await bench.bury(1, "a", b"x")
    (outcome,) = await bench.send(letter)
    assert outcome.place is not None
    letters = DeadLetters(bench.dynamo, bench.herald.physical("DeadLetters"), "translate", "transcripts")
    await letters.bury(StoredRecord(outcome.place, "a", b"x", 0), FAILURE)
    back = (await bench.letters())[-1]
    assert (back.before, back.attempts_before, back.attempts) == ([letter.id], 1, 1)


async def test_a_crash_between_sending_and_marking_loses_nothing_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = await bench.bury(1, "a", b"x")

    async def crash(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(bench.store, "sent", crash)
        with pytest.raises(ExceptionGroup):
            await bench.send(letter)
    assert len(await records(bench.kinesis, bench.herald.physical("transcripts"))) == 1
    (left,) = await bench.letters()
    assert (left.redriven, left.redriving_at_ms is not None) == (0, True)
    (refused,) = await bench.send(letter)
    assert "never confirmed: it may be in the stream already" in refused.why
    (again,) = await bench.send(letter, again=True)
    assert again.place is not None


async def test_what_the_stream_refuses_stays_as_it_was(bench: Bench) -> None:
    letter = await bench.bury(1, "a", b"x")
    bench.herald = bench.herald._replace(prefix="nobody")
    (outcome,) = await bench.send(letter)
    assert outcome.place is None
    assert "ResourceNotFoundException" in outcome.why
    assert [one.redriving_at_ms for one in await bench.letters()] == [None]


async def test_an_answer_that_does_not_come_leaves_the_letter_in_doubt(bench: Bench) -> None:
    letter = await bench.bury(1, "a", b"x")

    variables = CREDENTIALS | {"AWS_ENDPOINT_URL_KINESIS": f"http://127.0.0.1:{free_port()}"}
    async with Environment("nobody there", "x", variables=variables).client("kinesis") as nobody:
        (outcome,) = await bench.send(letter, kinesis=nobody)
    assert outcome.place is None
    assert "is unknown" in outcome.why
    assert [one.redriving_at_ms is None for one in await bench.letters()] == [False]


async def test_a_letter_that_has_gone(bench: Bench) -> None:
    letter = await bench.bury(1, "a", b"x")
    (outcome,) = await bench.send(msgspec.structs.replace(letter, id="nothing"))
    assert outcome.why == "it is not in the store any more"


def test_what_the_stages_will_make_of_it() -> None:
    assert outlook(encode(talk.chunk(0))) == AUDIO
    assert outlook(encode(talk.clause(0))) == TRANSCRIPT
    assert outlook(encode(talk.speech(talk.clause(0), "es", 0))) == SPEECH
    assert outlook(encode(talk.event("ended"))) == ""
    assert outlook(b"rubbish") == UNREAD
    assert module.AT_ONCE > 1


# --- what is said of each stage is what it does --------------------------------------------------------------------


def given(stage: Stage, record: Record, sequence: int, at_ms: int) -> list[Effect]:
    """The effects of one input, without metrics."""
    received = Input(Position(SHARD, sequence), record, at_ms, at_ms)
    return [effect for effect in stage.on_record(received, at_ms) if not isinstance(effect, Count)]


def settled(effects: list[Effect]) -> list[tuple[str, int]]:
    return [
        (effect.failure.code if isinstance(effect, Reject) else "Done", effect.position.sequence)
        for effect in effects
        if isinstance(effect, Done | Reject)
    ]


def test_a_chunk_whose_time_has_passed_is_refused_again_and_dropped_after_a_restart() -> None:
    build = transcribe(TranscribeSettings())
    stage = build(talk.SESSION, None)
    for number in (0, *range(2, 20)):  # until the wait for what is missing is over
        given(stage, talk.chunk(number), number, talk.BEGAN_MS + 100 * number)
    assert settled(given(stage, talk.chunk(1), 99, talk.BEGAN_MS + 60_000)) == [("LateChunk", 99)]
    again = build(talk.SESSION, stage.snapshot())
    assert ("Done", 99) in settled(given(again, talk.chunk(1), 99, talk.BEGAN_MS + 60_000))


def test_a_chunk_of_a_session_that_has_stood_still_is_taken_on() -> None:
    stage = transcribe(TranscribeSettings())(talk.SESSION, None)
    given(stage, talk.chunk(0), 0, talk.BEGAN_MS)
    assert settled(given(stage, talk.chunk(1), 99, talk.BEGAN_MS + 1000)) == []  # it waits for the recogniser


def test_a_clause_is_spoken_only_if_no_later_word_was_committed() -> None:
    stage = translate(TranslateSettings())(talk.SESSION, None)
    assert any(isinstance(effect, Call) for effect in given(stage, talk.clause(1), 1, talk.BEGAN_MS))
    assert given(stage, talk.clause(0), 99, talk.BEGAN_MS) == [Done(Position(SHARD, 99))]
    assert any(isinstance(effect, Call) for effect in given(stage, talk.clause(2), 100, talk.BEGAN_MS))


def test_speech_is_delivered_only_if_it_was_never_taken_on() -> None:
    stage = broadcast(BroadcastSettings())(talk.SESSION, None)
    first = talk.speech(talk.clause(0), "es", 0)
    assert any(isinstance(effect, Call) for effect in given(stage, first, 1, talk.BEGAN_MS))
    assert given(stage, first, 99, talk.BEGAN_MS) == [Done(Position(SHARD, 99))]
