"""Where a clause ends (row T3): between words, where a listener would expect a breath. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.records import Word

SENTENCE_ENDS: Final = (".", "?", "!", "。", "？", "！", "؟")
PHRASE_ENDS: Final = (",", ";", ":", "、", "，", "；", "：", "،", "؛")


class ClauseRule(NamedTuple):
    """When to cut; the fields are those of `TranscribeSettings`."""

    pause_ms: int = 300
    span_ms: int = 3_000
    min_words: int = 3


def clause_lengths(words: Sequence[Word], stable: int, end_ms: int, rule: ClauseRule) -> list[int]:
    """How many words the next clauses have, for as many as the first `stable` words fill.

    words: all that is heard and not committed; the unstable ones show whether a pause follows. end_ms: how far the
    recogniser has listened.
    """
    lengths: list[int] = []
    begin = 0
    for i in range(stable):
        cut = _cut_after(words, begin, i, end_ms, rule)
        if cut is not None:
            lengths.append(cut + 1 - begin)
            begin = cut + 1
    return lengths


def _cut_after(words: Sequence[Word], begin: int, i: int, end_ms: int, rule: ClauseRule) -> int | None:
    """The word after which to cut, now that word `i` may be committed too."""
    if i < begin:
        return None
    text = words[i].text
    if _pause_after(words, i, end_ms) >= rule.pause_ms or text.endswith(SENTENCE_ENDS):
        return i
    first = begin + rule.min_words - 1
    if i < first:
        return None
    if text.endswith(PHRASE_ENDS):
        return i
    if words[i].end_ms - words[begin].start_ms < rule.span_ms:
        return None
    return max(range(first, i + 1), key=lambda j: (_pause_after(words, j, end_ms), j))


def _pause_after(words: Sequence[Word], i: int, end_ms: int) -> int:
    following_ms = words[i + 1].start_ms if i + 1 < len(words) else end_ms
    return following_ms - words[i].end_ms
