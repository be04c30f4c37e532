"""What became of the words, and how long it took after each fault until they came on time again. Pure."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, NamedTuple

import msgspec

from ops.chaos.deeds import Deed
from ops.listener import ClauseHeard

LATE_MS: Final = 1_000
"""A clause that comes so much later than nearly all did before the first fault is late."""
_WORD: Final = re.compile(r"\b[wW](\d{6})\b")


class Lost(msgspec.Struct, frozen=True):
    """A word that was spoken and not, or not wholly, heard. parts_missing: of its clause's sound."""

    session_id: str
    language: str
    number: int
    start_ms: int
    parts_missing: int = 0


class Odd(msgspec.Struct, frozen=True):
    """A word that was heard again, out of order, or though nobody had said it."""

    what: str
    session_id: str
    language: str
    number: int
    utterance_id: str


class Verdict(NamedTuple):
    """One listener's account."""

    heard: int
    lost: list[Lost]
    odd: list[Odd]
    skipped: int = 0


def numbers_in(text: str) -> list[int]:
    """The numbers of all words in a text, in order."""
    return [int(digits) for digits in _WORD.findall(text)]


def judge(
    session_id: str,
    language: str,
    spoken: Iterable[tuple[int, int]],
    said: Iterable[int],
    heard: Sequence[ClauseHeard],
    skipped: Iterable[str] = (),
) -> Verdict:
    """One listener's account.

    spoken: number and start of each word whose chunks were all acknowledged; said: numbers of all words of the talk,
    acknowledged or not; heard: clauses in the order in which they came, repeats dropped; skipped: texts of clauses that
    were left unspoken on purpose, which loses nothing (row S8).
    """
    known = set(said)
    whole: Counter[int] = Counter()
    broken: dict[int, int] = {}
    odd: list[Odd] = []
    highest = -1
    for clause in heard:
        for number in numbers_in(clause.text):
            place = (session_id, language, number, clause.utterance_id)
            if number not in known:
                odd.append(Odd("unspoken", *place))
                continue
            if number in whole or number in broken:
                odd.append(Odd("duplicated", *place))
            elif number < highest:
                odd.append(Odd("reordered", *place))
            highest = max(highest, number)
            if clause.missing:
                broken[number] = clause.missing
            else:
                whole[number] += 1
    unheard = [(number, start_ms) for number, start_ms in spoken if number not in whole]
    left_out = {number for text in skipped for number in numbers_in(text)}
    lost = [
        Lost(session_id, language, number, start_ms, broken.get(number, 0))
        for number, start_ms in unheard
        if number not in left_out
    ]
    return Verdict(len(whole), lost, odd, len(unheard) - len(lost))


class Arrival(NamedTuple):
    """One clause at one listener. due_ms: when its words had been said; came_ms (both Unix milliseconds)."""

    due_ms: int
    came_ms: int

    @property
    def delay_ms(self) -> int:
        """How long after its words."""
        return self.came_ms - self.due_ms


def arrivals(started_ms: int, heard: Iterable[ClauseHeard]) -> list[Arrival]:
    """Of one listener. started_ms: when the talk's first sample was captured."""
    return [Arrival(started_ms + clause.end_ms, clause.at_unix_ms) for clause in heard]


class Normal(NamedTuple):
    """Delays when nothing is wrong, in milliseconds. p95: the second largest of few."""

    p50_ms: int
    p95_ms: int


def normal(all_arrivals: Iterable[Arrival], before_ms: int) -> Normal:
    """Of what came before the first fault; of all, when nothing did."""
    found = list(all_arrivals)
    early = [arrival.delay_ms for arrival in found if arrival.came_ms < before_ms]
    delays_ms = sorted(early or [arrival.delay_ms for arrival in found] or [0])
    return Normal(round(median(delays_ms)), delays_ms[int(0.95 * (len(delays_ms) - 1))])


def recoveries_ms(deeds: Sequence[Deed], listeners: Iterable[Sequence[Arrival]], usual_ms: int) -> list[int]:
    """For each deed, how long after its end the last clause came that was late because of it; 0: none, or before.

    A late clause is put down to the last fault that had begun when it should have come, usual_ms after its words.
    """
    found = [0] * len(deeds)
    by_begin = sorted(range(len(deeds)), key=lambda number: deeds[number].began_ms)
    for listener in listeners:
        for arrival in listener:
            should_ms = arrival.due_ms + usual_ms + LATE_MS
            if arrival.came_ms <= should_ms:
                continue
            before = [number for number in by_begin if deeds[number].began_ms <= should_ms]
            if before:
                number = before[-1]
                found[number] = max(found[number], arrival.came_ms - deeds[number].ended_ms)
    return found


def longest_pause_ms(sounds_ms: Sequence[int]) -> int:
    """The longest time without any speech, between the first and the last that came."""
    return max((later - earlier for earlier, later in itertools.pairwise(sounds_ms)), default=0)
