"""What was committed, by the rule that translate reads transcripts by: the first to commit a word wins. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ops.account import EDGE_MS
from ops.audit.evidence import Seen, transcripts_of
from ops.audit.result import Finding, WordsAccount, clause_name, place_of
from stages.translate.horizon import Horizon
from streams.records import Transcript, Word


class Clause(NamedTuple):
    """A committed clause: what of a transcript was new. clause: its index, as translate counts."""

    seen: Seen
    utterance_id: str
    clause: int
    start_ms: int
    end_ms: int
    words: int

    @property
    def key(self) -> tuple[str, int]:
        """By what its speech is found."""
        return self.utterance_id, self.clause

    @property
    def name(self) -> str:
        """For people."""
        return f"{clause_name(self.utterance_id, self.clause)} ({self.start_ms} to {self.end_ms} ms)"


class Words(NamedTuple):
    """The committed clauses in the order of the stream, and what that says of the stream."""

    clauses: list[Clause]
    account: WordsAccount
    findings: list[Finding]


def words(rows: Sequence[Seen]) -> Words:
    """Read a session's transcripts."""
    horizon = Horizon()
    counted: dict[str, int] = {}  # open utterances: the index of the next clause, as translate has it
    clauses: list[Clause] = []
    known: set[tuple[object, ...]] = set()
    account = WordsAccount()
    finals: list[tuple[Seen, Transcript]] = []
    indexes: dict[str, dict[int, Seen]] = {}
    for seen, said in transcripts_of(rows):
        key = (said.utterance_id, said.status, said.clause, said.revision, said.start_ms, said.end_ms)
        if key in known:
            account.repeats += 1
            continue
        known.add(key)
        if said.status == "final":
            counted.pop(said.utterance_id, None)
            finals.append((seen, said))
            continue
        new = horizon.new_words(said.words)
        if new:
            counted.setdefault(said.utterance_id, 0)
        if said.status == "clause":
            indexes.setdefault(said.utterance_id, {})[said.clause] = seen
            account.again += len(said.words) - len(new)
            if new:
                clauses.append(_commit(seen, said, new, counted))
                horizon.commit(new)
    account.clauses = len(clauses)
    account.words = sum(clause.words for clause in clauses)
    account.finals = len({said.utterance_id for _, said in finals})
    account.utterances = len(indexes.keys() | {said.utterance_id for _, said in finals})
    account.open = len(indexes.keys() - {said.utterance_id for _, said in finals})
    findings = [*_clauses_missing(indexes, finals), *_finals_off(finals, indexes, clauses)]
    return Words(clauses, account, findings)


def _commit(seen: Seen, said: Transcript, new: Sequence[Word], counted: dict[str, int]) -> Clause:
    clause = max(counted[said.utterance_id], said.clause)
    counted[said.utterance_id] = clause + 1
    return Clause(seen, said.utterance_id, clause, new[0].start_ms, new[-1].end_ms, len(new))


def _clauses_missing(
    indexes: dict[str, dict[int, Seen]], finals: Iterable[tuple[Seen, Transcript]]
) -> Iterator[Finding]:
    closed = {said.utterance_id: (seen, said.clause) for seen, said in finals}
    for utterance_id, rows in indexes.items():
        last, count = closed.get(utterance_id, (rows[max(rows)], max(rows) + 1))
        missing = [index for index in range(count) if index not in rows]
        if missing:
            sentence = f"of the {count} clauses of utterance {utterance_id}, {_list(missing)} are not in the stream"
            yield Finding("clause_missing", sentence, place_of(last))


def _finals_off(
    finals: Iterable[tuple[Seen, Transcript]], indexes: dict[str, dict[int, Seen]], clauses: Sequence[Clause]
) -> Iterator[Finding]:
    spans = sorted((clause.start_ms - EDGE_MS, clause.end_ms + EDGE_MS) for clause in clauses)
    starts = [start for start, _ in spans]
    for seen, said in finals:
        if said.utterance_id not in indexes:
            sentence = f"utterance {said.utterance_id} has a final and no clause"
            yield Finding("final_without_clause", sentence, place_of(seen))
            continue
        outside = 0
        for word in said.words:
            i = bisect_right(starts, word.middle_ms)  # clauses hardly overlap: the one before reaches no further
            outside += not any(end_ms >= word.middle_ms for _, end_ms in spans[max(0, i - 2) : i])
        if outside:
            sentence = f"{outside} words of the final of utterance {said.utterance_id} are in no clause"
            yield Finding("final_words_uncommitted", sentence, place_of(seen))


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
