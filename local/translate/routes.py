"""Which languages the installed Apertium packages can translate, and by which pipelines.

A pair's package installs `modes/SOURCE-TARGET.mode`: one shell line, programs joined by `|`. Nothing
about pairs is typed in here; a package that is not installed is a pair that is not offered.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import groupby
from pathlib import Path
from typing import Final

from local.translate.languages import source_codes, target_code

MODES_DIRECTORY: Final = Path("/usr/share/apertium/modes")
"""Where Debian's packages put their modes."""

_MODE_NAME: Final = re.compile(r"(?P<source>[a-z]{2,3})-(?P<target>[a-z]{2,3})(?:_(?P<variant>\w+))?")


@dataclass(frozen=True, order=True)
class Leg:
    """One Apertium mode: a direct translation. `commands` are its programs, in order, as argument lists;
    `data_bytes` is the size of the files that they load, which is what their memory grows with."""

    mode: str
    source: str
    target: str
    commands: tuple[tuple[str, ...], ...]
    data_bytes: int = 0


def parse_mode(line: str) -> tuple[tuple[str, ...], ...]:
    """The programs of a mode, made resident.

    `-z` makes every program flush at NUL, so that one pipeline serves many texts. `$1` stands for how
    the generator shows what it doesn't know: `-n` leaves such words as they were, unmarked. `$2` is
    for showing tags, and empty.
    """
    words = [("-n" if word == "$1" else word) for word in shlex.split(line) if word != "$2"]
    stages = [list(stage) for bar, stage in groupby(words, key=lambda word: word == "|") if not bar]
    return tuple((program, "-z", *rest) for program, *rest in stages)


def read_modes(directory: Path = MODES_DIRECTORY) -> tuple[Leg, ...]:
    """Every translation that is installed and whole (programs and data are there), by mode name."""
    legs: list[Leg] = []
    for file in sorted(directory.glob("*.mode")):
        name = _MODE_NAME.fullmatch(file.stem)
        target = name and target_code(name["target"], name["variant"] or "")
        if not name or not target:
            continue
        commands = parse_mode(file.read_text(encoding="utf-8"))
        if not commands or not all(_is_runnable(command) for command in commands):
            continue
        size = sum(data.stat().st_size for command in commands for data in _data(command))
        legs += [Leg(file.stem, source, target, commands, size) for source in source_codes(name["source"])]
    return tuple(legs)


def _data(command: tuple[str, ...]) -> list[Path]:
    return [Path(argument) for argument in command[1:] if argument.startswith("/")]


def _is_runnable(command: tuple[str, ...]) -> bool:
    return shutil.which(command[0]) is not None and all(file.exists() for file in _data(command))


class Routes:
    """The graph of the installed translations: which pairs there are, and over which languages."""

    def __init__(self, legs: Iterable[Leg]) -> None:
        self._from: dict[str, list[Leg]] = {}
        for leg in legs:
            self._from.setdefault(leg.source, []).append(leg)
        self._found: dict[str, dict[str, tuple[Leg, ...]]] = {}

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that are in at least one pair, sorted."""
        targets = {leg.target for legs in self._from.values() for leg in legs}
        return tuple(sorted(targets | set(self._from)))

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """All (source, target) that can be translated, sorted."""
        return tuple((source, target) for source in self.languages for target in sorted(self._reach(source)))

    def find(self, source: str, target: str) -> tuple[Leg, ...] | None:
        """The way with the fewest legs, among those the one with the least data, or None if there is none."""
        return self._reach(source).get(target)

    def _reach(self, source: str) -> dict[str, tuple[Leg, ...]]:
        if source not in self._from:
            return {}
        if source not in self._found:
            ways: dict[str, tuple[Leg, ...]] = {}
            queue: list[tuple[int, int, str, tuple[Leg, ...]]] = [(0, 0, source, ())]
            while queue:
                legs, size, here, way = heappop(queue)
                if here in ways:
                    continue
                ways[here] = way
                for leg in self._from.get(here, ()):
                    heappush(queue, (legs + 1, size + leg.data_bytes, leg.target, (*way, leg)))
            self._found[source] = {target: way for target, way in ways.items() if way}
        return self._found[source]
