"""What each request changes, and who is told what (rows W3 to W6, W18)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.control import CONTROLS
from gateway.messages import BroadcastState, encode, parse
from gateway.state import Change, StateRequest, answer_of, change_of, event_of, is_quiet
from streams.records import SessionEvent
from streams.speaker_state import CHANGES, SpeakerState

STATE = BroadcastState(is_paused=False, is_muted=True, volume=0.25, last_state_change=1_700_000_000_999)


def request(action: str, **fields: Any) -> StateRequest:
    made: StateRequest = parse(json.dumps({"action": action, **fields}), CONTROLS[action].request)
    return made


@pytest.mark.parametrize(
    ("action", "fields", "change"),
    [
        ("pauseBroadcast", {}, Change(is_paused=True)),
        ("resumeBroadcast", {}, Change(is_paused=False)),
        ("muteBroadcast", {}, Change(is_muted=True)),
        ("unmuteBroadcast", {}, Change(is_muted=False)),
        ("setVolume", {"volumeLevel": 0.25}, Change(volume=0.25)),
        ("setVolume", {"volumeLevel": 1}, Change(volume=1.0)),
        ("setVolume", {"volumeLevel": 1e-300}, Change(volume=0.0)),
        ("setVolume", {"volumeLevel": -0.0}, Change(volume=0.0)),
        ("speakerStateChange", {"state": {}}, Change()),
        ("speakerStateChange", {"state": {"isMuted": False}}, Change(is_muted=False)),
        ("speakerStateChange", {"state": {"isPaused": True, "volume": 0.3333}}, Change(is_paused=True, volume=0.333)),
    ],
)
def test_what_a_request_changes(action: str, fields: dict[str, Any], change: Change) -> None:
    made = change_of(request(action, **fields))
    assert made == change
    assert made.volume is None or repr(made.volume) != "-0.0"


@pytest.mark.parametrize(
    ("action", "fields", "event", "told"),
    [
        ("pauseBroadcast", {}, "paused", {"type": "broadcastPaused"}),
        ("resumeBroadcast", {}, "resumed", {"type": "broadcastResumed"}),
        ("muteBroadcast", {}, "muted", {"type": "broadcastMuted"}),
        ("unmuteBroadcast", {}, "unmuted", {"type": "broadcastUnmuted"}),
        ("setVolume", {"volumeLevel": 0.25}, "volume", {"type": "volumeChanged", "volumeLevel": 0.25}),
        (
            "speakerStateChange",
            {"state": {"volume": 0.25}},
            "state",
            {
                "type": "speakerStateChanged",
                "state": {
                    "isActive": True,
                    "isPaused": False,
                    "isMuted": True,
                    "volume": 0.25,
                    "lastStateChange": 1_700_000_000_999,
                },
            },
        ),
    ],
)
def test_what_the_stream_and_the_clients_are_told(
    action: str, fields: dict[str, Any], event: str, told: dict[str, Any]
) -> None:
    made = request(action, **fields)
    written = event_of(made, "a-b-100", STATE, 7)
    assert written == SessionEvent(
        session_id="a-b-100",
        event=event,  # type: ignore[arg-type]  # the table has literals
        timestamp=1_700_000_000_999,
        is_paused=False,
        is_muted=True,
        volume=0.25,
        version=7,
    )
    assert written.event in CHANGES
    assert SpeakerState().after(written) == SpeakerState(is_muted=True, volume=0.25, version=7)
    answer = json.loads(encode(answer_of(made, "a-b-100", STATE, 7)))
    assert answer == told | {"sessionId": "a-b-100", "timestamp": 1_700_000_000, "stateVersion": 7}


def test_when_the_door_is_shut() -> None:
    quiet = [is_quiet(BroadcastState(is_paused=p, is_muted=m)) for p in (False, True) for m in (False, True)]
    assert quiet == [False, True, True, True]
