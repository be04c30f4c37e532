"""Posts by our own client, at the gateway's twin; what is rare goes by the SDK's."""

from __future__ import annotations

import pytest

from streams.aws import Clients
from streams.errors import NotFound
from streams.management import Management
from tests.local.gateway.twin import SECRETS, next_of, twin
from tests.support.services import CREDENTIALS

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRETS["key"]}


async def test_a_connection_is_posted_to_looked_at_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with twin() as it, it.connect() as socket, Clients() as clients:
        for name, value in {**CREDENTIALS, **KEYS, "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": it.url}.items():
            monkeypatch.setenv(name, value)
        api = await clients.get("apigatewaymanagementapi")
        assert isinstance(api, Management)
        name = (await it.seen("$connect"))["requestContext"]["connectionId"]
        await api.post_to_connection(ConnectionId=name, Data=b'{"n":1}')
        assert await next_of(socket) == {"n": 1}
        assert (await api.get_connection(ConnectionId=name))["Identity"]["SourceIp"] == "127.0.0.1"
        await api.delete_connection(ConnectionId=name)
        await socket.wait_closed()
        with pytest.raises(NotFound) as error:
            await api.post_to_connection(ConnectionId=name, Data=b"{}")
        assert error.value.code == "GoneException"
