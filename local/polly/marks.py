"""Speech marks: when each sentence, word and SSML mark is heard, and where it stands in the request."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from local.polly.score import Mark, Passage, Score, Spoken

WORD: Final = re.compile(r"\w+(?:['’\-.]\w+)*")
SENTENCE: Final = re.compile(r"\S(?:.*?[.!?…]+[\"'’”»)\]]*(?=\s|$)|.*\S)?", re.DOTALL)
_ORDER: Final = {"sentence": 0, "ssml": 1, "word": 2}


def lines(request: str, score: Score, spoken: Spoken, kinds: Collection[str]) -> bytes:
    """The marks of the asked kinds (`sentence`, `word`, `ssml`), a JSON object a line, in order of time.

    `request` is the text as it was sent: a sentence is shown as it stands there, with its tags.
    """
    marks = [mark for mark in _all(score, spoken) if mark["type"] in kinds]
    data = request.encode("utf-8", "surrogatepass")
    for mark in marks:
        if mark["type"] == "sentence":
            mark["value"] = data[mark["start"] : mark["end"]].decode("utf-8", "replace")
    marks.sort(key=lambda mark: (mark["time"], _ORDER[mark["type"]]))
    return b"".join(msgspec.json.encode(mark) + b"\n" for mark in marks)


def _all(score: Score, spoken: Spoken) -> Iterator[dict[str, Any]]:
    for i, part in enumerate(score.parts):
        start_ms = spoken.part_times_ms[i]
        if isinstance(part, Mark):
            yield _mark(start_ms, "ssml", (part.start, part.end), part.name)
        elif isinstance(part, Passage):
            # eSpeak splits some words ("w", "000123") and repeats numbers: a word starts where its first bit does
            starts = [(word.start, word.time_ms) for word in spoken.words if word.part == i]
            end_ms = spoken.part_times_ms[i + 1]
            for at, mark in part.marks:
                time_ms = min((time_ms for character, time_ms in starts if character >= at), default=end_ms)
                yield _mark(time_ms, "ssml", (mark.start, mark.end), mark.name)
            if part.source:  # what is heard is not what is written, so it is one word and no sentence
                yield _mark(start_ms, "word", part.span(0, 0), part.source.strip())
            else:
                yield from _spans(part, WORD, "word", starts)
                yield from _spans(part, SENTENCE, "sentence", starts)


def _spans(
    part: Passage, pattern: re.Pattern[str], kind: str, starts: list[tuple[int, float]]
) -> Iterator[dict[str, Any]]:
    for match in pattern.finditer(part.text):
        times = [time_ms for character, time_ms in starts if match.start() <= character < match.end()]
        if times:
            yield _mark(min(times), kind, part.span(*match.span()), match[0])


def _mark(time_ms: float, kind: str, span: tuple[int, int], value: str) -> dict[str, Any]:
    return {"time": round(time_ms), "type": kind, "start": span[0], "end": span[1], "value": value}
