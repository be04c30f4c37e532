"""What this stage asks for. Pure."""

from typing import ClassVar, Final

import msgspec

from stages.emotion.quality import Code
from streams.stage import Request

SPEAKER: Final = "speaker"


class Warn(Request, frozen=True):
    """Tell the speaker. Reply: `Warned`. at_ms: Unix milliseconds."""

    dependency: ClassVar[str] = SPEAKER
    attempts: ClassVar[int] = 1
    time_limit_s: ClassVar[float] = 3.0
    guarded: ClassVar[bool] = False

    code: Code
    active: bool
    at_ms: int


class Warned(msgspec.Struct, frozen=True, tag=True):
    """reached: whether there was somebody to tell, and a service to do it."""

    reached: bool
