"""Frames of the media clock from real speech (rows E1, E3, E4)."""

from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.emotion.engine import Engine, Floats, Hops
from stages.emotion.incremental import IncrementalEngine
from stages.emotion.spans import LISTENING_SAMPLES, SPAN_SAMPLES, Span, Spans
from stages.translate.prosody import prosody
from streams.dynamics import dynamics
from streams.records import NEUTRAL
from tests.stages.emotion.speech import (
    AUSTEN,
    INCREMENTAL,
    NAMES,
    Pcm,
    as_pcm,
    frames_of,
    joined,
    noise,
    onsets_of,
    quieter,
    recording,
    spans_of,
)
from tests.support.stretch import stretch

MINUTE_MS = 60_000
TALK = joined(AUSTEN)[: 16_000 * 6]
TALK_SPANS = spans_of(TALK)


class Flaky:
    """Fails at the given blocks, counted over all engines that it makes."""

    def __init__(self, fails_at: set[int]) -> None:
        self._fails_at = fails_at
        self._blocks = 0

    def __call__(self) -> Engine:
        return _FlakyEngine(self)

    def check(self) -> None:
        self._blocks += 1
        if self._blocks - 1 in self._fails_at:
            raise FloatingPointError("not a number")


class _FlakyEngine:
    def __init__(self, flaky: Flaky) -> None:
        self._flaky = flaky
        self._engine = IncrementalEngine()

    def push(self, samples: Floats, floor: float) -> Hops:
        self._flaky.check()
        return self._engine.push(samples, floor)

    def finish(self) -> Hops:
        return self._engine.finish()


class _Broken:
    def push(self, samples: Floats, floor: float) -> NoReturn:
        raise ZeroDivisionError

    def finish(self) -> NoReturn:
        raise ZeroDivisionError


def feed(spans: Spans, pcm: Pcm, start: int = 0, step: int = 1_600) -> list[Span]:
    found: list[Span] = []
    for at in range(0, len(pcm), step):
        found += spans.feed(start + at, pcm[at : at + step])
    return found


def covers(spans: list[Span], start: int, end: int) -> bool:
    edges = [start, *(span.end for span in spans)]
    return [span.start for span in spans] == edges[:-1] and edges[-1] == end


# --- the clock --------------------------------------------------------------------------------------------------------


def test_spans_are_half_seconds_and_cover_everything() -> None:
    assert covers(TALK_SPANS, 0, len(TALK))
    assert all(span.end % SPAN_SAMPLES == 0 and span.end - span.start == SPAN_SAMPLES for span in TALK_SPANS[:-1])


def test_a_span_comes_with_the_chunk_after_it() -> None:
    spans = Spans(INCREMENTAL)
    assert feed(spans, TALK[:8_000]) == []
    assert [span.end for span in spans.feed(8_000, TALK[8_000:9_600])] == [8_000]


@given(st.lists(st.integers(160, 8_000).map(lambda half: 2 * half), min_size=1, max_size=40))
@settings(max_examples=25, deadline=None)
def test_the_lengths_of_chunks_do_not_matter(steps: list[int]) -> None:
    spans = Spans(INCREMENTAL)
    found: list[Span] = []
    at = turn = 0
    while at < len(TALK):
        step = steps[turn % len(steps)]
        found += spans.feed(at, TALK[at : at + step])
        at, turn = at + step, turn + 1
    assert [*found, *spans.flush()] == TALK_SPANS


# --- what is measured -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_figures_stay_in_their_bounds(name: str) -> None:
    for span in spans_of(recording(name)):
        assert 0.0 <= span.volume <= 1.0
        assert 0.5 <= span.rate <= 2.0
        assert 0.0 <= span.energy <= 1.0
        assert 0 <= span.voiced_ms <= 500
        assert all(span.start // 16 <= onset_ms < span.end // 16 for onset_ms in span.onsets_ms)


@pytest.mark.parametrize("name", NAMES)
def test_read_speech_is_near_neutral(name: str) -> None:
    said = dynamics(frames_of(spans_of(recording(name))), 0, MINUTE_MS)
    assert 0.3 <= said.volume <= 0.6
    assert 0.9 <= said.rate <= 1.35
    assert 0.3 <= said.energy <= 0.8


def test_the_mean_of_many_speakers_is_normal() -> None:
    rates = [dynamics(frames_of(spans_of(recording(name))), 0, MINUTE_MS).rate for name in NAMES]
    assert np.mean(rates) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_12_db_quieter_is_12_db_quieter_at_the_same_rate(name: str) -> None:
    loud = dynamics(frames_of(spans_of(recording(name))), 0, MINUTE_MS)
    soft = dynamics(frames_of(spans_of(quieter(recording(name), 12.0))), 0, MINUTE_MS)
    assert loud.level_db is not None
    assert soft.level_db == pytest.approx(loud.level_db - 12.0, abs=0.1)
    assert soft.volume == pytest.approx(loud.volume - 0.24, abs=0.01)
    assert soft.onsets_per_minute == pytest.approx(loud.onsets_per_minute, rel=0.01)
    assert prosody(soft).gain_db <= prosody(loud).gain_db - 5
    assert prosody(soft).rate_percent == pytest.approx(prosody(loud).rate_percent, abs=2)


@pytest.mark.parametrize("name", NAMES)
def test_stretched_by_1_3_is_slower(name: str) -> None:
    normal = dynamics(frames_of(spans_of(recording(name))), 0, MINUTE_MS)
    slow = dynamics(frames_of(spans_of(stretch(recording(name), 1.3))), 0, MINUTE_MS)
    assert normal.onsets_per_minute is not None
    assert slow.onsets_per_minute is not None
    assert slow.onsets_per_minute < 0.9 * normal.onsets_per_minute
    assert slow.rate < normal.rate
    assert prosody(slow).rate_percent < prosody(normal).rate_percent


def test_the_rate_follows_the_speaker_both_ways() -> None:
    rates = [
        float(
            np.mean(
                [dynamics(frames_of(spans_of(stretch(recording(name), factor))), 0, MINUTE_MS).rate for name in NAMES]
            )
        )
        for factor in (1.6, 1.3, 1.0, 0.8, 0.65)
    ]
    assert rates == sorted(rates)
    assert rates[1] == pytest.approx(rates[2] / 1.3, rel=0.1)


def test_a_raised_voice_has_more_energy() -> None:
    pcm = recording("austen-0870.wav").astype(np.float64)
    bright = as_pcm(np.concatenate([[0.0], np.diff(pcm)]) * 3.0)  # 6 dB more per octave
    dull = dynamics(frames_of(spans_of(as_pcm(pcm))), 0, MINUTE_MS)
    assert dynamics(frames_of(spans_of(bright)), 0, MINUTE_MS).energy > dull.energy + 0.1


@pytest.mark.parametrize("level_db", [-75.0, -50.0, -35.0])
def test_steady_noise_is_no_speech(level_db: float) -> None:
    for span in spans_of(as_pcm(noise(80_000, level_db))):
        assert (span.voiced_ms, span.onsets_ms, span.rate, span.energy) == (0, [], 1.0, 0.5)
        assert span.level_db == pytest.approx(level_db, abs=0.5)


def test_silence_is_quiet_and_says_nothing_else() -> None:
    for span in spans_of(np.zeros(16_000, np.int16)):
        assert (span.volume, span.rate, span.energy, span.level_db, span.voiced_ms) == (0.0, 1.0, 0.5, -100.0, 0)


def test_a_pause_in_the_room_s_noise_has_no_onsets() -> None:
    pcm = as_pcm(
        np.concatenate([recording("austen-0870.wav"), np.zeros(80_000)])
        + noise(len(recording("austen-0870.wav")) + 80_000, -55.0)
    )
    pause_ms = len(recording("austen-0870.wav")) // 16 + 200
    assert [onset_ms for onset_ms in onsets_of(spans_of(pcm)) if onset_ms > pause_ms] == []


# --- gaps and restarts ------------------------------------------------------------------------------------------------


def test_a_gap_is_not_measured_across() -> None:
    spans = Spans(INCREMENTAL)
    loud, later = TALK[16_000:27_000], 40_123
    found = [*feed(spans, loud), *feed(spans, TALK[27_000:60_000], later), *spans.flush()]
    assert covers([span for span in found if span.end <= 11_000], 0, 11_000)
    assert covers([span for span in found if span.end > 11_000], later, later + 33_000)
    assert not [onset_ms for onset_ms in onsets_of(found) if 11_000 // 16 <= onset_ms <= later // 16 + 46]
    assert found[2].start == later
    assert found[2].end == 48_000


@given(gap_at=st.integers(1, 50), gap=st.integers(1, 40_000))
@settings(max_examples=25, deadline=None)
def test_a_gap_makes_no_onset(gap_at: int, gap: int) -> None:
    """A hum with a gap in it, wherever and however long, has no onset: not even where the sound is cut."""
    hum = as_pcm(8_000 * np.sin(2 * np.pi * 150 * np.arange(81_600) / 16_000) + noise(81_600, -50.0))
    spans = Spans(INCREMENTAL)
    found = [
        *feed(spans, hum[: gap_at * 1_600]),
        *feed(spans, hum[gap_at * 1_600 :], gap_at * 1_600 + gap),
        *spans.flush(),
    ]
    assert onsets_of(found) == []


def test_a_stretch_too_short_to_measure_is_neutral() -> None:
    spans = Spans(INCREMENTAL)
    found = [*spans.feed(1_000, TALK[:400]), *spans.flush()]
    assert [(span.start, span.end, span.volume, span.rate, span.energy, span.voiced_ms) for span in found] == [
        (1_000, 1_400, NEUTRAL.volume, NEUTRAL.rate, NEUTRAL.energy, 0)
    ]


def test_flushing_twice_says_nothing_twice() -> None:
    spans = Spans(INCREMENTAL)
    feed(spans, TALK[:12_000])
    assert [span.end for span in spans.flush()] == [12_000]
    assert list(spans.flush()) == []


@pytest.mark.parametrize("chunk", [9, 20, 33])
def test_a_successor_goes_on_as_if_nothing_had_happened(chunk: int) -> None:
    """It has the snapshot after a chunk, knows the frames emitted since, and reads again from that chunk on."""
    first = Spans(INCREMENTAL)
    before = feed(first, TALK[: chunk * 1_600])
    heard = list(first.heard)
    before += feed(first, TALK[chunk * 1_600 : chunk * 1_600 + 12_800], chunk * 1_600)
    second = Spans(INCREMENTAL, first.measured_to, heard)
    after = [*feed(second, TALK[chunk * 1_600 :], chunk * 1_600), *second.flush()]
    found = [*before, *after]
    assert covers(found, 0, len(TALK))
    assert onsets_of(found) == onsets_of(TALK_SPANS)
    assert [span.level_db for span in found] == pytest.approx([span.level_db for span in TALK_SPANS], abs=1e-6)


# --- failures (row E3) ------------------------------------------------------------------------------------------------


def test_a_failure_is_neutral_for_its_half_second_and_stops_nothing() -> None:
    spans = Spans(Flaky({12}))
    found = [*feed(spans, TALK), *spans.flush()]
    assert spans.errors == 1
    assert covers(found, 0, len(TALK))
    assert [span.start // SPAN_SAMPLES for span in found if span.level_db == -100.0] == [2]
    neutral = found[2]
    assert (neutral.volume, neutral.rate, neutral.energy, neutral.voiced_ms) == (0.5, 1.0, 0.5, 0)
    assert dynamics(frames_of([neutral]), 0, MINUTE_MS) == NEUTRAL
    recovered = 2 + 1 + LISTENING_SAMPLES // SPAN_SAMPLES  # the loudness of the blocks that were lost is not known
    assert found[recovered:] == TALK_SPANS[recovered:]


def test_an_engine_that_never_works_gives_neutral_values_all_the_way() -> None:
    spans = Spans(_Broken)
    found = [*feed(spans, TALK[:40_400]), *spans.flush()]
    assert spans.errors == 6
    assert covers(found, 0, 40_400)
    assert {(span.volume, span.rate, span.energy, span.voiced_ms) for span in found} == {(0.5, 1.0, 0.5, 0)}
