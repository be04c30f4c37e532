"""Requests that we sign ourselves, at a server that checks the signature as AWS specifies it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiohttp import web

from local.sigv4 import SignatureError, verify
from streams.aws import Clients, as_error
from streams.errors import HeraldError, NotFound, Refused, Throttled, TimedOut, Unavailable
from streams.management import Management
from tests.support.services import CREDENTIALS, free_port

SECRETS = {CREDENTIALS["AWS_ACCESS_KEY_ID"]: CREDENTIALS["AWS_SECRET_ACCESS_KEY"]}
MESSAGE = '{"type":"caption","text":"¿qué?"}'.encode()


class Server:
    """The API, for any stage. taken: connection ids and messages; answers: the next answers, then all is well."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: list[tuple[str, bytes]] = []
        self.answers: list[tuple[int, str]] = []
        self.tokens: list[str | None] = []

    async def post(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            verify(
                "POST", request.raw_path, "", request.headers, body, SECRETS, datetime.now(UTC), service="execute-api"
            )
        except SignatureError as error:
            return web.Response(status=403, headers={"x-amzn-ErrorType": error.code})
        self.tokens.append(request.headers.get("x-amz-security-token"))
        if self.answers:
            status, code = self.answers.pop(0)
            return web.Response(status=status, headers={"x-amzn-ErrorType": code} if code else {})
        self.taken.append((request.match_info["id"], body))
        return web.Response()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    it = Server()
    app = web.Application()
    for path in ("/@connections/{id}", "/{stage}/@connections/{id}"):
        app.router.add_post(path, it.post)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield it
    finally:
        await runner.cleanup()


@pytest.fixture
async def clients(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    async with Clients() as opened:
        yield opened


async def management(clients: Clients, url: str, monkeypatch: pytest.MonkeyPatch) -> Management:
    monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", url)
    made = await clients.get("apigatewaymanagementapi")
    assert isinstance(made, Management)
    return made


@pytest.mark.parametrize("connection_id", ["L0SM9cOFvHcCIhw=", "a", "a/b?c#d%20 é~", "@connections"])
@pytest.mark.parametrize("stage", ["", "/live", "/live/"])
async def test_a_signed_message_arrives(
    server: Server, clients: Clients, monkeypatch: pytest.MonkeyPatch, connection_id: str, stage: str
) -> None:
    api = await management(clients, server.url + stage, monkeypatch)
    await api.post_to_connection(ConnectionId=connection_id, Data=MESSAGE)
    assert server.taken == [(connection_id, MESSAGE)]
    assert server.tokens == [None]


async def test_a_function_s_token_is_signed_too(
    server: Server, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "its-token")
    api = await management(clients, server.url, monkeypatch)
    await api.post_to_connection(ConnectionId="a", Data=MESSAGE)
    assert server.tokens == ["its-token"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (410, "GoneException", NotFound),
        (410, "", NotFound),
        (404, "ResourceNotFoundException", NotFound),
        (429, "LimitExceededException", Throttled),
        (500, "InternalServerError:http://internal.amazon.com/", Unavailable),
        (503, "", Unavailable),
        (400, "BadRequestException", Refused),
        (413, "PayloadTooLargeException", Refused),
        (302, "", Refused),
    ],
)
async def test_errors_are_ours(
    server: Server, clients: Clients, monkeypatch: pytest.MonkeyPatch, status: int, code: str, kind: type[HeraldError]
) -> None:
    api = await management(clients, server.url, monkeypatch)
    server.answers.append((status, code))
    with pytest.raises(kind) as error:
        await api.post_to_connection(ConnectionId="secret", Data=MESSAGE)
    assert error.value.code == (code.partition(":")[0] or f"Status{status}")
    assert "secret" not in str(error.value)
    await api.post_to_connection(ConnectionId="a", Data=MESSAGE)


async def test_another_secret_is_refused(server: Server, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    api = await management(clients, server.url, monkeypatch)
    with pytest.raises(Refused) as error:
        await api.post_to_connection(ConnectionId="a", Data=MESSAGE)
    assert error.value.code == "InvalidSignatureException"


async def test_nobody_serves(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    api = await management(clients, f"http://127.0.0.1:{free_port()}", monkeypatch)
    with pytest.raises(ConnectionRefusedError) as error:  # the caller puts it into our words
        await api.post_to_connection(ConnectionId="a", Data=MESSAGE)
    assert isinstance(as_error(error.value, "posting"), Unavailable | TimedOut)
