"""The shell, around the smallest service there could be. What a signature must be is in test_sigv4."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.aws_http import (
    CannotStart,
    Request,
    Response,
    ServiceError,
    Twin,
    count_use,
    local_secrets,
    page,
    run,
    serve,
)
from local.control import Calls
from local.faults import Fault

KEY, SECRET = "key", "secret"


class Echo:
    """Answers what it is sent; refuses `bad`."""

    signing_name = "echo"

    def operation(self, request: Request) -> str:
        if request.path != "/echo":
            raise ServiceError("UnknownOperationException", "no", 404)
        return "Echo"

    async def perform(self, operation: str, request: Request, calls: Calls) -> Response:
        if request.body == b"bad":
            raise ServiceError("BadThing", "why", 400)
        count_use(calls, operation, "es", len(request.body))
        return Response(200, request.body + request.query.encode(), {"X-Echo": "yes"})

    def error(self, error: ServiceError) -> Response:
        return Response(error.status, error.code.encode())

    def control(self, path: str) -> Response | None:
        return Response(200, b"mine") if path == "/_herald/mine" else None

    async def close(self) -> None:
        return


class Caller:
    def __init__(self, twin: Twin, http: aiohttp.ClientSession, url: str) -> None:
        self.twin = twin
        self._http = http
        self._url = url

    async def send(self, body: bytes = b"hello", path: str = "/echo", secret: str = SECRET) -> tuple[int, bytes]:
        request = AWSRequest(method="POST", url=self._url + path, data=body)
        SigV4Auth(Credentials(KEY, secret), "echo", "us-east-1").add_auth(request)
        async with self._http.post(self._url + path, data=body, headers=dict(request.headers)) as response:
            return response.status, await response.read()

    async def get(self, path: str) -> tuple[int, bytes]:
        async with self._http.get(self._url + path) as response:
            return response.status, await response.read()


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    twin = Twin(Echo(), {KEY: SECRET})
    async with TestServer(twin.app, handler_cancellation=True, access_log=None) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with aiohttp.ClientSession() as http:
            yield Caller(twin, http, url)


async def test_a_call(caller: Caller) -> None:
    assert await caller.send() == (200, b"hello")
    assert caller.twin.calls.as_dict() == {
        "Echo": {"calls": 1, "errors": 0, "characters": 5, "calls.es": 1, "characters.es": 5}
    }


async def test_the_query_stays_encoded(caller: Caller) -> None:
    assert await caller.send(path="/echo?a=b%20c") == (200, b"helloa=b%20c")


async def test_errors_are_spelt_by_the_service_and_counted(caller: Caller) -> None:
    assert await caller.send(b"bad") == (400, b"BadThing")
    assert await caller.send(path="/other") == (404, b"UnknownOperationException")
    assert await caller.send(secret="wrong") == (403, b"InvalidSignatureException")
    assert caller.twin.calls.as_dict()["Echo"]["errors"] == 2


async def test_the_control_plane_needs_no_signature(caller: Caller) -> None:
    assert await caller.get("/_herald/health") == (200, b'{"ok": true}')
    assert await caller.get("/_herald/mine") == (200, b"mine")
    assert (await caller.get("/_herald/nothing"))[0] == 404
    assert (await caller.get("/echo"))[0] == 403


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Fault("throttle"), (400, b"ThrottlingException")),
        (Fault("error", code="Oops"), (500, b"Oops")),
        (Fault("slow", delay_ms=1), (200, b"hello")),
        (Fault("throttle", operation="Other"), (200, b"hello")),
    ],
)
async def test_faults(caller: Caller, fault: Fault, answer: tuple[int, bytes]) -> None:
    caller.twin.faults.replace([fault])
    assert await caller.send() == answer


async def test_cut(caller: Caller) -> None:
    caller.twin.faults.replace([Fault("cut", count=1)])
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await caller.send()
    assert await caller.send() == (200, b"hello")


async def test_cut_in_the_body(caller: Caller) -> None:
    caller.twin.faults.replace([Fault("cut", after_bytes=2)])
    with pytest.raises(aiohttp.ClientPayloadError):
        await caller.send()


async def test_half_open_lasts_until_the_caller_gives_up(caller: Caller) -> None:
    caller.twin.faults.replace([Fault("half_open", count=1)])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(caller.send(), 0.1)
    assert await caller.send() == (200, b"hello")


def test_pages() -> None:
    items = list(range(5))
    first, token = page(items, None, 2, "Bad")
    second, token = page(items, token, 2, "Bad")
    last, end = page(items, token, 2, "Bad")
    assert [*first, *second, *last] == items
    assert end is None


@pytest.mark.parametrize("token", ["x", "!!!!", "LTE=", "OTk=", "é"])
def test_page_tokens_of_others(token: str) -> None:
    with pytest.raises(ServiceError) as caught:
        page([1, 2, 3], token, 2, "Bad")
    assert caught.value.code == "Bad"


def test_secrets() -> None:
    assert local_secrets({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}) == {"a": "b"}
    with pytest.raises(CannotStart, match="AWS_ACCESS_KEY_ID is not set"):
        local_secrets({})


async def make() -> Echo:
    return Echo()


async def unmakeable() -> Echo:
    raise CannotStart("no engine")


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.mark.usefixtures("_keys")
async def test_a_busy_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"port {port} cannot be had"):
            await serve(make, port)


@pytest.mark.usefixtures("_keys")
def test_what_cannot_be_made_ends_the_program_with_a_sentence() -> None:
    with pytest.raises(SystemExit, match="no engine"):
        run(unmakeable, 0)
