"""Cuts a text that is too long for a service at the ends of sentences; no letter is lost (row L2). Pure."""

import re

_ENDS = (
    re.compile(r"[.!?…]+[\"')\]»”’]*\s+|[。！？]+[」』”’]*\s*"),
    re.compile(r"[,;:—]\s+|[、，；：]\s*"),
    re.compile(r"\s+"),
)
"""Where to cut, best first: after a sentence, after a clause, between words."""


def split(text: str, max_characters: int, max_bytes: int) -> list[str]:
    """Pieces of at most max_characters and max_bytes (UTF-8, at least 4), which joined are the text again."""
    pieces = []
    while not _fits(text, max_characters, max_bytes):
        at = _cut(text, _longest(text, max_characters, max_bytes))
        pieces.append(text[:at])
        text = text[at:]
    return [*pieces, text] if text or not pieces else pieces


def _fits(text: str, max_characters: int, max_bytes: int) -> bool:
    return len(text) <= max_characters and len(text.encode("utf-8", errors="surrogatepass")) <= max_bytes


def _longest(text: str, max_characters: int, max_bytes: int) -> int:
    """How many characters from the beginning fit."""
    used = 0
    for index, letter in enumerate(text[:max_characters]):
        used += len(letter.encode("utf-8", errors="surrogatepass"))
        if used > max_bytes:
            return index
    return min(len(text), max_characters)


def _cut(text: str, longest: int) -> int:
    for end in _ENDS:
        cuts = [match.end() for match in end.finditer(text, 0, longest)]
        if cuts:
            return cuts[-1]
    return longest
