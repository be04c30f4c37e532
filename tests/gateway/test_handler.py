"""The function as Lambda sees it; what it does over the wire is shown in tests/local/gateway/test_server.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway import handler
from gateway.admission import Connection
from gateway.tables import Tables

EVENT: dict[str, Any] = {
    "requestContext": {
        "routeKey": "heartbeat",
        "connectionId": "c1",
        "requestTimeEpoch": 1_700_000_000_000,
        "requestId": "r",
    },
    "body": '{"action":"heartbeat"}',
    "isBase64Encoded": False,
}


@pytest.fixture
def environment(tables: Tables, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HERALD_PREFIX": prefix,
        "TOKEN_ISSUER": "https://issuer.test/",
        "TOKEN_AUDIENCE": "herald",
        "TOKEN_JWKS_URL": "https://issuer.test/keys",
    }.items():
        monkeypatch.setenv(name, value)


async def test_an_event_in_a_response_out(environment: None, tables: Tables) -> None:
    await tables.add_listener(Connection("c1", "s", "listener"), 5)
    try:
        answer = await handler.handle(EVENT, None)
    finally:
        await handler.FUNCTION.close()
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["type"] == "heartbeatAck"


async def test_what_is_too_much_is_refused_and_counted_by_its_kind(
    environment: None, tables: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row W21."""
    await tables.add_listener(Connection("c1", "s", "listener"), 5)
    try:
        statuses = [(await handler.handle(EVENT, None))["statusCode"] for _ in range(12)]
    finally:
        await handler.FUNCTION.close()
    assert statuses == [200] * 10 + [429] * 2
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "RateLimitViolations" in line]
    assert sum(line["RateLimitViolations"] for line in lines) == 2
    assert {line["type"] for line in lines} == {"control"}


async def test_a_missing_setting_is_named_in_the_log_alone(
    environment: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TOKEN_ISSUER", "")
    answer = await handler.handle(EVENT, None)
    assert answer["statusCode"] == 500
    assert "TOKEN_ISSUER" not in answer["body"]
    assert "TOKEN_ISSUER is not set" in caplog.text
