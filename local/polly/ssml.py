"""SSML, read as strictly as the service reads it: what it refuses is refused here.

`read` makes a `Score` of a document. Tags, attributes and values are those of the developer guide's
"Supported SSML tags"; what an engine can't do is refused with its own message. What the names of values
mean in numbers is in `levels`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from xml.parsers import expat

from local.polly.levels import (
    BREAKS_MS,
    COMMA_MS,
    EMPHASIS,
    MAX_BREAK_MS,
    PARAGRAPH_MS,
    PITCHES_PERCENT,
    RATES,
    SENTENCE_MS,
    VOLUMES_DB,
)
from local.polly.score import Mark, Passage, Pause, Prosody, Score
from local.polly.voices import LANGUAGES, NEURAL, STANDARD, Voice

_SAY_AS: Final = frozenset(
    [
        "characters",
        "spell-out",
        "cardinal",
        "number",
        "ordinal",
        "digits",
        "fraction",
        "unit",
        "date",
        "time",
        "address",
        "expletive",
        "telephone",
    ]
)
_DATE_FORMATS: Final = frozenset(["mdy", "dmy", "ymd", "md", "dm", "ym", "my", "d", "m", "y", "yyyymmdd"])
_ALPHABETS: Final = frozenset({"ipa", "x-sampa", "x-amazon-jyutping", "x-amazon-pinyin", "x-amazon-pron-kana"})
_BREATH: Final = {
    "volume": frozenset(["default", "x-soft", "soft", "medium", "loud", "x-loud"]),
    "duration": frozenset(["default", "x-short", "short", "medium", "long", "x-long"]),
    "frequency": frozenset(["default", "x-low", "low", "medium", "high", "x-high"]),
}
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_DECIBELS: Final = re.compile(r"([+-]\d+(?:\.\d+)?)dB", re.IGNORECASE)
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)%")
_SIGNED_PERCENT: Final = re.compile(r"([+-]?\d+(?:\.\d+)?)%")
_TAG: Final = re.compile(rb"""<(?:"[^"]*"|'[^']*'|[^>"'])*>""")
_MALFORMED: Final = "Invalid SSML request"
_NOT_NEURAL: Final = "Unsupported Neural feature"

Attributes = Mapping[str, str]


class InvalidSsml(Exception):
    """The document is refused. The message is for the caller and holds nothing of the text."""


def plain(text: str) -> Score:
    """A text without tags, as a score."""
    return Score((Passage(text, Prosody(), _offsets(text, 0)[:-1]),), len(text))


def read(document: str, voice: Voice, engine: str) -> Score:
    """Read an SSML document for a voice and engine. Raises `InvalidSsml`."""
    reader = _Reader(voice, engine)
    try:
        data = document.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidSsml(_MALFORMED) from error
    return reader.read(data)


def _offsets(text: str, start: int) -> tuple[int, ...]:
    offsets = [start]
    for character in text:
        offsets.append(offsets[-1] + len(character.encode("utf-8", errors="surrogatepass")))
    return tuple(offsets)


class _Reader:
    """One pass over one document. Expat, because it knows where each character stands in the bytes."""

    def __init__(self, voice: Voice, engine: str) -> None:
        self._voice = voice
        self._neural = engine != STANDARD
        self._engine = engine
        self._parts: list[Passage | Pause | Mark] = []
        self._tags: list[str] = []
        self._prosody = [Prosody()]
        self._data = b""
        self._text = ""
        self._offsets: list[int] = []
        self._text_end = 0
        self._marks: list[tuple[int, Mark]] = []
        self._alias: str | None = None
        self._say_as = ""
        self._billed = 0
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = False
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype

    def read(self, data: bytes) -> Score:
        self._data = data
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise InvalidSsml(f"{_MALFORMED}: not well-formed at line {error.lineno}") from error
        return Score(tuple(self._parts), self._billed)

    def _doctype(self, *_: object) -> None:
        raise InvalidSsml(f"{_MALFORMED}: no document type may be declared")

    def _characters(self, data: str) -> None:
        at = self._parser.CurrentByteIndex
        offsets = _offsets(data, at)
        self._text += data
        self._offsets += offsets[:-1]
        self._text_end = offsets[-1]
        self._billed += len(data)

    def _flush(self) -> None:
        """End the passage: what follows may be spoken in another way, or come after something else."""
        text, offsets, marks = self._text, tuple(self._offsets), tuple(self._marks)
        self._text = ""
        self._offsets.clear()
        self._marks.clear()
        if not text.strip():
            self._parts += [mark for _, mark in marks]
            return
        spoken = self._spoken_instead(text)
        if spoken is None:
            self._add(Passage(text, self._prosody[-1], offsets, marks=marks))
        else:
            self._parts.append(Passage(spoken, self._prosody[-1], (offsets[0], self._text_end), text, marks))

    def _spoken_instead(self, text: str) -> str | None:
        if self._alias is not None:
            return self._alias
        if self._say_as in ("characters", "spell-out", "digits", "telephone"):
            return " ".join(character for character in text if not character.isspace())
        return "beep" if self._say_as == "expletive" else None

    def _add(self, passage: Passage) -> None:
        """A tag that changes nothing must not be heard as a pause: what is spoken alike is spoken at once."""
        last = self._parts[-1] if self._parts else None
        if isinstance(last, Passage) and not last.source and last.prosody == passage.prosody:
            moved = tuple((len(last.text) + at, mark) for at, mark in passage.marks)
            self._parts[-1] = replace(
                last, text=last.text + passage.text, offsets=last.offsets + passage.offsets, marks=last.marks + moved
            )
        else:
            self._parts.append(passage)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if (tag == "speak") != (not self._tags):
            raise InvalidSsml(f"{_MALFORMED}: <speak> must be the one outermost tag")
        handler = _TAGS.get(tag)
        if handler is None:
            raise InvalidSsml(f"{_MALFORMED}: unknown tag")
        if tag != "mark":  # a mark is between two words of one breath
            self._flush()
        self._tags.append(tag)
        self._prosody.append(handler(self, attributes))

    def _end(self, tag: str) -> None:
        if tag != "mark":
            self._flush()
        self._tags.pop()
        self._prosody.pop()
        if tag in ("p", "s"):
            self._pause(PARAGRAPH_MS if tag == "p" else SENTENCE_MS)
        elif tag == "sub":
            self._alias = None
        elif tag == "say-as":
            self._say_as = ""

    def _pause(self, duration_ms: float) -> None:
        """A natural pause. Where several meet, as at `</s></p>`, the longest counts."""
        if self._parts and isinstance(self._parts[-1], Pause) and self._parts[-1].natural:
            duration_ms = max(duration_ms, self._parts[-1].duration_ms)
            self._parts.pop()
        if self._parts:
            self._parts.append(Pause(duration_ms, natural=True))

    def _take(self, attributes: Attributes, *allowed: str, required: tuple[str, ...] = ()) -> None:
        if not set(attributes) <= set(allowed) | set(required) or not set(required) <= set(attributes):
            raise InvalidSsml(f"{_MALFORMED}: wrong attributes of <{self._tags[-1]}>")

    def _refuse_neural(self) -> None:
        if self._neural:
            raise InvalidSsml(_NOT_NEURAL)

    def _bad(self, attribute: str) -> InvalidSsml:
        return InvalidSsml(f"{_MALFORMED}: wrong value of {attribute} in <{self._tags[-1]}>")

    def _one_of(self, attributes: Attributes, name: str, allowed: Mapping[str, object] | frozenset[str]) -> str:
        value = attributes[name]
        if value not in allowed:
            raise self._bad(name)
        return value

    def _speak(self, attributes: Attributes) -> Prosody:
        for name in attributes:
            if name not in ("version", "xml:lang", "xsi:schemaLocation") and not name.startswith("xmlns"):
                raise InvalidSsml(f"{_MALFORMED}: wrong attributes of <speak>")
        return self._prosody[-1]

    def _structure(self, attributes: Attributes) -> Prosody:
        self._take(attributes)
        self._pause(SENTENCE_MS)
        return self._prosody[-1]

    def _break(self, attributes: Attributes) -> Prosody:
        self._take(attributes, "strength", "time")
        duration_ms = COMMA_MS
        if "strength" in attributes:
            duration_ms = BREAKS_MS[self._one_of(attributes, "strength", BREAKS_MS)]
        if "time" in attributes:
            duration_ms = self._time(attributes, "time")
            if duration_ms > MAX_BREAK_MS:
                raise self._bad("time")
        self._parts.append(Pause(duration_ms))
        return self._prosody[-1]

    def _mark(self, attributes: Attributes) -> Prosody:
        self._take(attributes, required=("name",))
        start = self._parser.CurrentByteIndex
        tag = _TAG.match(self._data, start)
        self._marks.append((len(self._text), Mark(attributes["name"], start, tag.end() if tag else start)))
        return self._prosody[-1]

    def _emphasis(self, attributes: Attributes) -> Prosody:
        self._take(attributes, "level")
        self._refuse_neural()
        level = self._one_of(attributes, "level", EMPHASIS) if attributes else "moderate"
        gain_db, factor = EMPHASIS[level]
        now = self._prosody[-1]
        louder = None if now.gain_db is None else now.gain_db + gain_db
        return replace(now, gain_db=louder, rate=now.rate * factor)

    def _prosody_tag(self, attributes: Attributes) -> Prosody:
        self._take(attributes, "rate", "volume", "pitch", "amazon:max-duration")
        if not attributes:
            raise InvalidSsml(f"{_MALFORMED}: <prosody> needs an attribute")
        now = self._prosody[-1]
        if "pitch" in attributes or "amazon:max-duration" in attributes:
            self._refuse_neural()
        if "amazon:max-duration" in attributes:
            self._time(attributes, "amazon:max-duration")
        if "rate" in attributes:
            now = replace(now, rate=self._rate(attributes))
        if "volume" in attributes:
            now = replace(now, gain_db=self._volume(attributes, now.gain_db))
        if "pitch" in attributes:
            now = replace(now, pitch_percent=self._pitch(attributes))
        return now

    def _rate(self, attributes: Attributes) -> float:
        percent = _PERCENT.fullmatch(attributes["rate"])
        if percent is None:
            return RATES[self._one_of(attributes, "rate", RATES)]
        rate = float(percent[1]) / 100
        if not 0.2 <= rate <= 2.0:
            raise self._bad("rate")
        return rate

    def _volume(self, attributes: Attributes, now_db: float | None) -> float | None:
        decibels = _DECIBELS.fullmatch(attributes["volume"])
        if decibels is None:
            return VOLUMES_DB[self._one_of(attributes, "volume", VOLUMES_DB)]
        return None if now_db is None else now_db + float(decibels[1])

    def _pitch(self, attributes: Attributes) -> float:
        percent = _SIGNED_PERCENT.fullmatch(attributes["pitch"])
        if percent is None:
            return PITCHES_PERCENT[self._one_of(attributes, "pitch", PITCHES_PERCENT)]
        return min(50.0, max(-33.3, float(percent[1])))  # the guide's bounds, beyond which nothing changes

    def _time(self, attributes: Attributes, name: str) -> float:
        match = _TIME.fullmatch(attributes[name])
        if match is None:
            raise self._bad(name)
        return float(match[1]) * (1000 if match[2] == "s" else 1)

    def _sub(self, attributes: Attributes) -> Prosody:
        self._take(attributes, required=("alias",))
        self._alias = attributes["alias"]
        return self._prosody[-1]

    def _say_as_tag(self, attributes: Attributes) -> Prosody:
        self._take(attributes, "format", required=("interpret-as",))
        self._say_as = self._one_of(attributes, "interpret-as", _SAY_AS)
        if "format" in attributes:
            if self._say_as != "date":
                raise self._bad("format")
            self._one_of(attributes, "format", _DATE_FORMATS)
        return self._prosody[-1]

    def _lang(self, attributes: Attributes) -> Prosody:
        self._take(attributes, "onlangfailure", required=("xml:lang",))
        return replace(self._prosody[-1], language_code=self._one_of(attributes, "xml:lang", LANGUAGES))

    def _phoneme(self, attributes: Attributes) -> Prosody:
        """Checked; the text is spoken by eSpeak's own rules, which read neither alphabet."""
        self._take(attributes, required=("alphabet", "ph"))
        self._one_of(attributes, "alphabet", _ALPHABETS)
        return self._prosody[-1]

    def _w(self, attributes: Attributes) -> Prosody:
        self._take(attributes, required=("role",))
        if not attributes["role"].startswith("amazon:"):
            raise self._bad("role")
        return self._prosody[-1]

    def _effect(self, attributes: Attributes) -> Prosody:
        self._take(attributes, "name", "phonation", "vocal-tract-length")
        now = self._prosody[-1]
        if attributes == {"name": "drc"}:
            return now
        self._refuse_neural()
        if attributes == {"name": "whispered"}:
            return replace(now, whispered=True)
        if attributes == {"phonation": "soft"}:
            return replace(now, gain_db=None if now.gain_db is None else now.gain_db - 6.0)
        if set(attributes) == {"vocal-tract-length"}:
            if not _SIGNED_PERCENT.fullmatch(attributes["vocal-tract-length"]):
                raise self._bad("vocal-tract-length")
            return now
        raise InvalidSsml(f"{_MALFORMED}: wrong attributes of <amazon:effect>")

    def _breaths(self, attributes: Attributes) -> Prosody:
        self._take(attributes, *_BREATH)
        self._refuse_neural()
        for name in attributes:
            self._one_of(attributes, name, _BREATH[name])
        return self._prosody[-1]

    def _domain(self, attributes: Attributes) -> Prosody:
        self._take(attributes, required=("name",))
        allowed = frozenset({"news"}) if self._engine == NEURAL and self._voice.news else frozenset[str]()
        if self._one_of(attributes, "name", frozenset({"news", "conversational"})) not in allowed:
            raise InvalidSsml("This voice does not support one of the used SSML features")
        return self._prosody[-1]


_TAGS: Final[Mapping[str, Callable[[_Reader, Attributes], Prosody]]] = {
    "speak": _Reader._speak,
    "p": _Reader._structure,
    "s": _Reader._structure,
    "break": _Reader._break,
    "mark": _Reader._mark,
    "emphasis": _Reader._emphasis,
    "prosody": _Reader._prosody_tag,
    "sub": _Reader._sub,
    "say-as": _Reader._say_as_tag,
    "lang": _Reader._lang,
    "phoneme": _Reader._phoneme,
    "w": _Reader._w,
    "amazon:effect": _Reader._effect,
    "amazon:auto-breaths": _Reader._breaths,
    "amazon:breath": _Reader._breaths,
    "amazon:domain": _Reader._domain,
}
