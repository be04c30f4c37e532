"""How late words are, and what is still worth speaking (row S8). Pure: the time comes in.

When a stage was away, its backlog is worked off in order, and each language of a session has a budget of lateness.
Partials go first: they are worth something only while they are fresh. Speech is left out only past a budget that a
restart, or a lease that expires, does not reach; and once it is left out, it stays out until the listener would be at
the speaker's side again, so that a long pause is one gap and not a talk that is behind for ever. Where lateness falls
no further, because an engine is slow, that is as near as one gets. Captions have it all.

A stage decides for each clause when its turn comes, and puts the decision into the record that it emits; so whoever
does the work again, at another time, finds it and does not decide again.
"""

from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple, TypeAlias

from msgspec import Meta

from streams import times

PARTIALS_S: Final = 5.0
"""A partial is out of date after 200 ms, when the next may come; 5 s late it only holds up what is newer."""
SPEECH_S: Final = 45.0
"""Between what must be spoken whole, a stage that is away for 30 s (the recogniser's 8-fold pace, a slow engine and the
way to the listener come on top: 40 s), and what must be caught up with, the 60 s of an open breaker."""
RESUME_S: Final = 10.0
"""Twice what a clause takes at the worst from end to end (row N6)."""

STALLED_MS: Final = 20_000
STALLED_GAIN_MS: Final = 2_000
"""A backlog is worked off several times as fast as it was spoken; less gain than this in so long is none."""

PartialsS: TypeAlias = Annotated[float, Meta(ge=0.5, le=3_600)]
SpeechS: TypeAlias = Annotated[float, Meta(ge=5, le=86_400)]
ResumeS: TypeAlias = Annotated[float, Meta(ge=1, le=86_400)]


class LagBudget(NamedTuple):
    """How late is too late, in milliseconds: a partial, speech, and speech once some has been left out."""

    partials_ms: float
    speech_ms: float
    resume_ms: float

    @classmethod
    def of(cls, partials_s: float, speech_s: float, resume_s: float) -> "LagBudget":
        """From settings. To resume later than one leaves out would mean nothing: the lower counts."""
        return cls(partials_s * 1000, speech_s * 1000, min(resume_s, speech_s) * 1000)


class Lateness:
    """One language's, clause after clause. behind: whether the last clause was left out."""

    def __init__(self, budget: LagBudget, *, behind: bool = False) -> None:
        self.behind = behind
        self._budget = budget
        self._measured: tuple[int, float] | None = None  # when, and how late, while behind and within the budget

    def is_over(self, late_ms: float) -> bool:
        """Whether speech so late is left out, whatever was before."""
        return late_ms > self._budget.speech_ms

    def leaves_out(self, late_ms: float, now_ms: int) -> bool:
        """Whether the next clause, so late, is left out."""
        if self.is_over(late_ms):
            self.behind, self._measured = True, None
        elif self.behind and (late_ms <= self._budget.resume_ms or self._has_stalled(late_ms, now_ms)):
            self.behind = False
        return self.behind

    def _has_stalled(self, late_ms: float, now_ms: int) -> bool:
        if self._measured is None:
            self._measured = now_ms, late_ms
        at_ms, before_ms = self._measured
        if now_ms - at_ms < STALLED_MS:
            return False
        self._measured = now_ms, late_ms
        return late_ms > before_ms - STALLED_GAIN_MS


def lag_ms(times_ms: Mapping[str, int], written_ms: int, now_ms: int) -> int:
    """How long ago the last sound of a record's words was made.

    By our own clocks: a speaker's may be wrong by years. times_ms: the record's. written_ms: when the stream had it,
    for a record that knows nothing of its sound.
    """
    return now_ms - times_ms.get(times.SPOKEN, times_ms.get(times.ADMITTED, written_ms))
