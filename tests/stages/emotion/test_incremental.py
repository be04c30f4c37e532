"""The default engine keeps a small state, whatever comes."""

import pickle

import numpy as np

from stages.emotion.engine import MEAN_HOPS, PEAK_HOPS
from stages.emotion.incremental import IncrementalEngine
from tests.stages.emotion.speech import AUSTEN, FLOOR, joined


def test_the_state_does_not_grow() -> None:
    engine = IncrementalEngine()
    sizes = []
    pcm = joined(AUSTEN) / 32_768.0
    for start in range(0, len(pcm) - 1_600, 1_600):
        engine.push(pcm[start : start + 1_600], FLOOR)
        sizes.append(len(pickle.dumps(engine)))
    steady = sizes[5:]
    assert len(steady) > 100
    assert max(steady) - min(steady) < 100
    assert max(sizes) < 12_000


def test_an_onset_is_known_as_soon_as_its_surroundings_are() -> None:
    engine = IncrementalEngine()
    hops = engine.push(np.zeros(1_600), FLOOR)
    assert hops.decided == 7 - PEAK_HOPS
    assert engine.push(np.zeros(MEAN_HOPS * 160), FLOOR).decided == 7 + MEAN_HOPS - PEAK_HOPS
    assert engine.finish().decided == 7 + MEAN_HOPS


def test_the_first_hop_rises_out_of_nothing() -> None:
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    engine = IncrementalEngine()
    assert engine.push(sine, FLOOR).onsets == []
    assert engine.finish().onsets == []
