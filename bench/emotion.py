"""The emotion stage's measures beside librosa.

- `emotion, 100 ms chunk`: the time that a chunk takes, frames and quality measures together (p50 of a pass over the
  recordings), beside librosa's on a sliding window of 3 s. Bar: 1 ms.
- `emotion, cheaper than librosa`: all the time of a pass, engines only, per chunk. Bar: 10 times.
- `emotion, agreement`: onsets found, and by how much volume and energy of a frame differ at the most. Bar: the same
  onsets, and 1 %.

Five passes each, alternating; medians; the spread is the fastest and the slowest pass.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the stage does; NumPy reads it when it is imported

import statistics
import sys
import time
import wave
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.emotion.engine import EngineFactory, engine_factory
from stages.emotion.quality import Quality
from stages.emotion.spans import Span, Spans

ROUNDS = 5
CHUNK_SAMPLES = 1_600
CHUNK_BAR_MS = 1.0
CHEAPER_BAR = 10.0
AGREEMENT_BAR = 0.01
RECORDINGS = Path(__file__).parents[1] / "tests" / "recordings"


def speech() -> NDArray[np.int16]:
    """All recordings, one after another: some 30 s."""
    parts = []
    for path in sorted(RECORDINGS.glob("*.wav")):
        with wave.open(str(path)) as file:
            parts.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    joined: NDArray[np.int16] = np.concatenate(parts)
    return joined


def timed(steps: Iterable[Callable[[], object]]) -> list[float]:
    """The milliseconds that each step took."""
    moments = [time.perf_counter()]
    for step in steps:
        step()
        moments.append(time.perf_counter())
    return [(after - before) * 1e3 for before, after in pairwise(moments)]


def measure(make_engine: EngineFactory, pcm: NDArray[np.int16], *, quality: bool) -> tuple[list[float], list[Span]]:
    """One pass: milliseconds per chunk, and the spans."""
    spans = Spans(make_engine)
    judge = Quality()
    found: list[Span] = []

    def step(start: int) -> None:
        chunk = pcm[start : start + CHUNK_SAMPLES]
        found.extend(spans.feed(start, chunk))
        if quality:
            list(judge.feed(start, chunk))

    taken_ms = timed([partial(step, start) for start in range(0, len(pcm), CHUNK_SAMPLES)])
    return taken_ms, [*found, *spans.flush()]


def run() -> dict[str, dict[str, Any]]:
    pcm = speech()
    mine, theirs = engine_factory("incremental"), engine_factory("librosa")
    chunk_ms: list[float] = []
    ours_ms: list[float] = []
    peer_chunk_ms: list[float] = []
    peer_ms: list[float] = []
    ours: list[Span] = []
    peer: list[Span] = []
    for _ in range(ROUNDS):
        chunk_ms.append(statistics.median(measure(mine, pcm, quality=True)[0]))
        taken, ours = measure(mine, pcm, quality=False)
        ours_ms.append(statistics.mean(taken))
        taken, peer = measure(theirs, pcm, quality=False)
        peer_chunk_ms.append(statistics.median(taken))
        peer_ms.append(statistics.mean(taken))
    return {
        "emotion, 100 ms chunk": _row(
            chunk_ms, peer_chunk_ms, CHUNK_BAR_MS, holds=statistics.median(chunk_ms) < CHUNK_BAR_MS
        ),
        "emotion, cheaper than librosa": _row(
            ours_ms,
            peer_ms,
            CHEAPER_BAR,
            holds=statistics.median(peer_ms) >= CHEAPER_BAR * statistics.median(ours_ms),
        ),
        "emotion, agreement": agreement(ours, peer),
    }


def _row(ours: list[float], peer: list[float], bar: float, *, holds: bool) -> dict[str, Any]:
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return {
        "ours": round(mine, 3),
        "peer": round(theirs, 3),
        "unit": "ms",
        "ratio": round(theirs / mine, 1),
        "bar": bar,
        "holds": holds,
        "spread": {
            "ours": [round(min(ours), 3), round(max(ours), 3)],
            "peer": [round(min(peer), 3), round(max(peer), 3)],
        },
    }


def agreement(ours: list[Span], peer: list[Span]) -> dict[str, Any]:
    """Numbers of onsets; ratio is the largest relative difference of a frame's volume or energy."""
    same_onsets = [span.onsets_ms for span in ours] == [span.onsets_ms for span in peer]
    differences = [
        abs(mine - theirs) / max(theirs, 1e-3)
        for own, other in zip(ours, peer, strict=True)
        for mine, theirs in ((own.volume, other.volume), (own.energy, other.energy))
    ]
    return {
        "ours": sum(len(span.onsets_ms) for span in ours),
        "peer": sum(len(span.onsets_ms) for span in peer),
        "unit": "onsets",
        "ratio": float(f"{max(differences):.1e}"),
        "bar": AGREEMENT_BAR,
        "holds": same_onsets and max(differences) <= AGREEMENT_BAR,
        "spread": [float(f"{min(differences):.1e}"), float(f"{max(differences):.1e}")],
    }


if __name__ == "__main__":
    for name, row in run().items():
        sys.stdout.write(f"{name}: {row}\n")
