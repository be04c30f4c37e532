"""When something was said, on the gateway's clock. Pure.

A speaker says when each chunk was captured, by a clock that may be wrong by any amount; the gateway knows when it came,
which may be a minute later, if the network stood still or a refused chunk was sent again. The clocks differ by what the
quickest chunk of late needed: what a chunk needed beyond that is its delay.
"""

from typing import Final

import msgspec

WINDOW_MS: Final = 120_000
"""How long a chunk counts as of late, at the least; at the most, twice that. A clock that is set is believed then."""


class SpeakerClockState(msgspec.Struct):
    """What a snapshot keeps: how far the gateway's clock was ahead, at the least, in this window and the one before."""

    since_ms: int = 0
    ahead_ms: int | None = None
    ahead_before_ms: int | None = None


class SpeakerClock:
    """One session's."""

    def __init__(self, state: SpeakerClockState | None = None) -> None:
        self.state = state or SpeakerClockState()

    def note(self, captured_ms: int, admitted_ms: int) -> None:
        """A chunk came."""
        last = self.state
        ahead_ms = admitted_ms - captured_ms
        if last.ahead_ms is None or admitted_ms - last.since_ms >= WINDOW_MS:
            self.state = SpeakerClockState(admitted_ms, ahead_ms, last.ahead_ms)
        elif ahead_ms < last.ahead_ms:
            self.state = SpeakerClockState(last.since_ms, ahead_ms, last.ahead_before_ms)

    def spoken_ms(self, captured_ms: int | None, admitted_ms: int) -> int:
        """When the chunk was captured, in Unix milliseconds of the gateway's clock."""
        known = [ahead for ahead in (self.state.ahead_ms, self.state.ahead_before_ms) if ahead is not None]
        if captured_ms is None or not known:
            return admitted_ms
        return min(admitted_ms, captured_ms + min(known))
