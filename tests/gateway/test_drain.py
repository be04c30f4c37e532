from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from gateway import drain as drain_function
from gateway.admission import Connection
from gateway.drain import drain, draining
from gateway.tables import Tables
from streams.errors import NotFound, Unavailable
from tests.support.management_api import management_api


def test_what_clients_are_told() -> None:
    """Row W17."""
    assert json.loads(draining(5, 7_999)) == {"type": "serverDraining", "reconnectAfterSeconds": 5, "timestamp": 7}


async def test_one_that_has_gone_or_fails_keeps_nobody_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_function, "POST_WITHIN_S", 0.05)
    told = []

    async def post(connection_id: str, message: str) -> None:
        if connection_id == "gone":
            raise NotFound("gone")
        if connection_id == "broken":
            raise Unavailable("broken")
        if connection_id == "stuck":
            await asyncio.Event().wait()
        told.append((connection_id, message))

    connections = ["a", "gone", "broken", "stuck", "b"]
    assert await drain("{}", connections, post) == (2, 2)
    assert sorted(told) == [("a", "{}"), ("b", "{}")]


async def test_as_lambda_calls_it(dynamo: Any, tables: Tables, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await tables.add_speaker(Connection("c1", "s", "speaker"), 5, acknowledge=True)
    await tables.add_listener(Connection("l1", "s", "listener"), 5)
    async with management_api() as api:
        monkeypatch.setenv("HERALD_PREFIX", prefix)
        monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", api.url)
        try:
            assert await drain_function.handle({"reconnectAfterS": 9}, None) is None
        finally:
            await drain_function.FUNCTION.close()
        assert {to: message[0]["reconnectAfterSeconds"] for to, message in api.received.items()} == {"c1": 9, "l1": 9}
