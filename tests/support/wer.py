"""Word error rate, and the recordings with what is said in them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RECORDINGS = Path(__file__).parents[1] / "recordings"


@dataclass(frozen=True)
class Recording:
    """One recording, 16 kHz mono PCM16, and its words in lower case."""

    path: Path
    words: list[str]


def recordings() -> list[Recording]:
    """All recordings that have a transcript."""
    with (RECORDINGS / "transcripts.tsv").open() as file:
        return [
            Recording(RECORDINGS / row["file"], row["transcript"].split())
            for row in csv.DictReader(file, delimiter="\t")
        ]


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """The least number of words to put in, leave out or replace to get from what was said to what was heard."""
    distances = list(range(len(heard) + 1))
    for i, wanted in enumerate(said, 1):
        diagonal, distances[0] = distances[0], i
        for j, got in enumerate(heard, 1):
            best = min(distances[j] + 1, distances[j - 1] + 1, diagonal + (wanted != got))
            diagonal, distances[j] = distances[j], best
    return distances[-1]


def word_error_rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """Errors per word said, 0 upwards. Raises ``ValueError`` when nothing was said."""
    if not said:
        raise ValueError("nothing was said")
    return word_errors(said, heard) / len(said)
