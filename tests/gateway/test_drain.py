from __future__ import annotations

import json
from typing import Any

import pytest

from gateway import drain as drain_function
from gateway.admission import Connection
from gateway.drain import draining
from gateway.tables import Tables
from tests.support.management_api import management_api


def test_what_clients_are_told() -> None:
    """Row W17."""
    assert json.loads(draining(5, 7_999)) == {"type": "serverDraining", "reconnectAfterSeconds": 5, "timestamp": 7}


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


async def test_the_row_of_a_speaker_that_has_gone_stays_for_its_disconnect(
    dynamo: Any, tables: Tables, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tables.add_speaker(Connection("c1", "s", "speaker"), 5, acknowledge=True)
    await tables.add_listener(Connection("l1", "s", "listener"), 5)
    async with management_api() as api:
        api.gone.add("c1")
        monkeypatch.setenv("HERALD_PREFIX", prefix)
        monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", api.url)
        try:
            await drain_function.handle({}, None)
        finally:
            await drain_function.FUNCTION.close()
        assert list(api.received) == ["l1"]
    assert await tables.connection("c1") is not None
