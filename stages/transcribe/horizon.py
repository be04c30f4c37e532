"""Which words are new. Pure.

A recogniser that hears audio again cuts it a little differently, so words have no ids. Instead a session has a
*horizon* on the media clock, the end of its last committed word: a word whose middle lies before it has been said
(rows T6, S7), and so has a word of equal text near a committed one (`streams.words`). Equal text alone says nothing:
people say "yes" twice.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from streams.records import Word
from streams.words import is_same

REMEMBERED_WORDS: Final = 16
MIN_WORD_MS: Final = 20


class Horizon:
    """Up to where a session's words are committed."""

    def __init__(self, end_ms: int = 0, recent: Iterable[Word] = ()) -> None:
        self.end_ms = end_ms
        self.recent: deque[Word] = deque(recent, maxlen=REMEMBERED_WORDS)

    def first_new(self, words: Sequence[Word]) -> int:
        """The index of the first new word; words are in order of time.

        Where the last committed word is recognised, the new ones are those after it: even a word so short that
        jitter pushed its middle before the horizon.
        """
        anchor = self._find_last_committed(words)
        if anchor is not None:
            return anchor + 1
        first = 0
        for i, word in enumerate(words):
            if word.middle_ms < self.end_ms or self.knows(word):
                first = i + 1
        return first

    def knows(self, word: Word) -> bool:
        """Whether it is one of the last committed words, heard again."""
        return any(is_same(word, committed) for committed in self.recent)

    def after(self, words: Iterable[Word]) -> list[Word]:
        """New words, moved so that none begins before the horizon or inside another: readers go by times alone."""
        moved, edge = [], self.end_ms
        for word in words:
            start_ms = max(word.start_ms, edge)
            edge = max(word.end_ms, start_ms + MIN_WORD_MS)
            moved.append(Word(word.text, start_ms, edge, word.confidence))
        return moved

    def commit(self, words: Iterable[Word]) -> None:
        """These words are said."""
        for word in words:
            self.end_ms = max(self.end_ms, word.end_ms)
            self.recent.append(word)

    def _find_last_committed(self, words: Sequence[Word]) -> int | None:
        if not self.recent:
            return None
        last = self.recent[-1]
        matches = [i for i, word in enumerate(words) if is_same(word, last)]
        return min(matches, key=lambda i: abs(words[i].middle_ms - last.middle_ms), default=None)
