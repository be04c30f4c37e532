"""For the time of a rolling deploy two releases run side by side, forwards and back: no word is lost or said twice."""

from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path

import msgspec
import pytest

from stages.broadcast import logic as broadcast
from stages.broadcast.logic import BroadcastState
from stages.broadcast.messages import messages
from stages.broadcast.settings import BroadcastSettings
from stages.emotion import logic as emotion
from stages.emotion import state as emotion_state
from stages.emotion.settings import EmotionSettings
from stages.transcribe import logic as transcribe
from stages.transcribe import state as transcribe_state
from stages.transcribe.settings import TranscribeSettings
from stages.translate import logic as translate
from stages.translate import state as translate_state
from stages.translate.settings import TranslateSettings
from streams import state as snapshots
from streams.records import AudioChunk, EmotionFrame, Receipt, Record, SpeechPart, Transcript, decode, encode
from tests.stages.broadcast.speech import SESSION, speech
from tests.stages.broadcast.test_logic import Deliveries
from tests.stages.emotion.test_logic import TALK as RECORDING
from tests.stages.emotion.test_logic import chunks
from tests.stages.transcribe.simulated import Habits, SimulatedRecogniser, Talk, chunk_of, sentence
from tests.stages.translate.services import Services
from tests.stages.translate.transcripts import transcript
from tests.support.stage_driver import World
from tests.support.versions import SINCE_0_1_0, Release, coming, in_turn, ours, previous

GOLDEN = Path(__file__).parent / "golden"
DEPLOYS = [(previous, ours), (ours, previous), (ours, coming), (coming, ours), (previous, ours, coming)]


def broadcast_state(data: bytes) -> BroadcastState:
    return snapshots.decode(data, BroadcastState, broadcast.VERSION)


DECODERS: dict[str, Callable[[bytes], msgspec.Struct]] = {
    "transcribe": transcribe_state.decode,
    "emotion": emotion_state.decode,
    "translate": translate_state.decode,
    "broadcast": broadcast_state,
}


@pytest.mark.parametrize("stage", DECODERS)
def test_a_snapshot_of_release_0_1_0_is_read_and_what_it_knows_is_written_alike(stage: str) -> None:
    golden = bytes.fromhex((GOLDEN / f"{stage}.1.hex").read_text().replace("\n", ""))
    state = DECODERS[stage](golden)
    assert msgspec.msgpack.decode(golden) == msgspec.msgpack.decode(msgspec.msgpack.encode(previous(state)))


def test_what_is_new_is_optional() -> None:
    for kind, names in SINCE_0_1_0.items():
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        assert all(not fields[name].required for name in names)


def written(record: Record, release: Release) -> Record:
    """A record as it comes through the stream from another release."""
    return decode(msgspec.msgpack.encode(release(record)))


def run(world: World, records: list[Record], every_ms: int, deploy: tuple[Release, ...], restarts: int = 6) -> None:
    """Publish records, as the releases write them in turn, with so many restarts among them."""
    started_ms, span_ms = world.now_ms, every_ms * len(records)
    for i, (record, release) in enumerate(zip(records, cycle(deploy), strict=False)):
        world.at(started_ms + i * every_ms, partial(world.publish, written(record, release)))
    for restart in range(1, restarts + 1):
        world.run_until(started_ms + span_ms * restart // (restarts + 1))
        world.owner.kill()
        world.run_for(100)
        world.take_over()
    world.run_for(span_ms // (restarts + 1) + 30_000)


def assert_others_can_read(world: World) -> None:
    for record in world.emitted():
        for release in (previous, coming):
            assert type(written(record, release)) is type(record)
        assert decode(encode(record)) == record


@pytest.mark.parametrize("deploy", DEPLOYS)
def test_transcribe(deploy: tuple[Release, ...]) -> None:
    talk = Talk(sentence(" ".join(f"w{i}" for i in range(20))) + sentence("and then we go", 7_000), 10_000)
    build = transcribe.builder(TranscribeSettings())
    world = World(in_turn(build, transcribe_state.decode, *deploy), service=SimulatedRecogniser(talk, Habits()))
    chunks_said: list[Record] = [chunk_of(talk, world.session_id, at_ms) for at_ms in range(0, talk.duration_ms, 100)]
    run(world, chunks_said, 100, deploy)
    said = [r for r in world.emitted() if isinstance(r, Transcript) and r.status == "clause"]
    assert [word.text for clause in said for word in clause.words] == [word.text for word in talk.words]
    assert world.rejected == {}
    assert_others_can_read(world)


@pytest.mark.parametrize("deploy", DEPLOYS)
def test_emotion(deploy: tuple[Release, ...]) -> None:
    def frames(*releases: Release, restarts: int) -> list[EmotionFrame]:
        build = emotion.builder(EmotionSettings())
        world = World(in_turn(build, emotion_state.decode, *releases), SESSION)
        audio: list[Record] = list(chunks(RECORDING))
        assert all(isinstance(one, AudioChunk) for one in audio)
        run(world, audio, 100, releases, restarts)
        assert_others_can_read(world)
        return [record for record in world.emitted() if isinstance(record, EmotionFrame)]

    undisturbed = frames(ours, restarts=0)
    disturbed = frames(*deploy, restarts=4)
    assert [(f.start_ms, f.end_ms) for f in disturbed] == [(f.start_ms, f.end_ms) for f in undisturbed]


@pytest.mark.parametrize("deploy", DEPLOYS)
def test_translate(deploy: tuple[Release, ...]) -> None:
    world = World(
        in_turn(translate.builder(TranslateSettings()), translate_state.decode, *deploy), SESSION, Services("es")
    )
    clauses: list[Record] = [transcript("clause", f"clause number {i}", i * 900, clause=i) for i in range(30)]
    run(world, clauses, 150, deploy)
    told = [record for record in world.emitted() if isinstance(record, SpeechPart)]
    assert [(part.clause, part.sequence) for part in told] == [(i, i) for i in range(30)]
    assert world.rejected == {}
    assert_others_can_read(world)


@pytest.mark.parametrize("deploy", DEPLOYS)
def test_broadcast(deploy: tuple[Release, ...]) -> None:
    deliveries = Deliveries(1, 10)
    build = broadcast.builder(BroadcastSettings())
    world = World(in_turn(build, broadcast_state, *deploy), SESSION, deliveries)
    run(world, [speech(clause, ms=10) for clause in range(30)], 150, deploy)
    assert [r.clause for r in world.emitted() if isinstance(r, Receipt)] == list(range(30))
    heard = dict.fromkeys(r.clause for r in deliveries.posted if isinstance(r, SpeechPart))
    assert list(heard) == list(range(30))
    assert_others_can_read(world)


def test_a_release_that_knows_no_lateness_speaks_what_is_new_to_it_and_says_nothing_of_what_was_left_out() -> None:
    """The record of a clause that was left out has no sound: to a reader that ignores why, it is an empty clause."""
    skipped = msgspec.structs.replace(speech(0), pcm=b"", total_bytes=0, skipped_by="translate")
    unknowing = written(skipped, previous)
    assert isinstance(unknowing, SpeechPart)
    assert unknowing.skipped_by == ""
    assert messages(unknowing, 0) == []
