"""One session's failure stays its own: what it does not settle is rejected, and nothing else is touched."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from streams.errors import NewerVersion
from streams.isolation import Isolated
from streams.records import Record, SessionEvent
from streams.stage import Done, Effect, Emit, Input, Position, Reject, Reply

SAID = "the words that were said"


class Fragile:
    """Settles an input when its reply comes; breaks where it is told to."""

    def __init__(self, breaks_in: str = "") -> None:
        self.breaks_in = breaks_in
        self.given = 0

    def _go(self, name: str) -> None:
        if name == self.breaks_in:
            raise KeyError(SAID)

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        self.given += 1
        yield Emit(received.record)
        self._go("on_record")

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        self._go("on_reply")
        return [Done(reply.value)]

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        self._go("on_timer")
        return []

    def wake_at_ms(self) -> int | None:
        self._go("wake_at_ms")
        return None

    def held_bytes(self) -> int:
        self._go("held_bytes")
        return 7

    def snapshot(self) -> bytes:
        self._go("snapshot")
        return b"%d" % self.given

    def on_emitted(self, record: Record) -> None:
        self._go("on_emitted")

    def on_held_up(self, now_ms: int) -> None:
        self._go("on_held_up")


def given(sequence: int) -> Input:
    event = SessionEvent(session_id="s", event="paused", timestamp=sequence)
    return Input(Position("shard", sequence), event, 0, 0)


def rejected(effects: Iterable[Effect]) -> list[int]:
    found = []
    for effect in effects:
        assert isinstance(effect, Reject)
        assert effect.failure.code == "StageError"
        assert "KeyError" in effect.failure.message
        assert SAID not in effect.failure.message
        found.append(effect.position.sequence)
    return found


def test_a_sound_stage_is_untouched() -> None:
    stage = Isolated(Fragile, None)
    assert stage.on_record(given(1), 0) == [Emit(given(1).record)]
    assert stage.on_reply(Reply("x", Position("shard", 1)), 0) == [Done(Position("shard", 1))]
    assert (stage.on_timer(0), stage.wake_at_ms(), stage.held_bytes(), stage.snapshot()) == ([], None, 7, b"1")
    assert stage.failure is None


def test_an_input_that_breaks_it_is_rejected_alone() -> None:
    stage = Isolated(lambda: Fragile("on_record"), None)
    assert rejected(stage.on_record(given(1), 0)) == [1]
    assert stage.failure is None


STEPS: dict[str, Callable[[Isolated], Any]] = {
    "on_reply": lambda stage: stage.on_reply(Reply("x", Position("shard", 1)), 0),
    "on_timer": lambda stage: stage.on_timer(0),
    "wake_at_ms": lambda stage: stage.wake_at_ms(),
    "held_bytes": lambda stage: stage.held_bytes(),
    "snapshot": lambda stage: stage.snapshot(),
    "on_emitted": lambda stage: stage.on_emitted(given(0).record),
    "on_held_up": lambda stage: stage.on_held_up(0),
}


def test_a_record_that_no_stream_can_hold_rejects_the_input_that_led_to_it() -> None:
    stage = Isolated(Fragile, None)
    event = SessionEvent(session_id="s", event="paused", timestamp=2**64)
    (effect,) = stage.on_record(Input(Position("shard", 1), event, 0, 0), 0)
    assert isinstance(effect, Reject)
    assert "OverflowError" in effect.failure.message
    assert stage.on_record(given(2), 0) == [Emit(given(2).record)]


@pytest.mark.parametrize("name", STEPS)
def test_what_breaks_it_elsewhere_gives_the_session_up_with_all_that_is_open(name: str) -> None:
    fragile = Fragile()
    stage = Isolated(lambda: fragile, None)
    for sequence in (1, 2, 3):
        stage.on_record(given(sequence), 0)
    stage.on_reply(Reply("x", Position("shard", 2)), 0)
    assert stage.snapshot() == b"3"
    fragile.breaks_in = name
    effects = STEPS[name](stage)
    if name not in {"on_reply", "on_timer"}:
        assert stage.wake_at_ms() == 0
        effects = stage.on_timer(0)
    assert rejected(effects) == [1, 3]
    assert stage.failure is not None
    assert rejected(stage.on_record(given(4), 0)) == [4]
    assert stage.on_reply(Reply("x", Position("shard", 1)), 0) == []
    assert (stage.wake_at_ms(), stage.held_bytes(), stage.snapshot()) == (None, 0, b"3")


def test_a_snapshot_that_cannot_be_taken_back_gives_the_session_up_and_is_kept() -> None:
    def build() -> Fragile:
        raise ValueError(SAID)

    stage = Isolated(build, b"unreadable")
    assert stage.failure is not None
    (effect,) = stage.on_record(given(1), 0)
    assert isinstance(effect, Reject)
    assert stage.snapshot() == b"unreadable"


def test_a_snapshot_of_a_later_release_is_nobody_s_to_give_up() -> None:
    def build() -> Fragile:
        raise NewerVersion("2")

    with pytest.raises(NewerVersion):
        Isolated(build, b"newer")
