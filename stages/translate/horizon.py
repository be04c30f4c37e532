"""Which words of the transcripts are new. Pure.

Transcribe commits each word once, but an old owner of its shard that wakes up may still write what the new owner has
committed too, cut otherwise. So this reader applies the rule again: the first to commit wins. A word is old if its
middle lies before the session's *horizon* (the end of its last committed word), or if a committed word of equal text
has its middle near by (`streams.words`). Never by text alone: people say "yes" twice.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

from streams.records import Word
from streams.words import is_same

REMEMBERED_WORDS: Final = 16


class Horizon:
    """Up to where a session's words are committed."""

    def __init__(self, end_ms: int = 0, recent: Iterable[Word] = ()) -> None:
        self.end_ms = end_ms
        self.recent: deque[Word] = deque(recent, maxlen=REMEMBERED_WORDS)

    def new_words(self, words: Sequence[Word]) -> list[Word]:
        """Those that are not committed yet, in order."""
        return [word for word in words if word.middle_ms >= self.end_ms and not self._knows(word)]

    def commit(self, words: Iterable[Word]) -> None:
        """These are to be spoken."""
        for word in words:
            self.end_ms = max(self.end_ms, word.end_ms)
            self.recent.append(word)

    def _knows(self, word: Word) -> bool:
        return any(is_same(word, old) for old in self.recent)
