"""What a client is told of a wrong message: what is wrong, what would be right, nothing that it sent (row W19)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import WireError
from gateway.explaining import explain
from gateway.messages import QUERIES, REQUESTS, parse, parse_query
from ingest.admission import SendAudio

RANGE = "a number from 0.0 to 1.0"
NO_OBJECT = "The message must be a JSON object."
TRUTH = "must be true or false."
LARGEST = 2**53


def refused(action: str, body: object) -> WireError:
    text = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(WireError) as error:
        parse(text, REQUESTS[action][0])
    return error.value


@pytest.mark.parametrize(
    ("action", "body", "code", "message"),
    [
        ("setVolume", {}, "INVALID_VOLUME", f"volumeLevel is missing; it must be {RANGE}."),
        ("setVolume", {"volumeLevel": 7.5}, "INVALID_VOLUME", f"volumeLevel must be {RANGE}."),
        ("setVolume", {"volumeLevel": -0.1}, "INVALID_VOLUME", f"volumeLevel must be {RANGE}."),
        ("setVolume", {"volumeLevel": "loud"}, "INVALID_VOLUME", f"volumeLevel must be {RANGE}."),
        ("setVolume", {"volumeLevel": None}, "INVALID_VOLUME", f"volumeLevel must be {RANGE}."),
        ("setVolume", {"volumeLevel": True}, "INVALID_VOLUME", f"volumeLevel must be {RANGE}."),
        ("setVolume", '{"action":"setVolume","volumeLevel":1e999}', "INVALID_VOLUME", f"volumeLevel must be {RANGE}."),
        ("setVolume", {"volumeLevel": 1, "sessionId": 4}, "INVALID_MESSAGE", "sessionId must be text."),
        ("speakerStateChange", {}, "INVALID_MESSAGE", "state is missing; it must be an object."),
        ("speakerStateChange", {"state": []}, "INVALID_MESSAGE", "state must be an object."),
        ("speakerStateChange", {"state": {"volume": 2}}, "INVALID_VOLUME", f"state.volume must be {RANGE}."),
        ("speakerStateChange", {"state": {"isMuted": 1}}, "INVALID_MESSAGE", f"state.isMuted {TRUTH}"),
        (
            "speakerStateChange",
            {"state": {"isPaused": None}},
            "INVALID_MESSAGE",
            f"state.isPaused {TRUTH}",
        ),
        (
            "changeLanguage",
            {"targetLanguage": "x"},
            "INVALID_MESSAGE",
            "targetLanguage must be a language code, as in es or pt-BR.",
        ),
        ("heartbeat", "[]", "INVALID_MESSAGE", NO_OBJECT),
        ("heartbeat", "no json", "INVALID_MESSAGE", NO_OBJECT),
        ("heartbeat", '{"action":"heartbeat","x":"\ud800"', "INVALID_MESSAGE", NO_OBJECT),
        (
            "heartbeat",
            '{"action":"heartbeat","x":' + "[" * 4000,
            "INVALID_MESSAGE",
            NO_OBJECT,
        ),
    ],
)
def test_what_is_wrong_and_what_would_be_right(action: str, body: Any, code: str, message: str) -> None:
    error = refused(action, {"action": action, **body} if isinstance(body, dict) else body)
    assert (error.code, error.message) == (code, message)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "audioData is missing; it must be text."),
        ({"audioData": "", "sequence": -1}, f"sequence must be a whole number from 0 to {LARGEST}."),
        ({"audioData": "", "timestamp": "now"}, f"timestamp must be a number from 0 to {LARGEST}."),
    ],
)
def test_audio_too(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(json.dumps({"action": "sendAudio", **fields}), type=SendAudio)
    assert explain(error.value, SendAudio).message == message


@pytest.mark.parametrize(
    ("action", "query", "message"),
    [
        ("createSession", {"token": "t"}, "sourceLanguage is missing; it must be text of 2 to 10 characters."),
        (
            "createSession",
            {"token": "t", "sourceLanguage": "en", "qualityTier": "best"},
            "qualityTier must be one of premium, standard.",
        ),
        ("joinSession", {}, "sessionId is missing; it must be text of 1 to 64 characters."),
    ],
)
def test_queries_too(action: str, query: dict[str, str], message: str) -> None:
    with pytest.raises(WireError) as error:
        parse_query(query, QUERIES[action][0])
    assert error.value.message == message


SECRET = "secret-5ecret"
TEXTS = ["", "es", "\x00", "\ud800", "\U0001f600", "true"]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.just(SECRET) | st.sampled_from(TEXTS),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.just(SECRET) | st.sampled_from(TEXTS), inner, max_size=2)
    ),
    max_leaves=6,
)
NAMES = ["sessionId", "volumeLevel", "state", "isPaused", "volume", "targetLanguage", SECRET]


def refusal_of(action: str, text: str) -> WireError | None:
    try:
        parse(text, REQUESTS[action][0])
    except WireError as error:
        return error
    return None


@given(st.sampled_from(sorted(REQUESTS)), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_nothing_that_was_sent_is_repeated(action: str, fields: dict[str, Any]) -> None:
    state = {"state": {name: value for name, value in fields.items() if name in ("isPaused", "volume")}}
    for body in ({"action": action, **fields}, {"action": action, **state, SECRET: SECRET}):
        error = refusal_of(action, json.dumps(body))
        if error is not None:
            assert SECRET not in f"{error.message} {error.details}"
            assert error.status == 400
            assert error.message.endswith(".")
