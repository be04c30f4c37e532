"""The state machine, as lists of inputs and effects, and under the real driver."""

import random
from collections.abc import Iterable
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from stages.emotion.alerts import EVERY_MS
from stages.emotion.engine import Floats, Hops
from stages.emotion.logic import CONTEXT_MS, IDLE_MS, Emotion, builder
from stages.emotion.requests import Warn, Warned
from stages.emotion.settings import EmotionSettings
from streams.dynamics import dynamics
from streams.errors import Failure
from streams.records import NEUTRAL, AudioChunk, Caption, EmotionFrame, QualityReport, Record, SessionEvent
from streams.stage import Call, Count, Done, Effect, Emit, Input, Position, Reject, Reply, Stage
from tests.stages.emotion.speech import AUSTEN, SENTENCES, Pcm, as_pcm, joined, noise, recording, spans_of
from tests.support.stage_driver import START_MS, World

SESSION = "golden-eagle-427"
TALK = joined(AUSTEN)[: 16_000 * 6]
BUILD = builder(EmotionSettings())


def chunk(pcm: Pcm | bytes, sequence: int, at_ms: int = 0) -> AudioChunk:
    return AudioChunk(
        session_id=SESSION,
        connection="c",
        admitted_at_ms=START_MS + at_ms + 20,
        captured_at_ms=START_MS + at_ms,
        pcm=pcm if isinstance(pcm, bytes) else pcm.tobytes(),
        sequence=sequence,
    )


def chunks(pcm: Pcm, step: int = 1_600, first: int = 0) -> list[AudioChunk]:
    return [
        chunk(pcm[at : at + step], first + i, (first * step + at) // 16)
        for i, at in enumerate(range(0, len(pcm), step))
    ]


def event(kind: str, at_ms: int = 0) -> SessionEvent:
    record: SessionEvent = msgspec.convert(
        {"kind": "event", "sessionId": SESSION, "event": kind, "timestamp": START_MS + at_ms}, SessionEvent
    )
    return record


class Run:
    """A stage, what it was given, and what it said."""

    def __init__(self, stage: Stage | None = None) -> None:
        self.stage = stage or BUILD(SESSION, None)
        self.now_ms = START_MS
        self.given = 0
        self.effects: list[Effect] = []

    def give(self, *records: Record, every_ms: int = 100) -> "Run":
        for record in records:
            self.now_ms += every_ms
            received = Input(Position("shard", self.given), record, self.now_ms - 20, self.now_ms)
            self.given += 1
            self.effects += self.stage.on_record(received, self.now_ms)
        return self

    def wait(self, for_ms: int) -> "Run":
        until_ms = self.now_ms + for_ms
        while (wake_ms := self.stage.wake_at_ms()) is not None and wake_ms <= until_ms:
            self.now_ms = max(self.now_ms, wake_ms)
            self.effects += self.stage.on_timer(self.now_ms)
        self.now_ms = until_ms
        return self

    @property
    def frames(self) -> list[EmotionFrame]:
        return frames(effect.record for effect in self.effects if isinstance(effect, Emit))

    @property
    def reports(self) -> list[tuple[str, bool]]:
        emitted = [effect.record for effect in self.effects if isinstance(effect, Emit)]
        return [(record.code, record.active) for record in emitted if isinstance(record, QualityReport)]

    @property
    def warnings(self) -> list[Warn]:
        calls = [effect.request for effect in self.effects if isinstance(effect, Call)]
        return [request for request in calls if isinstance(request, Warn)]

    @property
    def done(self) -> list[int]:
        return [effect.position.sequence for effect in self.effects if isinstance(effect, Done)]

    def counted(self, metric: str) -> float:
        return sum(effect.value for effect in self.effects if isinstance(effect, Count) and effect.metric == metric)


def frames(records: Iterable[Record]) -> list[EmotionFrame]:
    return [record for record in records if isinstance(record, EmotionFrame)]


def are_contiguous(found: list[EmotionFrame]) -> bool:
    return all(before.end_ms == after.start_ms for before, after in pairwise(found))


# --- frames -----------------------------------------------------------------------------------------------------------


def test_a_talk_gives_a_frame_for_every_half_second() -> None:
    run = Run().give(event("created"), *chunks(TALK), event("ended"))
    assert [(frame.start_ms, frame.end_ms) for frame in run.frames] == [(at, at + 500) for at in range(0, 6_000, 500)]
    for frame, span in zip(run.frames, spans_of(TALK), strict=True):
        assert (frame.volume, frame.rate, frame.energy) == (span.volume, span.rate, span.energy)
        assert (frame.level_db, frame.voiced_ms, frame.onsets_ms) == (span.level_db, span.voiced_ms, span.onsets_ms)
    assert sorted(run.done) == list(range(run.given))


def test_a_frame_says_when_its_sound_passed_each_hop() -> None:
    frame = Run().give(*chunks(TALK[:9_600])).frames[0]
    assert frame.times_ms == {"captured": START_MS + 500, "admitted": START_MS + 520, "audioWritten": START_MS + 580}


def test_a_chunk_is_done_when_the_frames_have_gone_past_it() -> None:
    run = Run()
    for i, one in enumerate(chunks(TALK)):
        run.give(one)
        covered_ms = run.frames[-1].end_ms if run.frames else 0
        assert run.done == list(range(max(0, covered_ms - CONTEXT_MS) // 100))
        assert covered_ms >= i * 100 - 500


def test_an_emit_comes_before_the_done_that_rests_on_it() -> None:
    run = Run().give(*chunks(TALK), event("ended"))
    covered_ms = 0
    for effect in run.effects:
        match effect:
            case Emit(EmotionFrame() as frame):
                covered_ms = frame.end_ms
            case Done(position) if position.sequence < 60:
                assert (position.sequence + 1) * 100 <= covered_ms


@pytest.mark.parametrize("kind", ["paused", "muted", "ended"])
def test_the_frame_under_way_is_closed_when_the_speaker_stops(kind: str) -> None:
    run = Run().give(*chunks(TALK[:12_800]), event(kind))
    assert [(frame.start_ms, frame.end_ms) for frame in run.frames] == [(0, 500), (500, 800)]
    assert sorted(run.done) == list(range(9))
    assert run.stage.wake_at_ms() is None


def test_the_frame_under_way_is_closed_when_nothing_comes_any_more() -> None:
    run = Run().give(*chunks(TALK[:12_800])).wait(IDLE_MS)
    assert [frame.end_ms for frame in run.frames] == [500, 800]
    assert sorted(run.done) == list(range(8))
    run.give(*chunks(TALK[12_800:24_000], first=8))
    assert [frame.end_ms for frame in run.frames] == [500, 800, 1_000]
    assert are_contiguous(run.frames)


def test_events_that_change_nothing_are_done_at_once() -> None:
    run = Run().give(event("created"), event("volume"), event("resumed"), event("unmuted"))
    assert (run.done, run.frames) == ([0, 1, 2, 3], [])


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_was_said_while_muted_is_not_measured_and_the_clock_stays_right(is_killed: bool) -> None:
    """Row A7: the door may be some ms late; the clock goes on by what was sent meanwhile, heard or not."""
    ordered = chunks(TALK)
    muted, unmuted = (msgspec.structs.replace(event("state"), is_muted=how, version=2 - how) for how in (True, False))
    run = Run().give(*ordered[:15], muted)
    if is_killed:
        run.stage = BUILD(SESSION, run.stage.snapshot())
    run.give(*ordered[15:20], unmuted, muted, *ordered[30:], event("ended"))
    assert run.counted("AudioChunksMuted") == 5
    assert sorted(run.done) == list(range(run.given))
    measured = [(frame.start_ms, frame.end_ms) for frame in run.frames]
    assert measured == [(0, 500), (500, 1_000), (1_000, 1_500), *((at, at + 500) for at in range(3_000, 6_000, 500))]


def test_audio_after_the_end_is_done_and_says_nothing() -> None:
    run = Run().give(*chunks(TALK[:8_000]), event("ended"))
    said = len(run.frames)
    run.give(*chunks(TALK[8_000:24_000], first=5))
    assert len(run.frames) == said
    assert sorted(run.done) == list(range(run.given))


# --- what comes in badly ----------------------------------------------------------------------------------------------


def test_chunks_out_of_order_and_twice_give_the_same_frames() -> None:
    ordered = chunks(TALK)
    mixed = [ordered[i ^ 1] for i in range(len(ordered))] + ordered[:3]
    run = Run().give(*mixed, event("ended"))
    assert [msgspec.structs.replace(frame, times_ms={}) for frame in run.frames] == [
        msgspec.structs.replace(frame, times_ms={}) for frame in Run().give(*ordered, event("ended")).frames
    ]
    assert sorted(run.done) == list(range(run.given))


def test_a_lost_chunk_is_a_gap_in_the_frames() -> None:
    ordered = chunks(TALK)
    run = Run().give(*ordered[:12], *ordered[13:], event("ended"))
    edges = [(frame.start_ms, frame.end_ms) for frame in run.frames]
    assert edges[:5] == [(0, 500), (500, 1_000), (1_000, 1_200), (1_300, 1_500), (1_500, 2_000)]
    assert not [onset_ms for frame in run.frames for onset_ms in frame.onsets_ms if 1_200 <= onset_ms < 1_330]
    assert sorted(run.done) == list(range(run.given))


def test_a_chunk_that_comes_too_late_is_counted_and_done() -> None:
    ordered = chunks(TALK)
    run = Run().give(*ordered[:12], *ordered[13:], ordered[12])
    assert run.counted("AudioChunksDropped") == 1
    assert run.given - 1 in run.done


@pytest.mark.parametrize(
    "record",
    [
        chunk(b"odd", 0),
        Caption(
            session_id=SESSION,
            utterance_id="u",
            language="es",
            revision=0,
            text="",
            committed=0,
            final=False,
            start_ms=0,
            end_ms=0,
        ),
    ],
)
def test_what_cannot_be_processed_is_rejected(record: Record) -> None:
    run = Run().give(record, *chunks(TALK[:16_000]))
    rejected = [effect for effect in run.effects if isinstance(effect, Reject)]
    assert [effect.position.sequence for effect in rejected] == [0]
    assert not rejected[0].failure.retryable
    assert len(run.frames) == 1


def test_an_empty_chunk_is_done() -> None:
    assert Run().give(chunk(b"", 0)).done == [0]


def test_what_became_of_a_warning_is_counted_and_no_more() -> None:
    """Row W15."""
    stage = BUILD(SESSION, None)
    failure = Failure("Unavailable", "away", retryable=True)
    for reply, counted in (
        (Reply("c1", Warned(reached=True)), "QualityWarningsSent"),
        (Reply("c1", Warned(reached=False)), "QualityWarningsFailed"),
        (Reply("c1", failure=failure), "QualityWarningsFailed"),
    ):
        assert list(stage.on_reply(reply, START_MS)) == [Count(counted)]


# --- failures, quality, off -------------------------------------------------------------------------------------------


class _Failing:
    def push(self, samples: Floats, floor: float) -> Hops:
        raise MemoryError

    def finish(self) -> Hops:
        raise MemoryError


def test_an_engine_that_fails_gives_neutral_frames_is_counted_and_stops_nothing() -> None:
    run = Run(Emotion(SESSION, _Failing, EmotionSettings(), None)).give(*chunks(TALK), event("ended"))
    assert run.counted("EmotionExtractionErrors") == 12
    assert are_contiguous(run.frames)
    assert run.frames[-1].end_ms == 6_000
    assert dynamics(run.frames, 0, 6_000) == NEUTRAL
    assert {(frame.volume, frame.rate, frame.energy) for frame in run.frames} == {(0.5, 1.0, 0.5)}
    assert sorted(run.done) == list(range(run.given))


def test_bad_audio_is_reported_when_it_begins_and_when_it_is_over() -> None:
    hush = np.zeros(16_000 * 6, np.int16)
    run = Run().give(*chunks(np.concatenate([recording("go-forward.wav"), hush, recording("go-forward.wav")])))
    assert run.reports == [("AUDIO_SILENCE", True), ("AUDIO_SILENCE", False)]
    assert [(warn.code, warn.active) for warn in run.warnings] == run.reports


def test_a_speaker_is_warned_once_a_minute_by_the_gateway_s_time() -> None:
    """Row W15: silence, sound, silence within a minute is one warning; the second comes when the minute is over."""
    hush, voice = np.zeros(16_000 * 6, np.int16), recording("go-forward.wav")
    run = Run().give(*chunks(np.concatenate([hush, voice, hush, voice])))
    assert [active for _, active in run.reports] == [True, False, True, False]
    assert [warn.active for warn in run.warnings] == [True, False]
    run = Run().give(*chunks(np.concatenate([hush, voice, *[hush] * 11])))
    first, over, again = run.warnings
    assert [first.active, over.active, again.active] == [True, False, True]
    assert again.at_ms - first.at_ms == EVERY_MS


def test_one_that_takes_over_does_not_warn_again_and_tells_when_it_is_over() -> None:
    """Row W15, with the snapshot from before the report, which is read back, and from after it."""
    quiet = chunks(np.concatenate([np.zeros(16_000 * 6, np.int16), recording("go-forward.wav")]))
    whole = Run().give(*quiet)
    [report] = [e.record for e in whole.effects if isinstance(e, Emit) and isinstance(e.record, QualityReport)][:1]
    for cut in (40, 58):
        before = Run().give(*quiet[:cut])
        stage = BUILD(SESSION, before.stage.snapshot())
        if not before.reports:
            stage.on_emitted(report)
        after = Run(stage)
        after.now_ms, after.given = before.now_ms, before.given
        after.give(*quiet[cut:])
        assert [(warn.code, warn.active) for warn in after.warnings] == [("AUDIO_SILENCE", False)]


def test_the_bound_of_the_ratio_is_a_setting() -> None:
    pcm = as_pcm(joined(SENTENCES) + noise(len(joined(SENTENCES)), -46.9))
    assert Run().give(*chunks(pcm)).reports == [("AUDIO_LOW_SNR", True)]
    tolerant = builder(EmotionSettings(audio_min_snr_db=10.0))(SESSION, None)
    assert Run(tolerant).give(*chunks(pcm)).reports == []


def test_turned_off_it_takes_everything_and_says_nothing() -> None:
    off = builder(EmotionSettings(enable_emotion_detection="false"))
    run = Run(off(SESSION, None)).give(event("created"), *chunks(TALK), event("ended")).wait(10_000)
    assert run.effects == [Done(Position("shard", i)) for i in range(run.given)]
    assert run.stage.held_bytes() == 0
    assert list(run.stage.on_reply(Reply("c1"), START_MS)) == []
    assert Run(BUILD(SESSION, run.stage.snapshot())).give(*chunks(TALK[:16_000])).frames


def test_the_reference_engine_can_be_chosen() -> None:
    reference = builder(EmotionSettings(emotion_engine="librosa"))(SESSION, None)
    said = Run(reference).give(*chunks(TALK[:32_000])).frames
    assert [frame.onsets_ms for frame in said] == [span.onsets_ms for span in spans_of(TALK)[: len(said)]]


def test_while_more_waits_to_be_read_nothing_is_missing_and_no_frame_is_cut_short() -> None:
    stage = BUILD(SESSION, None)
    assert isinstance(stage, Emotion)
    run = Run(stage).give(*chunks(TALK[:4_000]))
    before = len(run.frames)
    for _ in range(50):
        stage.on_held_up(run.now_ms)
        run.wait(200)
    assert len(run.frames) == before
    run.wait(10_000)
    assert len(run.frames) > before


# --- restarts ---------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_small_and_holds_no_audio() -> None:
    run = Run().give(*chunks(TALK))
    assert len(run.stage.snapshot()) < 4_000


@pytest.mark.parametrize("seed", range(12))
def test_killed_anywhere_the_frames_are_those_of_an_undisturbed_run(seed: int) -> None:
    """Under the real driver: owners die at random, their last writes land or not; others go on from what is stored."""
    dice = random.Random(seed)
    world = World(BUILD, SESSION, put_ms=lambda: dice.randint(2, 60))
    kills = sorted(dice.sample(range(5, 58), 3))
    for i, one in enumerate(chunks(TALK)):
        world.publish(one)
        world.run_for(100)
        if i in kills:
            world.owner.kill(writes_land=dice.random() < 0.5)
            world.run_for(dice.randint(0, 3_000))
            world.take_over()
    world.publish(event("ended", 6_000))
    world.run_for(5_000)
    found = frames(world.emitted())
    assert are_contiguous(found)
    assert (found[0].start_ms, found[-1].end_ms) == (0, 6_000)
    whole = Run().give(*chunks(TALK), event("ended")).frames
    assert [onset_ms for frame in found for onset_ms in frame.onsets_ms] == [
        onset_ms for frame in whole for onset_ms in frame.onsets_ms
    ]
    said, expected = dynamics(found, 0, 6_000), dynamics(whole, 0, 6_000)
    assert said.level_db == pytest.approx(expected.level_db, abs=0.05)
    assert said.energy == pytest.approx(expected.energy, abs=0.01)
    assert not world.rejected
    assert all(world.is_done(received.position) for received in world.log)
