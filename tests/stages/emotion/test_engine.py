"""One contract, both engines (row E2)."""

import subprocess
import sys

import numpy as np
import pytest

from stages.emotion.engine import EngineFactory, EngineName, engine_factory, hop_count
from tests.stages.emotion.speech import AUSTEN, FLOOR, NAMES, hops_of, joined, noise, quieter, recording, spans_of


@pytest.fixture(params=["incremental", "librosa"])
def make_engine(request: pytest.FixtureRequest) -> EngineFactory:
    name: EngineName = request.param
    return engine_factory(name)


def test_hops_are_whole_windows() -> None:
    assert [hop_count(samples) for samples in (0, 511, 512, 671, 672, 1_600)] == [0, 0, 1, 1, 2, 7]


def test_a_stretch_shorter_than_a_window_has_no_hop(make_engine: EngineFactory) -> None:
    power, centroid_hz, onsets = hops_of(make_engine(), recording("go-forward.wav")[:500])
    assert (len(power), len(centroid_hz), onsets) == (0, 0, [])


def test_digital_silence_has_neither_power_nor_onsets(make_engine: EngineFactory) -> None:
    power, centroid_hz, onsets = hops_of(make_engine(), np.zeros(16_000, np.int16))
    assert len(power) == hop_count(16_000)
    assert not power.any()
    assert not centroid_hz.any()
    assert onsets == []


def test_power_is_the_mean_square(make_engine: EngineFactory) -> None:
    sine = np.round(8_192.0 * np.sin(2 * np.pi * 1_000 * np.arange(8_000) / 16_000)).astype(np.int16)
    power, centroid_hz, _ = hops_of(make_engine(), sine)
    assert 10 * np.log10(power) == pytest.approx(-15.05, abs=0.01)  # a quarter of full scale, and 3 dB for a sine
    assert centroid_hz == pytest.approx(1_000, abs=5)


def test_bursts_are_found_where_they_begin(make_engine: EngineFactory) -> None:
    pcm = noise(32_000, -70.0)
    starts_ms = (300, 520, 900, 1_210, 1_700)
    for start_ms in starts_ms:
        pcm[start_ms * 16 : start_ms * 16 + 1_600] += noise(1_600, -20.0, seed=start_ms) * np.hanning(1_600)
    _, _, onsets = hops_of(make_engine(), pcm.astype(np.int16))
    assert len(onsets) == len(starts_ms)
    for onset, start_ms in zip(onsets, starts_ms, strict=True):
        assert start_ms - 10 <= onset * 10 + 16 <= start_ms + 50


def test_blocks_of_any_length_give_the_same(make_engine: EngineFactory) -> None:
    pcm = joined(AUSTEN)[: 16_000 * 5]
    power, centroid_hz, onsets = hops_of(make_engine(), pcm)
    for step in (320, 1_000, 16_000):
        other_power, other_centroid_hz, other_onsets = hops_of(make_engine(), pcm, step)
        assert other_onsets == onsets
        assert other_power == pytest.approx(power, rel=1e-5)
        assert other_centroid_hz == pytest.approx(centroid_hz, rel=1e-9)


def test_the_voice_s_level_does_not_change_its_onsets(make_engine: EngineFactory) -> None:
    pcm = joined(AUSTEN)[: 16_000 * 5]
    loud = hops_of(make_engine(), pcm)[2]
    quiet = hops_of(make_engine(), quieter(pcm, 12.0), floor=FLOOR / 10.0**1.2)[2]
    assert len(loud) > 10
    assert quiet == loud


@pytest.mark.parametrize("name", NAMES)
def test_the_engines_agree_on_real_speech(name: str) -> None:
    """Onsets equal; volume and energy asked for within 1 %: librosa's RMS is in single precision, that is all."""
    ours = spans_of(recording(name))
    theirs = spans_of(recording(name), engine_factory("librosa"))
    assert [span.onsets_ms for span in ours] == [span.onsets_ms for span in theirs]
    assert [span.voiced_ms for span in ours] == [span.voiced_ms for span in theirs]
    assert [span.rate for span in ours] == [span.rate for span in theirs]
    assert [span.volume for span in ours] == pytest.approx([span.volume for span in theirs], rel=1e-6)
    assert [span.energy for span in ours] == pytest.approx([span.energy for span in theirs], rel=1e-6)


def test_librosa_is_imported_only_where_it_is_chosen() -> None:
    script = (
        "import sys; from stages.emotion.logic import builder; from stages.emotion.settings import EmotionSettings; "
        "builder(EmotionSettings())('s', None); assert not {'librosa', 'scipy', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
