"""When two hearings are of one word (design: snapshots, crashes and resharding). Pure.

Whoever writes words and whoever reads them must agree on it.
"""

from typing import Final

from streams.records import Word

NEAR_MS: Final = 150
"""How far two hearings of one word may lie apart; recognisers differ by some 10 ms."""


def is_same(a: Word, b: Word) -> bool:
    """Equal text at about the same time; never equal text alone: people say "yes" twice."""
    return abs(a.middle_ms - b.middle_ms) < NEAR_MS and plain(a.text) == plain(b.text)


def plain(text: str) -> str:
    """A word as compared: no case, no punctuation, which recognisers add and move late."""
    return "".join(letter for letter in text.casefold() if letter.isalnum()) or text


def well_formed(text: str) -> str:
    """A service's text as it can be written: a lone surrogate, which JSON may hold and UTF-8 may not, becomes `?`."""
    return text.encode("utf-8", "replace").decode()
