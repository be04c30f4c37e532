"""Row X1: every route, for every role, on its own and on another's session, by real clients of the whole front."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, Literal, NamedTuple

import boto3
import pytest
from websockets.exceptions import InvalidStatus

from gateway.routes import ROUTES
from ops.asyncapi import document
from tests.support.protocol import Protocol
from tests.support.services import CREDENTIALS
from tests.support.stack import Client, Stack, front

Whose = Literal["own", "another's", "unnamed"]


class Route(NamedTuple):
    """who: may do it; a message that is right but for its session; the type of what answers it."""

    who: frozenset[str]
    answer: str
    message: Mapping[str, Any] = {}


SPEAKER, LISTENER, BOTH, NOBODY = (frozenset(who) for who in (["speaker"], ["listener"], ["speaker", "listener"], []))
AUDIO = base64.b64encode(bytes(3_200)).decode()
TABLE = {
    "sendAudio": Route(SPEAKER, "audioReceived", {"audioData": AUDIO}),
    "pauseBroadcast": Route(SPEAKER, "broadcastPaused"),
    "resumeBroadcast": Route(SPEAKER, "broadcastResumed"),
    "muteBroadcast": Route(SPEAKER, "broadcastMuted"),
    "unmuteBroadcast": Route(SPEAKER, "broadcastUnmuted"),
    "setVolume": Route(SPEAKER, "volumeChanged", {"volumeLevel": 0.5}),
    "speakerStateChange": Route(SPEAKER, "speakerStateChanged", {"state": {"isMuted": True}}),
    "getSessionStatus": Route(SPEAKER, "sessionStatus"),
    "endSession": Route(SPEAKER, "sessionEnded"),
    "pausePlayback": Route(LISTENER, "playbackPaused"),
    "changeLanguage": Route(LISTENER, "languageChanged", {"targetLanguage": "ca"}),
    "heartbeat": Route(BOTH, "heartbeatAck"),
    "$default": Route(NOBODY, ""),
    "$connect": Route(NOBODY, ""),
    "$disconnect": Route(NOBODY, ""),
}
"""A route that is missing here fails; the three with a `$` are nobody's to send."""

FORBIDDEN = 403
UNAUTHENTICATED = 401
PROTOCOL = Protocol(document())
HANDSHAKES = [
    ("createSession", "speaker", "own", 101),
    ("createSession", "listener", "own", FORBIDDEN),
    ("createSession", None, "own", UNAUTHENTICATED),
    ("resumeSession", "speaker", "own", 101),
    ("resumeSession", "speaker", "another's", FORBIDDEN),
    ("resumeSession", "listener", "own", FORBIDDEN),
    ("resumeSession", None, "own", UNAUTHENTICATED),
    ("refreshConnection", "speaker", "own", 101),
    ("refreshConnection", "speaker", "another's", FORBIDDEN),
    ("refreshConnection", "listener", "own", FORBIDDEN),
    ("joinSession", "speaker", "own", 101),
    ("joinSession", "listener", "another's", 101),
    ("joinSession", None, "another's", 101),
]
"""`$connect` by action: whose token, which session, what becomes of it. Anybody may listen; no token is asked for."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environ = {"MAX_STATUS_QUERIES_PER_SECOND": "10"}
    with front(tmp_path_factory.mktemp("permissions"), environ=environ) as started:
        yield started


@pytest.fixture(scope="module")
def dynamo(stack: Stack) -> Iterator[Any]:
    credentials = {name.lower(): value for name, value in CREDENTIALS.items() if "KEY" in name}
    client = boto3.client("dynamodb", endpoint_url=stack.dynamodb_url, region_name="us-east-1", **credentials)
    yield client
    client.close()


def test_every_route_has_its_row() -> None:
    assert set(TABLE) == {route.key for route in ROUTES}
    for route in ROUTES:
        if not route.key.startswith("$"):
            assert TABLE[route.key].who == (BOTH if route.who == "both" else frozenset([route.who]))


@pytest.mark.parametrize("key", TABLE)
async def test_who_may_do_what(stack: Stack, dynamo: Any, key: str) -> None:
    """For a speaker, a listener and a connection that is not known; its own session, another's and none named."""
    row = TABLE[key]
    async with AsyncExitStack() as clients:
        speaker = await clients.enter_async_context(stack.speaker())
        other = await clients.enter_async_context(stack.speaker(token=stack.token("another")))
        listener = await clients.enter_async_context(stack.listener(speaker.session_id, "es"))
        forgotten = await clients.enter_async_context(stack.listener(speaker.session_id, "es"))
        _forget(dynamo, forgotten)
        wrong = {}
        for whose, named in (("another's", other.session_id), ("unnamed", None), ("own", speaker.session_id)):
            message = dict(row.message) | ({"sessionId": named} if named else {})
            for role, client in {"nobody": forgotten, "listener": listener, "speaker": speaker}.items():
                if role == "speaker" and role in row.who and whose == "unnamed":
                    continue  # below: it may end the session
                await client.send(key, **message)
                found = await _answer(client, "speaker" if role == "speaker" else "listener", row.answer)
                if found != (expected := _expected(row, role, whose)):
                    wrong[role, whose] = (found, expected)
        await other.send(key, **row.message)
        if (found := await _answer(other, "speaker", row.answer)) != (expected := _expected(row, "speaker", "unnamed")):
            wrong["speaker", "unnamed"] = (found, expected)
    assert wrong == {}


def _expected(row: Route, role: str, whose: Whose | str) -> str:
    if not row.who:
        return "INVALID_MESSAGE"
    if role == "nobody":
        return "CONNECTION_NOT_FOUND"
    return "UNAUTHORIZED" if role not in row.who or whose == "another's" else row.answer


async def _answer(client: Client, role: str, wanted: str) -> str:
    """The type of what answers the message, or the error's code. Others, such as reports, may come before it."""
    while True:
        message = await client.next()
        PROTOCOL.check(role, message)
        is_report = message["type"] == "sessionStatus" and message["updateReason"] != "requested"
        if message["type"] == "error":
            return str(message["code"])
        if message["type"] == wanted and not is_report:
            return wanted


def _forget(dynamo: Any, listener: Client) -> None:
    """A client whose row has gone, as when it was swept."""
    key = {"connectionId": {"S": listener.received[0]["connectionId"]}}
    assert dynamo.delete_item(TableName="herald-Connections", Key=key, ReturnValues="ALL_OLD")["Attributes"]


@pytest.mark.parametrize(("action", "role", "whose", "status"), HANDSHAKES)
async def test_who_is_let_in(stack: Stack, action: str, role: str | None, whose: Whose, status: int) -> None:
    async with stack.speaker() as speaker:
        subject = "somebody" if whose == "own" else "another"
        query = {"action": action, "sessionId": speaker.session_id, "targetLanguage": "es", "sourceLanguage": "en"}
        wanted = {
            "createSession": ("sourceLanguage",),
            "joinSession": ("sessionId", "targetLanguage"),
            "resumeSession": ("sessionId",),
            "refreshConnection": ("sessionId",),
        }[action]
        query = {name: query[name] for name in ("action", *wanted)}
        if role:
            query["token"] = stack.token(subject, role)
        if status == 101:
            async with stack.client(**query) as client:
                greeting = await client.next()
                assert greeting["type"] != "error"
                PROTOCOL.check("listener" if action == "joinSession" else "speaker", greeting)
        else:
            with pytest.raises(InvalidStatus) as refused:
                async with stack.client(**query):
                    pass
            assert refused.value.response.status_code == status
