"""Whatever is sent is answered by a row of W19, harms no process, and is in no stream. All of it: `fuzz`."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.sync.client import ClientConnection, connect

from gateway import messages
from gateway.errors import ErrorCode
from gateway.messages import QUERIES, REQUESTS
from gateway.routes import BY_KEY
from ingest import admission
from ops import tokens
from tests.e2e.fuzz import fuzz
from tests.e2e.fuzzing import ANSWERS, row
from tests.e2e.malformed import ROUTES, Corpus, valid, valid_query
from tests.e2e.whole_stack import WholeStack, described

MESSAGES = 1_500
EXAMINED = 0.8
"""Of all messages: the others were over a rate."""
ANSWER_WITHIN_S = 30.0

LETTERS = st.text("aZ0 é漢😀\x00\\\"'{}[]", max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | LETTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("sessionId", "volumeLevel", "state", "targetLanguage", "sequence", "timestamp", "x")
OBJECTS = st.fixed_dictionaries(
    {"action": st.sampled_from([route for route in ROUTES if route != "endSession"])},
    optional=dict.fromkeys(FIELDS, VALUES) | {"audioData": LETTERS},
)
TEXTS = OBJECTS.map(json.dumps) | VALUES.map(json.dumps) | LETTERS


async def test_what_nobody_should_send(tone_stack: WholeStack) -> None:
    report = await fuzz(tone_stack, MESSAGES, "ci", alone=False)
    assert report["off"] == [], json.dumps(report, indent=2)
    assert report["sent"] == MESSAGES
    assert report["examined"] > EXAMINED * MESSAGES, report["answers"]
    assert report["answers"].keys() >= {
        *("INVALID_MESSAGE", "INVALID_VOLUME", "INVALID_AUDIO_FORMAT", "UNAUTHENTICATED"),
        *("UNAUTHORIZED", "SESSION_NOT_FOUND", "PAYLOAD_TOO_LARGE"),
    }


@pytest.fixture(scope="module")
def clients(tone_stack: WholeStack) -> Iterator[dict[str, ClientConnection]]:
    """A speaker, and a listener of its session."""
    stack = described(tone_stack)
    token = tokens.token(stack, "a-generator")
    with connected(stack.url, valid_query("createSession", "", token)) as speaker:
        session_id = json.loads(speaker.recv(ANSWER_WITHIN_S))["sessionId"]
        with connected(stack.url, valid_query("joinSession", session_id, "")) as listener:
            listener.recv(ANSWER_WITHIN_S)
            yield {"speaker": speaker, "listener": listener}


def connected(url: str, query: dict[str, str]) -> ClientConnection:
    return connect(f"{url}?{urlencode(query)}", compression=None, proxy=None, ping_interval=None)


def answer(socket: ClientConnection) -> dict[str, Any]:
    """The next message that did not come unasked."""
    while True:
        message: dict[str, Any] = json.loads(socket.recv(ANSWER_WITHIN_S))
        if message.get("updateReason", "requested") == "requested":
            return message


@pytest.mark.parametrize("role", ["speaker", "listener"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=TEXTS, as_bytes=st.booleans())
def test_whatever_is_said_has_one_answer(
    clients: dict[str, ClientConnection], role: str, text: str, as_bytes: bool
) -> None:
    socket = clients[role]
    socket.send(text.encode() if as_bytes else text)
    got = answer(socket)
    while role == "listener" and got.get("type", "").startswith(("broadcast", "volume", "speaker")):
        got = answer(socket)  # what the speaker's examples have changed
    if got["type"] not in ANSWERS:
        error = row(json.dumps(got))
        assert error is not None, got
        assert error.code is not ErrorCode.INTERNAL_ERROR, got


def test_there_is_a_message_of_every_route_and_a_query_of_every_action() -> None:
    assert {*ROUTES} == {key for key in BY_KEY if not key.startswith("$")}
    for route in ROUTES:
        text = json.dumps(valid(route, "silver-fox-123"))
        found = admission.parse(text) if route == "sendAudio" else messages.parse(text, REQUESTS[route][0])
        assert (found.action, found.session_id) == (route, "silver-fox-123")
    for action, (kind, _) in QUERIES.items():
        query = valid_query(action, "silver-fox-123", "a.b.c")
        assert query.pop("action") == action
        assert messages.parse_query(query, kind)


def test_a_seed_gives_the_same_again_and_every_kind() -> None:
    first, again = (Corpus("x", "speaker", "silver-fox-123") for _ in range(2))
    found = [first.next() for _ in range(2_000)]
    assert [(case.kind, case.text) for case in found] == [
        (case.kind, case.text) for case in (again.next() for _ in range(2_000))
    ]
    assert {case.closes for case in found} == {None, 1002, 1007, 1009}
    assert len({case.kind for case in found}) > 25
