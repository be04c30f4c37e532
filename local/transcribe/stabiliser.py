"""Partial-result stabilisation: which words of an unfinished utterance can be relied on.

As in the service, a word that was once flagged stable does not change any more, in later partials nor in the final
result; the price is that a recogniser's second thoughts about it are lost. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from local.transcribe.request import Stability
from local.transcribe.results import Word


@dataclass(frozen=True, slots=True)
class Rule:
    """A word is stable when it ended ``age_ms`` ago and the last ``repeats`` hypotheses agree on it."""

    age_ms: int
    repeats: int


RULES: dict[Stability, Rule] = {"high": Rule(600, 2), "medium": Rule(1000, 3), "low": Rule(1500, 4)}
"""By the stability asked for; "high" settles words soonest, as the service's does."""
_SAME_START_MS = 60
"""Two hypotheses mean the same word when its text is the same and its start moved by no more than this."""


class Stabiliser:
    """One utterance's settled words. With no rule nothing is settled and hypotheses pass as they are."""

    def __init__(self, rule: Rule | None) -> None:
        self._rule = rule
        self._settled: list[Word] = []
        self._earlier: list[Sequence[Word]] = []

    def partial(self, hypothesis: Sequence[Word], heard_ms: int) -> tuple[Word, ...]:
        """The words of a partial result: those settled, then what the hypothesis has after them."""
        if self._rule is None:
            return tuple(hypothesis)
        tail = self._after_settled(hypothesis)
        while tail and self._is_settled(tail[0], heard_ms, self._rule):
            self._settled.append(replace(tail.pop(0), stable=True))
        self._earlier = [*self._earlier, hypothesis][-(self._rule.repeats - 1) :] if self._rule.repeats > 1 else []
        return (*self._settled, *tail)

    def final(self, hypothesis: Sequence[Word]) -> tuple[Word, ...]:
        """The words of the final result, all stable."""
        words = (*self._settled, *self._after_settled(hypothesis))
        return tuple(replace(word, stable=True) for word in words)

    def _after_settled(self, hypothesis: Sequence[Word]) -> list[Word]:
        if not self._settled:
            return list(hypothesis)
        settled_to_ms = self._settled[-1].end_ms
        return [word for word in hypothesis if (word.start_ms + word.end_ms) / 2 > settled_to_ms]

    def _is_settled(self, word: Word, heard_ms: int, rule: Rule) -> bool:
        if heard_ms - word.end_ms < rule.age_ms or len(self._earlier) < rule.repeats - 1:
            return False
        return all(any(_same(word, other) for other in hypothesis) for hypothesis in self._earlier)


def _same(word: Word, other: Word) -> bool:
    return word.text == other.text and abs(word.start_ms - other.start_ms) <= _SAME_START_MS
