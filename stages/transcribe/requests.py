"""What the stage asks of a recogniser, and what it answers. Times are milliseconds from the start of the stream."""

from typing import ClassVar, TypeAlias

import msgspec

from streams.stage import Request

DEPENDENCY = "transcribe"


class OpenRecogniser(Request, frozen=True):
    """Open a stream, and hear from it until it ends.

    Replies: `Opened`, then `Heard` values, and last `Ended` when an `EndAudio` asked for the end; any other end is a
    failure (StreamBroken, or what the service said). stream: chosen by the stage, unique for ever within its session.
    """

    dependency: ClassVar[str] = DEPENDENCY
    long_lived: ClassVar[bool] = True
    time_limit_s: ClassVar[float] = 5.0

    stream: str
    language_code: str


class SendAudio(Request, frozen=True):
    """Feed PCM16LE, mono, 16 kHz. The reply, `Taken`, comes when the stream has taken it (flow control)."""

    dependency: ClassVar[str] = DEPENDENCY
    attempts: ClassVar[int] = 1
    guarded: ClassVar[bool] = False

    stream: str
    pcm: bytes


class EndAudio(Request, frozen=True):
    """No more audio: the stream gives its last results and ends. Reply: `Taken`."""

    dependency: ClassVar[str] = DEPENDENCY
    attempts: ClassVar[int] = 1
    guarded: ClassVar[bool] = False

    stream: str


class Abandon(Request, frozen=True):
    """Let go of the stream at once, whatever it still has to say. Reply: `Taken`."""

    dependency: ClassVar[str] = DEPENDENCY
    attempts: ClassVar[int] = 1
    guarded: ClassVar[bool] = False

    stream: str


class RecognisedWord(msgspec.Struct, frozen=True, array_like=True):
    """A word with the punctuation that follows it.

    confidence: 0 to 1, or None when not given. stable: whether the service promises not to change it; None when it
    makes no promises.
    """

    text: str
    start_ms: int
    end_ms: int
    confidence: float | None = None
    stable: bool | None = None


class Result(msgspec.Struct, frozen=True):
    """A stretch of speech as heard so far; each result of the same id replaces the one before."""

    result_id: str
    start_ms: int
    end_ms: int
    is_partial: bool
    words: list[RecognisedWord]


class Opened(msgspec.Struct, frozen=True, tag=True):
    """The stream takes audio."""


class Heard(msgspec.Struct, frozen=True, tag=True):
    """One message of results."""

    results: list[Result]


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The stream ended as asked, after its last result."""


class Taken(msgspec.Struct, frozen=True, tag=True):
    """Done as asked."""


Answer: TypeAlias = Opened | Heard | Ended | Taken
