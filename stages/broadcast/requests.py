"""What the stage asks, and what is answered."""

from typing import ClassVar, Final

import msgspec

from streams.records import Caption, SessionEvent, SpeechPart
from streams.stage import Request

DELIVERY: Final = "delivery"


class Deliver(Request, frozen=True):
    """Send a record to its listeners: those of its language, or of the whole session for an event.

    Replies: `Queued` when it has its place behind what each listener still has to get, and last `Delivered`, within the
    delivery's budget. timestamp_s: Unix seconds, for the messages.
    """

    dependency: ClassVar[str] = DELIVERY
    long_lived: ClassVar[bool] = True
    time_limit_s: ClassVar[float] = 90.0  # over the longest backlog that settings allow

    record: Caption | SpeechPart | SessionEvent
    timestamp_s: int


class Queued(msgspec.Struct, frozen=True, tag=True):
    """In every listener's lane; the next may follow."""


class Delivered(msgspec.Struct, frozen=True, tag=True):
    """What became of it: numbers of listeners.

    posted_ms: when the first listener had the whole of it (Unix milliseconds); 0 if none had.
    """

    reached: int = 0
    gone: int = 0
    failed: int = 0
    dropped: int = 0
    posted_ms: int = 0
