"""What is to be spoken, part by part: the language between the SSML reader, the worker and the marks."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Prosody:
    """How a passage is spoken. `rate` 1.0 is normal; `gain_db` None is silence; `pitch_percent` is relative."""

    rate: float = 1.0
    gain_db: float | None = 0.0
    pitch_percent: float = 0.0
    language_code: str | None = None
    whispered: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """An SSML mark, at `start` to `end` in bytes of the request."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Passage:
    """Text spoken in one way. `offsets[i]` is where its i-th character starts in the request, in bytes of UTF-8.

    `source` is what the request has in place of the text, where that is something else (an alias); `offsets`
    are then its start and end. `marks` are those within the text, each before a character of it.
    """

    text: str
    prosody: Prosody
    offsets: tuple[int, ...]
    source: str = ""
    marks: tuple[tuple[int, Mark], ...] = ()

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Bytes of the request that the characters `start` to `end` of the text stand in."""
        if self.source:
            return self.offsets[0], self.offsets[1]
        return self.offsets[start], self.offsets[end - 1] + len(self.text[end - 1].encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence. A `natural` one, between sentences, is dropped at either end of the sound."""

    duration_ms: float
    natural: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """A whole request, read. `billed` is its number of characters without tags."""

    parts: tuple[Passage | Pause | Mark, ...]
    billed: int


class Utter(msgspec.Struct, frozen=True, tag=True):
    """To a worker: speak this. `gain_db` is on top of `sound.NOMINAL_GAIN_DB`; None is silence of that length."""

    text: str
    voice: str
    rate: float
    pitch_percent: float
    gain_db: float | None


class Rest(msgspec.Struct, frozen=True, tag=True):
    """To a worker: be silent. Also with 0 ms, to hold a mark's place."""

    duration_ms: float
    natural: bool


class Job(msgspec.Struct, frozen=True):
    """To a worker: one request's parts, in order, and the sample rate wanted."""

    parts: list[Utter | Rest]
    sample_rate_hz: int


class Word(msgspec.Struct, frozen=True):
    """A word that was spoken: characters of its part's text, and when it starts in the whole sound."""

    part: int
    start: int
    length: int
    time_ms: float


class Spoken(msgspec.Struct, frozen=True, tag=True):
    """From a worker: PCM16LE mono, when each part starts and, one more, the last ends, and when each word starts."""

    pcm: bytes
    part_times_ms: list[float]
    words: list[Word] = msgspec.field(default_factory=list)


class Failed(msgspec.Struct, frozen=True, tag=True):
    """From a worker: the engine could not do it. The reason never holds the text."""

    reason: str
