"""What a broadcast is doing, change by change (rows W18, A7)."""

from itertools import permutations
from typing import Any

import pytest

from streams.records import SessionEvent
from streams.speaker_state import SpeakerState


def change(event: Any, version: int = 0, **state: Any) -> SessionEvent:
    return SessionEvent(session_id="s", event=event, timestamp=1, version=version, **state)


def after(*events: SessionEvent) -> SpeakerState:
    state = SpeakerState()
    for event in events:
        state = state.after(event) or state
    return state


def test_a_change_brings_the_whole_state() -> None:
    state = after(change("muted", 7, is_paused=True, is_muted=True, volume=0.25))
    assert state == SpeakerState(is_paused=True, is_muted=True, volume=0.25, version=7)
    assert state.is_quiet


def test_in_whatever_order_changes_come_the_newest_holds() -> None:
    changes = [
        change("paused", 1, is_paused=True, is_muted=False, volume=1.0),
        change("volume", 2, is_paused=True, is_muted=False, volume=0.5),
        change("resumed", 3, is_paused=False, is_muted=False, volume=0.5),
    ]
    for some_order in permutations(changes):
        assert after(*some_order) == SpeakerState(volume=0.5, version=3)


def test_a_repeat_and_what_is_out_of_date_are_known_for_it() -> None:
    state = after(change("state", 4, is_paused=False, is_muted=True, volume=1.0))
    assert state.after(change("state", 4, is_paused=False, is_muted=True, volume=1.0)) is None
    assert state.after(change("unmuted", 3, is_paused=False, is_muted=False, volume=1.0)) is None


@pytest.mark.parametrize("event", ["created", "ended"])
def test_other_events_change_nothing(event: str) -> None:
    state = SpeakerState(is_muted=True, version=3)
    assert state.after(change(event)) == state


def test_changes_of_a_release_that_did_not_count_say_what_has_changed() -> None:
    state = after(change("paused"), change("muted"), change("volume", volume=0.5))
    assert state == SpeakerState(is_paused=True, is_muted=True, volume=0.5)
    assert after(change("paused"), change("muted"), change("resumed"), change("unmuted")) == SpeakerState()
    assert not after(change("muted"), change("unmuted")).is_quiet
