"""Speech marks: when each sentence, word and SSML mark is heard, and where it stands in the request."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from local.polly.score import Mark, Passage, Score, Spoken

WORD: Final = re.compile(r"\w+(?:['’\-.]\w+)*")
SENTENCE: Final = re.compile(r"\S.*?(?:[.!?…]+[\"'’”»)\]]*(?=\s|$)|$)", re.DOTALL)
_ORDER: Final = {"sentence": 0, "ssml": 1, "word": 2}


def lines(score: Score, spoken: Spoken, kinds: Collection[str]) -> bytes:
    """The marks of the asked kinds (`sentence`, `word`, `ssml`), a JSON object a line, in order of time."""
    marks = [mark for mark in _all(score, spoken) if mark["type"] in kinds]
    marks.sort(key=lambda mark: (mark["time"], _ORDER[mark["type"]]))
    return b"".join(msgspec.json.encode(mark) + b"\n" for mark in marks)


def _all(score: Score, spoken: Spoken) -> Iterator[dict[str, Any]]:
    for i, part in enumerate(score.parts):
        start_ms = spoken.part_times_ms[i]
        if isinstance(part, Mark):
            yield _mark(start_ms, "ssml", part.start, part.end, part.name)
        elif isinstance(part, Passage):
            # eSpeak splits some words ("w", "000123") and repeats numbers: a word starts where its first bit does
            starts = [(word.start, word.time_ms) for word in spoken.words if word.part == i]
            yield from _spans(part, WORD, "word", starts, start_ms)
            yield from _spans(part, SENTENCE, "sentence", starts, start_ms)


def _spans(
    part: Passage, pattern: re.Pattern[str], kind: str, starts: list[tuple[int, float]], start_ms: float
) -> Iterator[dict[str, Any]]:
    if part.source:  # an alias: what is heard is not what is written, so it is one word and no sentence
        if kind == "word":
            yield _mark(start_ms, kind, part.offsets[0], part.offsets[-1], part.source.strip())
        return
    for match in pattern.finditer(part.text):
        times = [time_ms for character, time_ms in starts if match.start() <= character < match.end()]
        if times:
            first, last = part.offsets[match.start()], part.offsets[match.end()]
            yield _mark(min(times), kind, first, last, match[0])


def _mark(time_ms: float, kind: str, start: int, end: int, value: str) -> dict[str, Any]:
    return {"time": round(time_ms), "type": kind, "start": start, "end": end, "value": value}
