"""The function as Lambda sees it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from gateway import notify
from gateway.admission import Connection
from gateway.lambdas import InvocationFailed
from gateway.routes import function
from gateway.tables import Tables
from tests.support.management_api import management_api


async def test_listeners_get_the_message_and_how_long_that_took_is_measured(
    tables: Tables, prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row N4, by row O5's names."""
    for connection_id in ("l1", "l2"):
        await tables.add_listener(Connection(connection_id, "a-b-100", "listener"), 5)
        await tables.reachable(connection_id, "es")
    since_ms = time.time_ns() // 1_000_000
    event: dict[str, Any] = {"sessionId": "a-b-100", "message": '{"type":"broadcastMuted"}', "sinceMs": since_ms}
    async with management_api() as api:
        api.broken["l2"] = 9
        monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", api.url)
        monkeypatch.setenv("HERALD_PREFIX", prefix)
        try:
            await notify.handle(event, None)
            with pytest.raises(InvocationFailed):
                await notify.handle({"sessionId": 5}, None)
        finally:
            await notify.FUNCTION.close()
    assert api.received == {"l1": [{"type": "broadcastMuted"}]}
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (latency,) = [line["ListenerNotificationLatency"] for line in lines if "ListenerNotificationLatency" in line]
    assert 0 <= latency[0] <= time.time_ns() // 1_000_000 - since_ms
    assert [line["ListenerNotificationFailures"] for line in lines if "ListenerNotificationFailures" in line] == [1]


def test_its_size() -> None:
    assert (function("notify").memory_mb, function("notify").time_limit_s) == (512, 10)
