from __future__ import annotations

import json

import pytest

from gateway import events as gateway_events
from local.gateway.events import Peer, connect, disconnect, failure, message, selected_route

PEER = Peer("abc=", 1_700_000_000_000, "127.0.0.1", "agent", "host:8080")
KNOWN = frozenset({"$connect", "$default", "sendAudio"})


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ('{"action":"sendAudio","audioData":"AAAA"}', "sendAudio"),
        ('{"action":"dance"}', "$default"),
        ('{"action":"$connect"}', "$default"),
        ('{"action":7}', "$default"),
        ("{}", "$default"),
        ("[1]", "$default"),
        ("no json", "$default"),
        ('{"x":' + "[" * 20_000 + "]" * 20_000 + ',"action":"sendAudio"}', "$default"),
        ('{"x":' * 20_000, "$default"),
        ("", "$default"),
    ],
)
def test_routes_are_selected_by_action(text: str, route: str) -> None:
    assert selected_route(text, KNOWN) == route


def test_a_message_s_event_is_read_by_the_gateway() -> None:
    event = message(PEER, "sendAudio", "r1", "m1", 1_700_000_000_123, '{"action":"sendAudio"}')
    assert event["requestContext"] == {
        "routeKey": "sendAudio",
        "messageId": "m1",
        "eventType": "MESSAGE",
        "extendedRequestId": "r1",
        "requestTime": "14/Nov/2023:22:13:20 +0000",
        "messageDirection": "IN",
        "stage": "live",
        "connectedAt": 1_700_000_000_000,
        "requestTimeEpoch": 1_700_000_000_123,
        "identity": {"sourceIp": "127.0.0.1", "userAgent": "agent"},
        "requestId": "r1",
        "domainName": "host:8080",
        "connectionId": "abc=",
        "apiId": "local",
    }
    incoming = gateway_events.read(event)
    assert (incoming.connection_id, incoming.body) == ("abc=", '{"action":"sendAudio"}')


def test_connect_has_headers_and_the_query_in_both_forms() -> None:
    event = connect(PEER, "r", 1, {"Host": "h"}, [("a", "1"), ("b", "2"), ("a", "3")])
    assert event["queryStringParameters"] == {"a": "3", "b": "2"}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "3"], "b": ["2"]}
    assert event["multiValueHeaders"] == {"Host": ["h"]}
    assert event["requestContext"]["eventType"] == "CONNECT"
    assert "queryStringParameters" not in connect(PEER, "r", 1, {}, [])


def test_disconnect_says_why() -> None:
    context = disconnect(PEER, "r", 1, 1001, "Going away")["requestContext"]
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (1001, "Going away")
    assert (context["routeKey"], context["eventType"]) == ("$disconnect", "DISCONNECT")


def test_failures() -> None:
    assert json.loads(failure("Internal server error", "c", "r")) == {
        "message": "Internal server error",
        "connectionId": "c",
        "requestId": "r",
    }
