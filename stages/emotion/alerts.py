"""What the speaker is told of the audio's quality, and when (row W15). Pure.

At most one warning per code in EVERY_MS; one that comes sooner waits, and is told then if it is still so. When what was
told is over, that is told at once. Time is the gateway's (when it had the chunk), so that a chunk that is read again
decides the same.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from stages.emotion.quality import Code

EVERY_MS: Final = 60_000


class Alert(NamedTuple):
    """To be told: a code, and whether it begins or is over. at_ms: Unix milliseconds."""

    code: Code
    active: bool
    at_ms: int


class AlertsState(msgspec.Struct):
    """What a snapshot keeps. active: what is so; told: what the speaker was told of and is not over; warned_ms: by
    code, when it was warned last."""

    active: list[Code] = []
    told: list[Code] = []
    warned_ms: dict[Code, int] = {}


class Alerts:
    """One session's warnings."""

    def __init__(self, state: AlertsState | None = None) -> None:
        state = state or AlertsState()
        self._active = dict.fromkeys(state.active)
        self._told = dict.fromkeys(state.told)
        self._warned_ms: dict[Code, int] = dict(state.warned_ms)

    def state(self) -> AlertsState:
        """What a snapshot keeps."""
        return AlertsState(list(self._active), list(self._told), dict(self._warned_ms))

    def on_change(self, code: Code, *, active: bool) -> None:
        """A measure has crossed its bound; `due` says what follows from it."""
        if active:
            self._active[code] = None
        else:
            self._active.pop(code, None)

    def due(self, at_ms: int) -> Iterator[Alert]:
        """What is to be told now; each is given once."""
        for code in [code for code in self._told if code not in self._active]:
            del self._told[code]
            yield Alert(code, active=False, at_ms=at_ms)
        for code in self._active:
            if code not in self._told and at_ms - self._warned_ms.get(code, at_ms - EVERY_MS) >= EVERY_MS:
                self._told[code] = None
                self._warned_ms[code] = at_ms
                yield Alert(code, active=True, at_ms=at_ms)
