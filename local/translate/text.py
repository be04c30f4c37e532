"""What a text needs before Apertium and after it, so that nothing hangs, leaks or gets lost.

All pure. A text is cut into pieces that a pipeline takes at once (`split`); each piece is prepared
(`to_engine`), translated, and read back (`from_engine`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_PIECE_CHARS: Final = 500
"""A pipeline answers pieces of this size in a few ms; much longer ones hold it up for its other users."""

_SPECIAL: Final = re.compile(r"[\\\[\]{}^$/@<>]")
"""Characters with a meaning in Apertium's stream format; a backslash makes them plain."""
_UNREADABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff~]")
"""Control characters (NUL ends a request), lone surrogates (not encodable), and `~`, by which the
generator marks contractions: a stray one makes it swallow blanks."""
_LINE_BREAK: Final = re.compile(r"(\s*[\n\r]\s*)")
_SENTENCE_END: Final = re.compile(r"[.!?…][\"'’”»)\]]*\s+")
_BLANK: Final = re.compile(r"\s+")
_CODE: Final = re.compile(r"\b[^\W\d_]+\d\w*\b")
_FIRST_WORD: Final = re.compile(r"\w+")
_ENGLISH_I: Final = re.compile(r"\bi\b(?![.\-])")
END_MARK: Final = "[]\n"
"""An empty blank, at the end of every request and so of every answer. A word directly before NUL makes the analyser
and the tagger swallow the flush; and a pipeline of which a program dies answers NUL alone, as if all were well."""


@dataclass(frozen=True)
class Piece:
    """A part of a text: `before` is the blank to keep in front of it, `text` is what to translate."""

    before: str
    text: str


def split(text: str, max_chars: int = MAX_PIECE_CHARS) -> Iterator[Piece]:
    """Cut a text into pieces of at most `max_chars`.

    `"".join(p.before + p.text for p in split(text))` is the text again. Line breaks always divide;
    within a line, cuts are at the last sentence end that fits, else at the last blank, else anywhere.
    """
    before = ""
    for part in _LINE_BREAK.split(text):
        rest = part.lstrip()
        before += part[: len(part) - len(rest)]
        body = rest.rstrip()
        tail = rest[len(body) :]
        while body:
            cut = _cut(body, max_chars)
            head = body[:cut].rstrip()
            yield Piece(before, head)
            rest = body[len(head) :].lstrip()
            before = body[len(head) : len(body) - len(rest)]
            body = rest
        before += tail
    if before:
        yield Piece(before, "")


def _cut(line: str, max_chars: int) -> int:
    if len(line) <= max_chars:
        return len(line)
    head = line[: max_chars + 1]
    for boundary in (_SENTENCE_END, _BLANK):
        ends = [match.end() for match in boundary.finditer(head) if match.start() > 0]
        if ends:
            return ends[-1]
    return max_chars


def has_words(text: str) -> bool:
    """Whether there is a letter in it, so whether there is anything to translate."""
    return any(character.isalpha() for character in text)


def codes(text: str) -> list[str]:
    """The tokens of letters and then digits (`w000123`), in order: names of things, the same in all languages."""
    return _CODE.findall(text)


def between_codes(text: str) -> list[str]:
    """The text divided at its codes: what is at odd places is a code."""
    return re.split(f"({_CODE.pattern})", text)


def to_engine(piece: str, source: str) -> tuple[bytes, bool]:
    """A piece as Apertium's input, and whether a full stop was added (`from_engine` wants to know).

    `piece` must have a word in it. Taggers expect a sentence, so one without an end gets a full stop.
    Recognisers write English "i": as a word of its own it means "I". First letters stay as they are:
    capitals turn "mark", "may" and "will" into names.
    """
    text = " ".join(_UNREADABLE.sub(" ", piece).split())
    if source == "en":
        text = _ENGLISH_I.sub("I", text)
    open_end = text[-1] not in ".?!"
    escaped = _SPECIAL.sub(r"\\\g<0>", text) + ("." if open_end else "")
    return (escaped + END_MARK).encode(), open_end


def from_engine(answer: bytes, open_end: bool) -> str:
    """What a pipeline answered, as text, on one line, with the added full stop taken off again."""
    text = answer.decode("utf-8", errors="replace").rstrip()
    text = text.removesuffix(END_MARK.rstrip()).rstrip()
    if open_end:
        text = text.removesuffix(".").rstrip()
    return " ".join(re.sub(r"\\(.)", r"\1", text).split())


def match_case(source: str, translation: str) -> str:
    """Start the translation in lower case where the source does (some pairs always write a capital).

    Acronyms, codes, and words that are the same in the source keep their form.
    """
    first = next((character for character in source if character.isalpha()), "")
    word = _FIRST_WORD.search(translation)
    if not first.islower() or word is None or word[0][1:] != word[0][1:].lower():
        return translation
    if word[0] in _FIRST_WORD.findall(source):
        return translation
    start = word.start()
    return translation[:start] + translation[start].lower() + translation[start + 1 :]
