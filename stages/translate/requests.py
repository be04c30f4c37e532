"""What the stage asks of its services, and what they answer."""

from typing import ClassVar, Final

import msgspec

from stages.translate.prosody import Prosody
from streams.records import Dynamics
from streams.stage import Request

LISTENERS: Final = "listeners"
DYNAMICS: Final = "dynamics"
TRANSLATE: Final = "translate"
POLLY: Final = "polly"


class FindLanguages(Request, frozen=True):
    """Which languages of this session have a listener now? Reply: `Languages`."""

    dependency: ClassVar[str] = LISTENERS
    time_limit_s: ClassVar[float] = 3.0


class Languages(msgspec.Struct, frozen=True, tag=True):
    """ISO 639-1 codes, sorted, each once."""

    codes: list[str]


class FindDynamics(Request, frozen=True):
    """How was this span of the media clock said? Reply: `FoundDynamics`, soon, whatever is known."""

    dependency: ClassVar[str] = DYNAMICS
    attempts: ClassVar[int] = 1
    time_limit_s: ClassVar[float] = 2.0
    guarded: ClassVar[bool] = False

    start_ms: int
    end_ms: int


class FoundDynamics(msgspec.Struct, frozen=True, tag=True):
    """The dynamics, neutral where nothing is known."""

    dynamics: Dynamics


class Translate(Request, frozen=True):
    """Translate a text of any length. source, target: ISO 639-1. Reply: `Translated`."""

    dependency: ClassVar[str] = TRANSLATE

    text: str
    source: str
    target: str


class Translated(msgspec.Struct, frozen=True, tag=True):
    """The text in the target language. cached: no call was needed."""

    text: str
    cached: bool = False


class Synthesize(Request, frozen=True):
    """Speak a text of any length. language: ISO 639-1. Reply: `Synthesized`."""

    dependency: ClassVar[str] = POLLY

    text: str
    language: str
    prosody: Prosody


class Synthesized(msgspec.Struct, frozen=True, tag=True):
    """PCM16LE mono. ssml: what was spoken; empty where the voice took plain text only. voice: its id."""

    pcm: bytes
    ssml: str
    voice: str
    sample_rate_hz: int
