"""Custom terminologies: terms that have a translation of the customer's own.

The CSV's first line holds language codes, each further line one term in those languages. With
directionality `UNI` the first column is the source; with `MULTI` any column may be. Terms are matched as
the service does: whole words, letter for letter, capitals included, the longest first.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

MAX_FILE_BYTES: Final = 10_000_000
"""The service's limit on a terminology file: 10 MB."""
MAX_TERMINOLOGIES: Final = 100
"""The service's limit per account and region."""

_BYTE_ORDER_MARK: Final = "\ufeff"
_FORMATS: Final = {"CSV": ",", "TSV": "\t"}


class InvalidTerminology(Exception):
    """The file is not what its format says; the message says where."""


@dataclass(frozen=True)
class Terminology:
    """One terminology as it was imported; `terms` are rows of language code to text, blanks left out."""

    name: str
    description: str
    format: str
    directionality: str
    languages: tuple[str, ...]
    terms: tuple[Mapping[str, str], ...]
    skipped: int
    file: bytes
    created_at: datetime
    updated_at: datetime

    @property
    def source(self) -> str:
        """The source language's code; the first column's, also where all directions are allowed."""
        return self.languages[0]

    def between(self, source: str, target: str) -> dict[str, str]:
        """The terms for a pair, source to target text; empty where the terminology has no such direction."""
        if self.directionality == "UNI" and source != self.source:
            return {}
        return {row[source]: row[target] for row in self.terms if source in row and target in row}


def parse(data: bytes, file_format: str) -> tuple[tuple[str, ...], tuple[Mapping[str, str], ...], int]:
    """Languages, terms and the number of lines skipped (without a source term). Raises `InvalidTerminology`."""
    if file_format not in _FORMATS:
        raise InvalidTerminology(f"format {file_format} is not read here: {', '.join(_FORMATS)} are")
    if len(data) > MAX_FILE_BYTES:
        raise InvalidTerminology(f"the file has more than {MAX_FILE_BYTES} bytes")
    try:
        text = data.decode("utf-8").removeprefix(_BYTE_ORDER_MARK)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=_FORMATS[file_format], strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidTerminology(f"the file is not {file_format} in UTF-8: {error}") from error
    languages = tuple(code.strip() for code in rows[0]) if rows else ()
    if len(languages) < 2 or not all(languages) or len(set(languages)) != len(languages):
        raise InvalidTerminology("the first line must name two or more different languages")
    terms: list[Mapping[str, str]] = []
    skipped = 0
    for number, row in enumerate(rows[1:], start=2):
        if len(row) > len(languages):
            raise InvalidTerminology(f"line {number} has {len(row)} columns, the first line {len(languages)}")
        term = {code: cell.strip() for code, cell in zip(languages, row, strict=False) if cell.strip()}
        if languages[0] in term and len(term) > 1:
            terms.append(term)
        elif term:
            skipped += 1
    return languages, tuple(terms), skipped


@dataclass(frozen=True)
class Kept:
    """A text with its terms replaced by codes that every pair leaves alone, and what they stand for."""

    text: str
    used: tuple[tuple[str, str], ...]
    stand_ins: Mapping[str, str]

    def restore(self, translation: str) -> str:
        """Put the target terms where their codes are."""
        if not self.stand_ins:
            return translation
        pattern = re.compile("|".join(map(re.escape, self.stand_ins)))
        return pattern.sub(lambda match: self.stand_ins[match[0]], translation)


def keep_terms(text: str, terms: Mapping[str, str]) -> Kept:
    """Replace each term of `terms` (source to target text) that stands in the text, the longest first."""
    present = sorted((term for term in terms if term in text), key=lambda term: (-len(term), term))
    if not present:
        return Kept(text, (), {})
    prefix = "qzt"
    while prefix in text:
        prefix += "z"
    stand_ins: dict[str, str] = {}
    used: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        code = f"{prefix}{len(stand_ins):06d}"
        stand_ins[code] = terms[match[0]]
        used[match[0]] = terms[match[0]]
        return code

    pattern = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, present)) + r")(?!\w)")
    replaced = pattern.sub(replace, text)
    return Kept(replaced, tuple(used.items()), stand_ins)


class Terminologies:
    """All terminologies of the twin, by name; kept in memory only."""

    def __init__(self) -> None:
        self._by_name: dict[str, Terminology] = {}

    def put(
        self, name: str, description: str, data: bytes, file_format: str, directionality: str, now: datetime
    ) -> Terminology:
        """Import or overwrite one. Raises `InvalidTerminology`, and `OverflowError` when there are too many."""
        languages, terms, skipped = parse(data, file_format)
        old = self._by_name.get(name)
        if old is None and len(self._by_name) >= MAX_TERMINOLOGIES:
            raise OverflowError(f"there are {MAX_TERMINOLOGIES} terminologies already")
        created_at = old.created_at if old else now
        self._by_name[name] = Terminology(
            name, description, file_format, directionality, languages, terms, skipped, data, created_at, now
        )
        return self._by_name[name]

    def get(self, name: str) -> Terminology:
        """Raises `KeyError`."""
        return self._by_name[name]

    def delete(self, name: str) -> None:
        """Raises `KeyError`."""
        del self._by_name[name]

    def all(self) -> Sequence[Terminology]:
        """By name."""
        return [self._by_name[name] for name in sorted(self._by_name)]
