from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Literal, TypeAlias

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.transcribe.feed import SPAN_MS
from stages.transcribe.horizon import MIN_WORD_MS
from stages.transcribe.logic import CONTEXT_MS, EVENT_WAIT_MS, Transcribe, builder
from stages.transcribe.requests import Heard, Opened, OpenRecogniser, RecognisedWord, Result, SendAudio, Taken
from stages.transcribe.settings import TranscribeSettings
from streams import times
from streams.driver import MAX_HELD_BYTES
from streams.errors import Failure, NewerVersion
from streams.ordering import STALL_MS
from streams.records import AudioChunk, EmotionFrame, SessionEvent, Transcript, Word, decode, encode
from streams.stage import Done, Effect, Input, Position, Reject
from tests.stages.transcribe.simulated import Habits, Name, SimulatedRecogniser, Talk, chunk_of, sentence, speak
from tests.support.stage_driver import START_MS, NoService, Owner, World


def world_of(talk: Talk, habits: Habits | None = None, **chosen: float) -> World:
    recogniser = SimulatedRecogniser(talk, habits or Habits())
    return World(builder(msgspec.convert(chosen, TranscribeSettings)), service=recogniser)


Kind: TypeAlias = Literal["created", "muted", "unmuted", "volume", "state", "ended"]


def event(world: World, kind: Kind, at_ms: int, version: int = 0) -> None:
    """version: of a change of state, after which the speaker is muted if it says so."""
    is_muted = kind == "muted" if version else None
    record = SessionEvent(
        session_id=world.session_id, event=kind, timestamp=START_MS + at_ms, version=version, is_muted=is_muted
    )
    world.at(START_MS + at_ms, partial(world.publish, record))


def clauses(world: World) -> list[Word]:
    return [
        word
        for record in world.emitted()
        if isinstance(record, Transcript) and record.status == "clause"
        for word in record.words
    ]


def texts(words: Sequence[Word]) -> list[str]:
    return [word.text for word in words]


def order(world: World) -> list[str]:
    """What was emitted, partials left out."""
    found: list[str] = []
    for record in world.emitted():
        if isinstance(record, SessionEvent):
            found.append(record.event)
        elif isinstance(record, Transcript) and record.status != "partial":
            found.append(f"{record.status}: {record.transcript_text}")
    return found


TALK = Talk(sentence("we go there") + sentence("and then we wait", 2_500), 6_000)


def test_words_become_clauses_and_finals_and_their_chunks_are_done() -> None:
    world = world_of(TALK)
    speak(world, TALK)
    world.run_for(8_000)
    assert order(world) == [
        "clause: we go there",
        "final: we go there",
        "clause: and then we wait",
        "final: and then we wait",
    ]
    assert clauses(world) == [Word(w.text, w.start_ms, w.end_ms, 0.9) for w in TALK.words]
    covered_ms = TALK.words[-1].end_ms - CONTEXT_MS
    assert [world.is_done(received.position) for received in world.log] == [
        100 * (i + 1) <= covered_ms for i in range(60)
    ]


def test_a_clause_carries_the_hops_of_the_chunk_with_its_last_sound() -> None:
    world = world_of(TALK)
    speak(world, TALK)
    world.run_for(8_000)
    clause = next(r for r in world.emitted() if isinstance(r, Transcript) and r.status == "clause")
    assert clause.end_ms == 1_090
    assert {name: at_ms - START_MS for name, at_ms in clause.times_ms.items() if name != times.RECOGNISED} == {
        times.CAPTURED: 1_000,
        times.SPOKEN: 1_100,
        times.ADMITTED: 1_100,
        times.AUDIO_WRITTEN: 1_105,
        times.TRANSCRIBE_READ: 1_105,
    }
    assert clause.times_ms[times.RECOGNISED] == clause.timestamp >= START_MS + 1_105


def test_silence_is_done_when_no_result_can_span_it_any_more() -> None:
    talk = Talk([], 60_000)
    world = world_of(talk)
    speak(world, talk)
    world.run_for(60_000)
    done = [world.is_done(received.position) for received in world.log]
    assert 260 <= sum(done) <= 290
    world.run_for(SPAN_MS + 5_000)
    assert world.owner.driver.settled()
    assert world.emitted() == []


def test_a_quiet_speaker_s_stream_is_kept_alive_and_closed_when_idle() -> None:
    talk = Talk(sentence("we go there") + sentence("again", 90_000), 92_000)
    world = world_of(talk, recogniser_idle_s=40)
    recogniser = world.service
    assert isinstance(recogniser, SimulatedRecogniser)
    speak(world, talk, 0, 2_000)
    speak(world, talk, 89_000)
    sent_at_ms = [0]
    for at_ms in range(0, 40_000, 100):
        before = recogniser.fed_ms
        world.run_until(START_MS + at_ms)
        if recogniser.fed_ms > before:
            sent_at_ms.append(at_ms)
    assert max(b - a for a, b in pairwise(sent_at_ms)) < 15_000
    assert recogniser.fed_ms < 15_000  # not all of the silence
    world.run_until(START_MS + 50_000)
    assert recogniser.streams == {}
    assert world.owner.driver.settled()
    world.run_until(START_MS + 140_000)
    assert recogniser.opened == 2
    assert [(w.text, w.start_ms, w.end_ms) for w in clauses(world)] == [
        (w.text, w.start_ms, w.end_ms) for w in talk.words
    ]


def test_times_stay_right_over_pauses_and_late_networks() -> None:
    """A pause of 8 s in which nothing is sent, and a network that keeps a second's audio for 4 s."""
    talk = Talk(sentence("one two") + sentence("three four", 10_000) + sentence("five six", 13_000), 16_000)
    world = world_of(talk)
    speak(world, talk, 0, 2_000)
    speak(world, talk, 9_500, 12_000)
    for at_ms in range(12_000, 16_000, 100):
        chunk = chunk_of(talk, world.session_id, at_ms)
        world.at(START_MS + max(at_ms, 16_000) + 105, partial(world.publish, chunk))
    world.run_for(25_000)
    assert [(w.text, w.start_ms, w.end_ms) for w in clauses(world)] == [
        (w.text, w.start_ms, w.end_ms) for w in talk.words
    ]


def test_events_pass_in_order_with_the_words() -> None:
    world = world_of(TALK)
    event(world, "created", 0)
    speak(world, TALK)
    event(world, "volume", 1_700)
    event(world, "muted", 5_900)
    event(world, "ended", 6_300)
    world.run_for(10_000)
    assert order(world) == [
        "created",
        "clause: we go there",
        "final: we go there",
        "volume",
        "clause: and then we wait",
        "final: and then we wait",
        "muted",
        "ended",
    ]
    media = [record.media_ms for record in world.emitted() if isinstance(record, SessionEvent)]
    assert media == [0, 1_600, 5_900 - 100, 5_900 - 100]  # what came after it was not heard
    assert world.owner.driver.settled()


def test_an_event_does_not_wait_for_ever_for_words_before_it() -> None:
    talk = Talk(sentence(" ".join(["on"] * 30)), 9_000)
    world = world_of(talk, Habits(flags=False, longest_ms=30_000))
    speak(world, talk)
    event(world, "volume", 1_000)
    world.run_until(START_MS + 1_000 + EVENT_WAIT_MS - 1)
    assert order(world) == []
    world.run_until(START_MS + 1_000 + EVENT_WAIT_MS + 10)
    assert order(world) == ["volume"]


MUTED_TALK = Talk(sentence("we go there") + sentence("not for you", 2_300) + sentence("here again", 5_200), 8_000)


def _muted(world: World) -> None:
    """Muted from 2 to 5 s; the door lets slip in what is said in the first half second of that, and is shut then."""
    speak(world, MUTED_TALK, 0, 3_000)
    event(world, "muted", 2_010, 1)
    event(world, "unmuted", 4_990, 2)
    speak(world, MUTED_TALK, 5_000)


def test_nothing_that_was_said_while_muted_is_heard_and_the_clock_stays_right() -> None:
    """Row A7; and a speaker that is heard again is heard at once, though the door has refused chunks."""
    world = world_of(MUTED_TALK)
    _muted(world)
    world.run_until(START_MS + 6_800)
    heard = clauses(world)
    assert texts(heard) == ["we", "go", "there", "here", "again"]
    assert [(w.start_ms, w.end_ms) for w in heard[3:]] == [(w.start_ms, w.end_ms) for w in MUTED_TALK.words[6:]]
    assert sum(count.value for count in world.counts if count.metric == "AudioChunksMuted") == 10
    assert [w.event for w in world.emitted() if isinstance(w, SessionEvent)] == ["muted", "unmuted"]
    assert world.rejected == {}


@pytest.mark.parametrize("kill_ms", [1_900, 2_015, 2_600, 3_500, 4_995, 5_300, 6_000])
def test_nor_by_the_next_owner(kill_ms: int) -> None:
    world = world_of(MUTED_TALK)
    _muted(world)
    world.run_until(START_MS + kill_ms)
    world.owner.kill()
    world.run_for(50)
    world.take_over()
    world.run_until(START_MS + 12_000)
    heard = clauses(world)
    assert texts(heard) == ["we", "go", "there", "here", "again"]
    assert [(w.start_ms, w.end_ms) for w in heard[3:]] == [(w.start_ms, w.end_ms) for w in MUTED_TALK.words[6:]]
    assert [w.event for w in world.emitted() if isinstance(w, SessionEvent)] == ["muted", "unmuted"]


def test_a_change_that_comes_out_of_order_is_settled_and_not_passed_on() -> None:
    """Row W18: functions that run at once write in any order; the newest holds."""
    world = world_of(MUTED_TALK)
    event(world, "muted", 0, 3)
    event(world, "unmuted", 1, 2)
    event(world, "muted", 2, 3)
    event(world, "state", 3, 4)
    event(world, "volume", 4, 5)
    event(world, "volume", 4, 6)
    speak(world, MUTED_TALK, 0, 2_000)
    world.run_until(START_MS + 5_000)
    assert order(world)[:4] == ["muted", "state", "volume", "volume"]
    assert texts(clauses(world)) == ["we", "go", "there"]
    assert all(world.is_done(received.position) for received in world.log[:6])


def test_nothing_follows_the_end_not_even_a_change() -> None:
    world = world_of(TALK)
    speak(world, TALK, 0, 2_000)
    event(world, "ended", 2_000)
    event(world, "volume", 2_010, 1)
    world.run_for(10_000)
    assert order(world)[-1] == "ended"
    assert world.owner.driver.settled()


def test_an_event_that_is_written_twice_passes_once() -> None:
    world = world_of(TALK)
    event(world, "created", 0)
    event(world, "created", 0)
    world.run_for(100)
    assert order(world) == ["created"]
    assert world.owner.driver.settled()


def test_the_end_waits_for_the_last_word_though_the_stream_breaks() -> None:
    world = world_of(TALK)
    recogniser = world.service
    assert isinstance(recogniser, SimulatedRecogniser)
    speak(world, TALK, 0, 3_400)
    event(world, "ended", 3_420)
    world.run_until(START_MS + 3_425)
    recogniser.break_all()
    world.run_for(10_000)
    assert texts(clauses(world)) == ["we", "go", "there", "and", "then", "we"]
    assert order(world)[-1] == "ended"
    assert world.owner.driver.settled()


def test_a_recogniser_that_never_ends_is_given_up() -> None:
    world = world_of(TALK, Habits(deaf=True))
    speak(world, TALK, 0, 600)
    event(world, "ended", 610)
    world.run_for(200_000)
    assert order(world) == ["ended"]
    assert world.owner.driver.settled()


def test_nothing_is_lost_and_nothing_made_up_while_the_recogniser_is_away() -> None:
    """Three minutes. Row T7, row T8, and no busy loop."""
    habits = Habits(down=True)
    talk = Talk([word for at in range(300, 28_000, 2_000) for word in sentence("we go there", at)], 30_000)
    world = world_of(talk, habits)
    speak(world, talk)
    event(world, "ended", 30_100)
    world.run_for(180_000)
    assert world.emitted() == []
    assert world.owner.stage.held_bytes() <= MAX_HELD_BYTES + 3_200
    assert not world.owner.driver.wants_input()
    assert len(world.calls) < 1_000
    habits.down = False
    world.run_for(60_000)
    assert texts(clauses(world)) == texts(talk.words)
    assert order(world)[-1] == "ended"
    assert world.rejected == {}


def test_a_session_whose_audio_waits_to_be_read_takes_nothing_for_missing_and_nobody_for_quiet() -> None:
    """Chunk 1 is written after chunk 2, and read 10 s later: as when the session is parked, or a breaker is open."""
    world = world_of(TALK)
    stage, now_ms = world.owner.stage, world.now_ms
    assert isinstance(stage, Transcribe)

    def give(index: int, at_ms: int) -> list[Effect]:
        received = Input(Position("input", index), chunk_of(TALK, world.session_id, 100 * index), now_ms, at_ms)
        return list(stage.on_record(received, at_ms))

    give(0, now_ms)
    give(2, now_ms)
    for waited_ms in range(0, 10_000, 200):
        stage.on_held_up(now_ms + waited_ms)
        list(stage.on_timer(now_ms + waited_ms))
    assert not [effect for effect in give(1, now_ms + 10_000) if isinstance(effect, Reject)]
    assert stage.held_bytes() == 3 * 3_200


def test_a_session_that_the_recogniser_refuses_does_not_hold_up_the_shard() -> None:
    class Refusing(SimulatedRecogniser):
        def _open(self, owner: Owner, call_id: str, name: Name) -> None:
            del name
            owner.reply(call_id, failure=Failure("BadRequestException", "no such language", retryable=False))

    world = World(builder(TranscribeSettings()), service=Refusing(TALK, Habits()))
    speak(world, TALK)
    event(world, "ended", 6_100)
    world.run_for(60_000)
    assert order(world) == ["ended"]
    assert len(world.rejected) == 60
    assert {failure.code for failure in world.rejected.values()} == {"BadRequestException"}
    assert len(world.calls) < 20


def test_a_recogniser_that_hears_nothing_is_replaced_before_its_audio_is_given_up() -> None:
    habits = Habits(deaf=True)
    talk = Talk(sentence(" ".join(f"w{i}" for i in range(80))), 25_000)
    world = world_of(talk, habits)
    speak(world, talk)
    world.run_for(14_000)
    habits.deaf = False
    recogniser = world.service
    assert isinstance(recogniser, SimulatedRecogniser)
    for heard in recogniser.streams.values():
        heard.alive = False  # this one stays as it is
    world.run_for(30_000)
    assert recogniser.opened == 2
    assert texts(clauses(world)) == texts(talk.words)


def test_streams_are_replaced_before_they_are_too_old_without_a_moment_without_one() -> None:
    talk = Talk(sentence(" ".join(f"w{i}" for i in range(160))), 45_000)
    world = world_of(talk, recogniser_rollover_s=10)
    recogniser = world.service
    assert isinstance(recogniser, SimulatedRecogniser)
    speak(world, talk)
    world.run_until(START_MS + 500)
    while world.now_ms < START_MS + 45_000:
        world.run_for(20)
        assert recogniser.streams
    world.run_for(5_000)
    assert recogniser.opened == 5
    assert texts(clauses(world)) == texts(talk.words)


def delays_ms(world: World) -> list[int]:
    """How long after its last sound each clause was out."""
    return [
        written.at_ms - START_MS - written.record.end_ms
        for written in world.output
        if isinstance(written.record, Transcript) and written.record.status == "clause"
    ]


def test_a_planned_rollover_delays_no_clause() -> None:
    talk = Talk(sentence(" ".join(f"w{i}" for i in range(200))), 56_000)
    found = {}
    for rollover_s in (12_600, 10):
        world = world_of(talk, recogniser_rollover_s=rollover_s)
        speak(world, talk)
        world.run_for(65_000)
        assert texts(clauses(world)) == texts(talk.words)
        found[rollover_s] = max(delays_ms(world))
    assert found[10] <= found[12_600] + 300  # cut otherwise, a clause may be a word longer


def test_until_the_new_stream_has_heard_as_much_the_old_ones_results_count() -> None:
    talk = Talk(sentence(" ".join(f"w{i}" for i in range(120))), 34_000)
    world = world_of(talk, recogniser_rollover_s=10)
    recogniser = world.service
    assert isinstance(recogniser, SimulatedRecogniser)
    speak(world, talk)
    both = 0
    while world.now_ms < START_MS + 34_000:
        before = len(clauses(world))
        world.run_for(10)
        if len(recogniser.streams) == 2:
            both += 1
            old, new = recogniser.streams.values()
            assert old.newest >= new.newest  # the old one is fed on
            if len(clauses(world)) > before:
                assert clauses(world)[-1].end_ms <= old.newest
    assert both * 10 >= 500
    assert texts(clauses(world)) == texts(talk.words)


def test_a_new_stream_that_hears_nothing_does_not_take_over_at_once_and_a_broken_one_harms_nobody() -> None:
    talk = Talk(sentence(" ".join(f"w{i}" for i in range(120))), 34_000)
    world = world_of(talk, recogniser_rollover_s=10)
    recogniser = world.service
    assert isinstance(recogniser, SimulatedRecogniser)
    speak(world, talk)
    broken = 0
    while world.now_ms < START_MS + 34_000:
        world.run_for(10)
        if len(recogniser.streams) == 2 and broken < 3:
            broken += 1
            recogniser._break(list(recogniser.streams)[-1])
    assert broken == 3
    assert recogniser.opened >= 5
    world.run_for(5_000)
    assert texts(clauses(world)) == texts(talk.words)
    assert max(delays_ms(world)) < 5_000


def test_a_stream_that_breaks_while_it_is_being_replaced_is_replaced_at_once() -> None:
    talk = Talk(sentence(" ".join(f"w{i}" for i in range(60))), 18_000)
    world = world_of(talk, recogniser_rollover_s=10)
    recogniser = world.service
    assert isinstance(recogniser, SimulatedRecogniser)
    speak(world, talk)
    while len(recogniser.streams) < 2:
        world.run_for(10)
    recogniser._break(next(iter(recogniser.streams)))
    world.run_until(START_MS + 19_500)
    assert recogniser.opened == 2
    assert texts(clauses(world)) == texts(talk.words)


def test_without_stability_words_come_with_the_final_and_partials_all_the_same() -> None:
    talk = Talk(sentence(" ".join(f"w{i}" for i in range(20))), 8_000)
    world = world_of(talk, Habits(flags=False))
    speak(world, talk)
    world.run_for(10_000)
    statuses = [record.status for record in world.emitted() if isinstance(record, Transcript)]
    assert statuses == ["partial", "clause", "final"]
    assert texts(clauses(world)) == texts(talk.words)


@pytest.mark.parametrize(
    ("pcm", "code"), [pytest.param(b"odd", "OddLength", id="odd"), pytest.param(b"", "", id="empty")]
)
def test_chunks_that_are_no_audio_are_settled_at_once(pcm: bytes, code: str) -> None:
    world = world_of(TALK)
    chunk = AudioChunk(session_id=world.session_id, connection="c", admitted_at_ms=START_MS, sequence=0, pcm=pcm)
    position = world.publish(chunk)
    assert world.is_done(position)
    assert [failure.code for failure in world.rejected.values()] == ([code] if code else [])


def test_late_chunks_repeats_and_strange_records_are_settled() -> None:
    world = world_of(TALK)
    speak(world, TALK, 0, 300)
    speak(world, TALK, 500, 1_500)
    world.run_for(1_600 + STALL_MS)
    late = world.publish(chunk_of(TALK, world.session_id, 300))
    repeat = world.publish(chunk_of(TALK, world.session_id, 500))
    frame = EmotionFrame(
        session_id=world.session_id,
        start_ms=0,
        end_ms=500,
        volume=0.5,
        rate=1.0,
        energy=0.5,
        level_db=-20.0,
        voiced_ms=0,
        onsets_ms=[],
    )
    strange = world.publish(frame)
    event(world, "ended", 1_700)
    world.run_for(5_000)
    after = world.publish(chunk_of(TALK, world.session_id, 1_500))
    assert {position: failure.code for position, failure in world.rejected.items()} == {
        late: "LateChunk",
        strange: "UnexpectedRecord",
        after: "LateChunk",
    }
    assert world.is_done(repeat)
    assert world.owner.driver.settled()


def test_after_a_restore_what_was_emitted_is_not_emitted_again() -> None:
    world = world_of(TALK)
    event(world, "created", 0)
    speak(world, TALK)
    event(world, "ended", 6_100)
    world.run_for(15_000)
    before = order(world)
    for saved in (world.saved, None):
        world.owner.kill()
        world.saved = saved
        world.take_over()
        world.run_for(60_000)
        assert order(world) == before
        assert world.owner.driver.settled()


def test_a_snapshot_of_a_later_release_is_refused() -> None:
    with pytest.raises(NewerVersion):
        Transcribe("golden-eagle-427", TranscribeSettings(), msgspec.msgpack.encode({"v": 2}))


def test_what_is_counted() -> None:
    world = world_of(TALK)
    recogniser = world.service
    assert isinstance(recogniser, SimulatedRecogniser)
    speak(world, TALK)
    world.run_for(2_000)
    recogniser.break_all()
    world.run_for(6_000)
    counted = {count.metric for count in world.counts}
    assert counted == {
        "TranscribeStreamInitLatency",
        "TranscribeStreamErrors",
        "TranscriptionRetries",
        "TranscriptionForwardingLatency",
    }


def test_a_reply_to_a_call_of_the_past_is_ignored() -> None:
    world = world_of(TALK)
    world.owner.reply("open:long-ago", failure=Failure("StreamBroken", "", retryable=True))
    assert world.calls == []
    assert world.is_done(Position("input", 0))


def test_nothing_follows_the_end_not_even_the_final_of_what_another_owner_left_open() -> None:
    world = world_of(TALK)
    speak(world, TALK)
    world.run_until(START_MS + 1_600)
    clause = next(r for r in world.emitted() if isinstance(r, Transcript) and r.status == "clause")
    event(world, "ended", 6_100)
    end = SessionEvent(session_id=world.session_id, event="ended", timestamp=START_MS + 6_100)
    stage = Transcribe(world.session_id, TranscribeSettings(), None)
    stage.on_emitted(clause)
    stage.on_emitted(end)
    effects = [
        effect
        for i in range(10)
        for effect in stage.on_record(
            Input(Position("i", i), chunk_of(TALK, world.session_id, 100 * i), 0, 0), START_MS
        )
    ]
    effects += stage.on_record(Input(Position("i", 10), end, 0, 0), START_MS)
    assert effects == [Done(Position("i", i)) for i in range(11)]
    assert stage.wake_at_ms() is None


def test_partials_that_are_late_are_dropped_and_words_are_not() -> None:
    talk = Talk(sentence("and then we all went down to the river and sat there for a while"), 8_000)
    for answer_ms, seen in ((20, True), (700, False)):
        world = world_of(talk, Habits(answer_ms=(answer_ms,)), lag_partials_s=0.5, stability_threshold=0.7)
        speak(world, talk)
        world.run_for(15_000)
        assert any(record.is_partial for record in world.emitted() if isinstance(record, Transcript)) is seen
        assert any(count.metric == "PartialsSkipped" for count in world.counts) is not seen
        assert texts(clauses(world)) == texts(talk.words)


def test_words_say_when_their_last_sound_was_made_by_the_gateways_clock() -> None:
    world = world_of(TALK)
    speak(world, TALK)
    world.run_for(10_000)
    for record in world.emitted():
        if isinstance(record, Transcript) and record.status == "clause":
            assert record.times_ms[times.SPOKEN] == record.times_ms[times.CAPTURED] + 100  # all came 100 ms later
            assert 0 <= record.times_ms[times.CAPTURED] + 100 - START_MS - record.end_ms < 100


NONSENSE_MS = st.integers(-5_000, 60_000)
NONSENSE = st.builds(
    Result,
    st.sampled_from(["r0", "r1", ""]),
    NONSENSE_MS,
    NONSENSE_MS,
    st.booleans(),
    st.lists(
        st.builds(
            RecognisedWord,
            st.sampled_from(["yes", "", " ", "no", "\ud800"]),
            NONSENSE_MS,
            NONSENSE_MS,
            st.none() | st.floats(-1, 2),
            st.none() | st.booleans(),
        ),
        max_size=6,
    ),
)


@given(st.lists(NONSENSE, min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_whatever_a_recogniser_answers_words_lie_in_order_in_what_was_said(answers: list[Result]) -> None:
    talk = Talk([], 6_000)
    world = World(builder(TranscribeSettings()), service=NoService())
    speak(world, talk)
    world.run_for(200)
    (opening,) = (call for call in world.calls if isinstance(call.request, OpenRecogniser))
    world.owner.reply(opening.call_id, Opened(), last=False)
    for answer in answers:
        world.run_for(700)
        for call in world.calls:
            if isinstance(call.request, SendAudio):
                world.owner.reply(call.call_id, Taken())
        world.owner.reply(opening.call_id, Heard([answer]), last=False)
    world.run_for(100)
    edge_ms = 0
    for word in clauses(world):
        assert word.text.strip()
        assert edge_ms <= word.start_ms < word.end_ms
        edge_ms = word.end_ms
    assert edge_ms <= 6_000 + 48 * MIN_WORD_MS
    assert world.rejected == {}
    for record in world.emitted():
        assert decode(encode(record)) == record
