"""Recordings, sounds made from them, and what the stage makes of them."""

import wave
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stages.emotion.engine import Engine, EngineFactory, Hops, engine_factory
from stages.emotion.spans import Span, Spans
from streams.records import EmotionFrame

Pcm: TypeAlias = NDArray[np.int16]

RECORDINGS = Path(__file__).parents[2] / "recordings"
NAMES = sorted(path.name for path in RECORDINGS.glob("*.wav"))
AUSTEN = ["austen-0870.wav", "austen-0880.wav", "austen-0890.wav"]
SENTENCES = ["sentence-1.wav", "sentence-2.wav", "sentence-3.wav"]
INCREMENTAL = engine_factory("incremental")


@cache
def recording(name: str) -> Pcm:
    """A recording, shape (n,), 16 kHz."""
    with wave.open(str(RECORDINGS / name)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def joined(names: list[str]) -> Pcm:
    """Recordings one after another."""
    return np.concatenate([recording(name) for name in names])


def as_pcm(samples: NDArray[np.floating]) -> Pcm:
    """Rounded and limited to 16 bits."""
    return np.clip(np.round(samples), -32_768, 32_767).astype(np.int16)


def quieter(pcm: Pcm, by_db: float) -> Pcm:
    """The same with less gain."""
    return as_pcm(pcm * 10.0 ** (-by_db / 20.0))


def noise(samples: int, level_db: float, seed: int = 1) -> NDArray[np.float64]:
    """White noise of this level in dBFS, on the scale of 16 bits."""
    return np.random.default_rng(seed).normal(0.0, 32_768.0 * 10.0 ** (level_db / 20.0), samples)


def with_echo(pcm: Pcm, delay_ms: int, level_db: float) -> Pcm:
    """The same with a delayed, weaker copy."""
    delay = delay_ms * 16
    out = pcm.astype(np.float64)
    out[delay:] += 10.0 ** (level_db / 20.0) * pcm[:-delay]
    return as_pcm(out)


def spans_of(pcm: Pcm, make_engine: EngineFactory = INCREMENTAL, step: int = 1_600) -> list[Span]:
    """The spans of a whole recording, in chunks of `step` samples."""
    spans = Spans(make_engine)
    found: list[Span] = []
    for start in range(0, len(pcm), step):
        found += spans.feed(start, pcm[start : start + step])
    return [*found, *spans.flush()]


def onsets_of(spans: list[Span]) -> list[int]:
    """All of them, in ms."""
    return [onset_ms for span in spans for onset_ms in span.onsets_ms]


def frames_of(spans: list[Span]) -> list[EmotionFrame]:
    """As the stage emits them."""
    return [
        EmotionFrame(
            session_id="golden-eagle-427",
            start_ms=span.start // 16,
            end_ms=span.end // 16,
            volume=span.volume,
            rate=span.rate,
            energy=span.energy,
            level_db=span.level_db,
            voiced_ms=span.voiced_ms,
            onsets_ms=span.onsets_ms,
        )
        for span in spans
    ]


FLOOR = 1e-5
"""Of a mel band's power: some 21 dB below read speech."""


def hops_of(
    engine: Engine, pcm: Pcm, step: int = 1_600, floor: float = FLOOR
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """(power, centroid_hz, onsets) of all hops of a recording."""
    steps: list[Hops] = [engine.push(pcm[at : at + step] / 32_768.0, floor) for at in range(0, len(pcm), step)]
    steps.append(engine.finish())
    power = np.concatenate([hops.power for hops in steps])
    centroid_hz = np.concatenate([hops.centroid_hz for hops in steps])
    return power, centroid_hz, [onset for hops in steps for onset in hops.onsets]
