from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from gateway.errors import WireError
from gateway.events import connection_hash, read


def _event(**more: object) -> dict[str, object]:
    context = {"routeKey": "heartbeat", "connectionId": "abc=", "requestTimeEpoch": 17, "requestId": "r"}
    return {"requestContext": context, "isBase64Encoded": False, **more}


def test_a_message() -> None:
    incoming = read(_event(body='{"action":"heartbeat"}'))
    assert (incoming.route, incoming.connection_id, incoming.arrived_ms) == ("heartbeat", "abc=", 17)
    assert incoming.body == '{"action":"heartbeat"}'


def test_the_address_that_it_came_from() -> None:
    event: dict[str, Any] = _event()
    assert read(event).source_ip == ""
    event["requestContext"]["identity"] = {"sourceIp": "192.0.2.1"}
    assert read(event).source_ip == "192.0.2.1"


def test_a_query_and_none() -> None:
    assert read(_event(queryStringParameters={"a": "b"})).query == {"a": "b"}
    assert read(_event(queryStringParameters=None)).query == {}


def test_base64_is_decoded() -> None:
    body = base64.b64encode("é".encode()).decode()
    assert read(_event(body=body, isBase64Encoded=True)).body == "é"


@pytest.mark.parametrize("body", [base64.b64encode(b"\xff\xfe").decode(), "no base64!"])
def test_what_is_no_text_is_refused(body: str) -> None:
    with pytest.raises(WireError, match="INVALID_MESSAGE"):
        read(_event(body=body, isBase64Encoded=True))


def test_the_hash_is_sha256() -> None:
    assert connection_hash("abc=") == hashlib.sha256(b"abc=").hexdigest()
