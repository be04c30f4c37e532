"""Invocations by our own client, at the gateway's twin."""

from __future__ import annotations

import asyncio

import pytest

from streams.aws import Clients
from streams.errors import NotFound, Refused
from streams.invocations import Invocations
from tests.local.gateway.twin import SECRETS, twin
from tests.support.services import CREDENTIALS

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRETS["key"]}


async def test_a_function_has_its_event_and_failures_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    async with twin() as it, Clients() as clients:
        for name, value in {**CREDENTIALS, **KEYS, "AWS_ENDPOINT_URL_LAMBDA": it.url}.items():
            monkeypatch.setenv(name, value)
        functions = await clients.get("lambda")
        assert isinstance(functions, Invocations)
        await functions.invoke(FunctionName="herald-welcome", InvocationType="Event", Payload=b'{"a":"\xc3\xa9"}')
        async with asyncio.timeout(5):
            while not it.events:
                await asyncio.sleep(0.005)
        assert it.events == [{"a": "é"}]
        for name, kind, payload, failure, code in (
            ("herald-no one", "Event", b"{}", NotFound, "ResourceNotFoundException"),
            ("herald-welcome", "Event", b"no json", Refused, "InvalidRequestContentException"),
            ("herald-welcome", "RequestResponse", b"{}", Refused, "InvalidParameterValueException"),
        ):
            with pytest.raises(failure, match=f"^invoking {name}: {code}$") as error:
                await functions.invoke(FunctionName=name, InvocationType=kind, Payload=payload)
            assert error.value.code == code
        assert len(it.events) == 1
