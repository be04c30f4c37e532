"""What was lost, twice or out of order: what the recogniser committed, beside what a listener heard."""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ops.listener import ClauseHeard
from streams.records import Transcript


class Account(NamedTuple):
    """lost: committed clauses that were not, or not wholly, heard. duplicated: clauses heard whose words had been heard
    before. reordered: clauses heard after one that was said later."""

    lost: int
    duplicated: int
    reordered: int

    def plus(self, other: "Account") -> "Account":
        """Both together."""
        return Account(self.lost + other.lost, self.duplicated + other.duplicated, self.reordered + other.reordered)


def account(transcripts: Iterable[Transcript], heard: Sequence[ClauseHeard]) -> Account:
    """One language's account. heard: in the order in which they came, repeats dropped."""
    committed = {
        (said.utterance_id, said.clause): said
        for said in transcripts
        if said.status == "clause" and said.transcript_text.strip()
    }
    whole = {(clause.utterance_id, clause.clause) for clause in heard if clause.missing == 0}
    lost = sum(key not in whole for key in committed)
    duplicated = sum(_said_before(clause, heard[:number]) for number, clause in enumerate(heard))
    reordered = sum(
        later.sequence < earlier.sequence or later.start_ms < earlier.start_ms
        for earlier, later in itertools.pairwise(heard)
    )
    return Account(lost, duplicated, reordered)


def _said_before(clause: ClauseHeard, before: Sequence[ClauseHeard]) -> bool:
    """By media time, never by text: a speaker may say the same again."""
    middle = (clause.start_ms + clause.end_ms) / 2
    return any(other.start_ms <= middle < other.end_ms for other in before)
