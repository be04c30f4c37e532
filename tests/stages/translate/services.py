"""Services that answer the stage's calls after delays of the test's choosing, without I/O."""

from collections.abc import Callable

from stages.translate.requests import (
    FindDynamics,
    FindLanguages,
    FoundDynamics,
    Languages,
    Synthesize,
    Synthesized,
    Translate,
    Translated,
)
from streams.errors import Failure
from streams.records import Dynamics
from streams.stage import Call
from tests.support.stage_driver import Owner

LOUD = Dynamics(volume=0.9, rate=1.5, energy=0.5, level_db=-12.0, onsets_per_minute=200.0)
REFUSED = Failure("Refused", "refused", retryable=False)


class Services:
    """listening: who listens now. delay_ms: of a call. fails: calls that are refused."""

    def __init__(self, *listening: str) -> None:
        self.listening = list(listening)
        self.delay_ms: Callable[[Call], int] = lambda call: 10
        self.fails: Callable[[Call], bool] = lambda call: False
        self.pcm_bytes = 3_200
        self.asked: list[Call] = []

    def perform(self, owner: Owner, call: Call) -> None:
        """Answer later."""
        self.asked.append(call)
        at_ms = owner.world.now_ms + self.delay_ms(call)
        owner.world.at(at_ms, lambda: self._answer(owner, call))

    def gone(self, owner: Owner) -> None:
        """Its answers reach nobody."""

    def count(self, kind: type) -> int:
        """How many calls of a kind."""
        return sum(isinstance(call.request, kind) for call in self.asked)

    def _answer(self, owner: Owner, call: Call) -> None:
        if self.fails(call):
            owner.reply(call.call_id, failure=REFUSED)
        else:
            owner.reply(call.call_id, self._value(call))

    def _value(self, call: Call) -> object:
        match call.request:
            case FindLanguages():
                return Languages(sorted(self.listening))
            case FindDynamics():
                return FoundDynamics(LOUD)
            case Translate(text, _, target):
                return Translated(f"{target}({text})")
            case Synthesize(text, language, _):
                return Synthesized(bytes(self.pcm_bytes), f"<speak>{text}</speak>", f"voice-{language}", 16_000)
        raise AssertionError(call)
