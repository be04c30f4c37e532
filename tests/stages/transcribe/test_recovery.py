"""Whatever breaks, every word is said once, in order, in exactly one clause: kills, zombies, broken streams, jitter.

More schedules: HERALD_SCHEDULES=5000 pytest tests/stages/transcribe/test_recovery.py
"""

import os
import random
from functools import partial
from itertools import pairwise

import pytest

from stages.transcribe.horizon import Horizon
from stages.transcribe.logic import builder
from stages.transcribe.settings import TranscribeSettings
from streams.records import AudioChunk, SessionEvent, Transcript, Word
from tests.stages.transcribe.simulated import Habits, SimulatedRecogniser, Talk
from tests.support.stage_driver import START_MS, World

SCHEDULES = int(os.environ.get("HERALD_SCHEDULES", "240"))
CHUNK_MS = 100
VOCABULARY = ["yes", "no", "and", "then", "we", "go", "there"]


def talk_of(choice: random.Random) -> Talk:
    """20 to 50 words, with and without pauses between them."""
    at_ms, words = 300, []
    for _ in range(choice.randint(20, 50)):
        length_ms = choice.randint(120, 450)
        words.append(Word(choice.choice(VOCABULARY), at_ms, at_ms + length_ms))
        pause_ms = choice.choice([0, 0, 0, 20, 60]) if choice.random() < 0.85 else choice.randint(300, 2_500)
        at_ms += length_ms + pause_ms
    return Talk(words, at_ms // CHUNK_MS * CHUNK_MS + 2_000)


def sent_ms(talk: Talk, choice: random.Random) -> list[int]:
    """When chunks begin: always, or (a microphone that sends no silence) not in the middle of long pauses."""
    starts = list(range(0, talk.duration_ms, CHUNK_MS))
    if choice.random() < 0.5:
        return starts
    edges = [(a.end_ms, b.start_ms) for a, b in pairwise(talk.words) if b.start_ms - a.end_ms >= 1_500]
    return [at for at in starts if not any(end + 300 <= at and at + CHUNK_MS <= begin - 200 for end, begin in edges)]


def publish(world: World, talk: Talk, choice: random.Random) -> None:
    """Let the talk be spoken from now on, chunk by chunk, a little out of order, then ended."""
    for sequence, start_ms in enumerate(sent_ms(talk, choice)):
        chunk = AudioChunk(
            session_id=world.session_id,
            connection="c",
            admitted_at_ms=START_MS + start_ms + CHUNK_MS,
            captured_at_ms=START_MS + start_ms,
            sequence=sequence,
            pcm=talk.pcm(start_ms, start_ms + CHUNK_MS),
        )
        at_ms = START_MS + start_ms + CHUNK_MS + choice.choice([5, 5, 5, 120])
        world.at(at_ms, partial(world.publish, chunk))
        if choice.random() < 0.02:
            world.at(at_ms + 30, partial(world.publish, chunk))
    end = SessionEvent(session_id=world.session_id, event="ended", timestamp=START_MS + talk.duration_ms)
    world.at(START_MS + talk.duration_ms + 300, lambda: world.publish(end))


def read(world: World) -> list[Word]:
    """What a reader accepts, by the rule."""
    horizon = Horizon()
    accepted: list[Word] = []
    for record in world.emitted():
        if isinstance(record, Transcript) and record.status == "clause":
            words = [w for w in record.words if w.middle_ms >= horizon.end_ms and not horizon.knows(w)]
            horizon.commit(words)
            accepted += words
    return accepted


def run(seed: int, *, kills: bool, zombies: bool, breaks: float, rolls: bool = False) -> tuple[World, Talk]:
    choice = random.Random(seed)
    talk = talk_of(choice)
    habits = Habits(jitter_ms=30, unsettled=0.4, breaks=breaks, refuses_opening=0.2 if breaks else 0.0)
    habits.answer_ms = (20, 100, 300)
    recogniser = SimulatedRecogniser(talk, habits, seed)
    put_ms = partial(choice.choice, [5, 20, 50, 400])
    settings = TranscribeSettings(recogniser_rollover_s=10) if rolls else TranscribeSettings()
    world = World(builder(settings), service=recogniser, put_ms=put_ms)
    publish(world, talk, choice)
    until_ms = START_MS + talk.duration_ms
    faults = choice.randint(1, 6) if kills or zombies else 0
    for at_ms in sorted(choice.randint(START_MS, until_ms) for _ in range(faults)):
        world.run_until(at_ms)
        if zombies and choice.random() < 0.5:
            zombie = world.owner
            zombie.asleep_until_ms = at_ms + choice.choice([0, 500, 3_000])
            world.at(at_ms + 6_000, zombie.kill)
        else:
            world.owner.kill(writes_land=choice.random() < 0.6)
            world.run_for(choice.choice([0, 300, 2_000]))
        world.take_over()
    world.run_until(until_ms + 90_000)
    return world, talk


def check(world: World, talk: Talk) -> None:
    accepted = read(world)
    assert [w.text for w in accepted] == [w.text for w in talk.words]
    for heard, said in zip(accepted, talk.words, strict=True):
        assert abs(heard.start_ms - said.start_ms) <= 60
        assert abs(heard.end_ms - said.end_ms) <= 60
    assert any(isinstance(record, SessionEvent) for record in world.emitted())
    own = [written.record for written in world.output if written.epoch == world.epoch]
    assert not own or isinstance(own[-1], SessionEvent), "nothing follows the end"
    assert not world.rejected
    assert world.owner.driver.settled()


@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize(
    ("kills", "zombies", "breaks"), [(False, False, 0.01), (True, False, 0.0), (True, True, 0.003)]
)
def test_every_word_is_said_once(part: int, kills: bool, zombies: bool, breaks: float) -> None:
    for seed in range(part, SCHEDULES // 3, 8):
        world, talk = run(seed, kills=kills, zombies=zombies, breaks=breaks)
        check(world, talk)


@pytest.mark.parametrize("part", range(4))
def test_every_word_is_said_once_while_streams_are_replaced_every_ten_seconds(part: int) -> None:
    for seed in range(part, SCHEDULES // 4, 4):
        world, talk = run(seed, kills=seed % 3 == 0, zombies=False, breaks=0.003 * (seed % 2), rolls=True)
        check(world, talk)
