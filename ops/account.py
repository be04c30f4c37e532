"""What was lost, twice or out of order: what the recogniser committed, beside what a listener heard. And what the
recogniser, or the way to it, lost: sound that nothing was made of."""

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ops.audio_files import SAMPLE_RATE_HZ, Pcm
from ops.listener import ClauseHeard
from streams.records import Transcript

HOP_MS: Final = 10
AUDIBLE_PEAK: Final = 256
"""-42 dB of full scale: above a quiet room, below all but the softest sounds of speech."""
EDGE_MS: Final = 20
"""So exactly does a recogniser say where words begin and end: its frames are 10 ms long."""


class Account(NamedTuple):
    """lost: committed clauses that were not, or not wholly, heard. duplicated: clauses heard whose words had been heard
    before. reordered: clauses heard after one that was said later. skipped: committed clauses that were left unspoken
    on purpose, because they were too late (row S8), and of which the listener was told that; they are not lost."""

    lost: int
    duplicated: int
    reordered: int
    skipped: int = 0

    def plus(self, other: "Account") -> "Account":
        """Both together."""
        return Account(*(mine + its for mine, its in zip(self, other, strict=True)))


def account(
    transcripts: Iterable[Transcript], heard: Sequence[ClauseHeard], skipped: Collection[tuple[str, int]] = ()
) -> Account:
    """One language's account. heard: in the order in which they came, repeats dropped. skipped: `Ear.skipped`."""
    committed = {
        (said.utterance_id, said.clause): said
        for said in transcripts
        if said.status == "clause" and said.transcript_text.strip()
    }
    whole = {(clause.utterance_id, clause.clause) for clause in heard if clause.missing == 0}
    missing = [key for key in committed if key not in whole]
    left_out = sum(key in skipped for key in missing)
    duplicated = sum(_said_before(clause, heard[:number]) for number, clause in enumerate(heard))
    reordered = sum(
        later.sequence < earlier.sequence or later.start_ms < earlier.start_ms
        for earlier, later in itertools.pairwise(heard)
    )
    return Account(len(missing) - left_out, duplicated, reordered, left_out)


def _said_before(clause: ClauseHeard, before: Sequence[ClauseHeard]) -> bool:
    """By media time, never by text: a speaker may say the same again."""
    middle = (clause.start_ms + clause.end_ms) / 2
    return any(other.start_ms <= middle < other.end_ms for other in before)


def audible(pcm: Pcm) -> NDArray[np.bool_]:
    """Which hops of HOP_MS have sound in them. Shape (hops,); a rest shorter than a hop is left out."""
    samples = HOP_MS * SAMPLE_RATE_HZ // 1000
    hops = pcm[: len(pcm) // samples * samples].reshape(-1, samples).astype(np.int32)
    return np.asarray(np.abs(hops).max(axis=1, initial=0) >= AUDIBLE_PEAK)


def audible_ms(pcm: Pcm) -> int:
    """How much of a talk has sound in it."""
    return int(audible(pcm).sum()) * HOP_MS


def unheard_ms(pcm: Pcm, transcripts: Iterable[Transcript]) -> int:
    """How much of the talk's sound lies in no utterance that was recognised, on the media clock."""
    left = audible(pcm)
    for said in transcripts:
        if said.status in ("clause", "final") and said.transcript_text.strip():
            left[max(0, said.start_ms - EDGE_MS) // HOP_MS : -(-(said.end_ms + EDGE_MS) // HOP_MS)] = False
    return int(left.sum()) * HOP_MS
