"""What a speaker's broadcast is doing, as its stream tells it: paused, muted, how loud (rows W18, A7, B3). Pure.

Every change carries its number and the whole state after it, so a reader needs the newest only. Functions that run at
once may write changes out of order: one whose number is not above the last is out of date, or a repeat.
"""

from typing import Final

import msgspec

from streams.records import SessionEvent

CHANGES: Final = frozenset({"paused", "resumed", "muted", "unmuted", "volume", "state"})
"""The kinds of event that change it."""


class SpeakerState(msgspec.Struct, frozen=True):
    """volume: 0.0 to 1.0. version: the number of the change that made it so; 0 before the first that is counted."""

    is_paused: bool = False
    is_muted: bool = False
    volume: float = 1.0
    version: int = 0

    @property
    def is_quiet(self) -> bool:
        """Whether nothing that is said now may be heard (row A7)."""
        return self.is_paused or self.is_muted

    def after(self, event: SessionEvent) -> "SpeakerState | None":
        """The state after an event; None for a change that is out of date."""
        if event.event not in CHANGES:
            return self
        if not event.version:
            return self._after_uncounted(event)
        if event.version <= self.version:
            return None
        return SpeakerState(
            is_paused=self.is_paused if event.is_paused is None else event.is_paused,
            is_muted=self.is_muted if event.is_muted is None else event.is_muted,
            volume=self.volume if event.volume is None else event.volume,
            version=event.version,
        )

    def _after_uncounted(self, event: SessionEvent) -> "SpeakerState":
        replace = msgspec.structs.replace
        match event.event:
            case "paused" | "resumed":
                return replace(self, is_paused=event.event == "paused")
            case "muted" | "unmuted":
                return replace(self, is_muted=event.event == "muted")
            case "volume" if event.volume is not None:
                return replace(self, volume=event.volume)
        return self
