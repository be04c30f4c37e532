from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from local.gateway.connections import Limits
from tests.local.gateway.twin import Twin, ok, twin

UPGRADE = (
    b"GET /live?a=b HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def _raw(it: Twin, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(it.url.rpartition(":")[2]))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.transport.abort()
    return answer


async def test_both_are_served_on_one_port() -> None:
    async with twin() as it, aiohttp.ClientSession() as http:
        async with http.get(f"{it.url}/_herald/health") as answer:
            assert await answer.json() == {"ok": True}
        async with it.connect() as socket:
            await socket.send('{"action":"heartbeat"}')
            assert await socket.recv()
        async with http.get(f"{it.url}/.well-known/jwks.json") as answer:
            assert await answer.json() == {"keys": []}


async def test_a_head_in_pieces() -> None:
    async with twin() as it:
        assert (await _raw(it, UPGRADE[:2], UPGRADE[2:30], UPGRADE[30:])).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("head", [b"", b"GET /live", UPGRADE[:-2], b"POST / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00"])
async def test_a_head_that_does_not_end_is_waited_for_only_so_long(head: bytes) -> None:
    async with twin(limits=Limits(request_s=0.1)) as it, it.connect() as socket:
        assert (await _raw(it, head)).startswith(b"HTTP/1.1 408 ")
        await socket.send("x")
        assert await socket.recv() == "x"


async def test_a_body_that_does_not_end_is_waited_for_only_so_long() -> None:
    head = b"POST /@connections/x HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"
    async with twin(limits=Limits(request_s=0.1)) as it:
        assert (await _raw(it, head, b"1234")).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("early", "answer"),
    [
        (b"\x81\x82\0\0\0\0{}" * 3, b"\x81\x02{}" * 3),
        (b"\x83\x80\0\0\0\0", b"\x88"),  # no such frame: a close
        (b"\x88\x82\0\0\0\0\x03\xe8", b"\x88\x02\x03\xe8"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_what_comes_before_the_client_is_let_in_is_taken_after(
    early: bytes, answer: bytes, together: bool
) -> None:
    asked, let_in = asyncio.Event(), asyncio.Event()

    async def slowly(event: dict[str, Any]) -> Any:
        asked.set()
        await let_in.wait()
        return await ok(event)

    async with twin(slowly) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(it.url.rpartition(":")[2]))
        writer.write(UPGRADE + early if together else UPGRADE)
        await asyncio.wait_for(asked.wait(), 5)
        writer.write(b"" if together else early)
        await writer.drain()
        let_in.set()
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 101 ")
        assert await asyncio.wait_for(reader.readexactly(len(answer)), 5) == answer
        writer.transport.abort()


async def test_what_comes_before_a_client_is_refused_changes_nothing() -> None:
    async def never(_: dict[str, Any]) -> Any:
        return {"statusCode": 401, "body": "{}"}

    async with twin(never) as it:
        assert (await _raw(it, UPGRADE + b"\xff" * 500)).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /live HTTP/1.1\r\nHost: h\r\n\r\n", b"404"),
        (b"GET /live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"400"),
        (b"GET /elsewhere HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", b"404"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /live HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"431"),
        (b"GET /live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n" + b"X: x\r\n" * 5_000, b"431"),
        (b"POST /elsewhere HTTP/1.1\r\n" + b"X: x\r\n" * 5_000, b"431"),
    ],
)
async def test_what_is_no_websocket_is_answered_as_http(request_head: bytes, status: bytes) -> None:
    async with twin() as it:
        assert (await _raw(it, request_head)).split()[1] == status
        assert it.events == []


@pytest.mark.parametrize(
    "request_line",
    [b"GET /x?token=secret\xff HTTP/1.1", b"GET /secret HTTP/x", b"secret", b"GET /" + b"secret" * 2_000],
)
async def test_what_is_no_request_is_not_repeated_in_a_log(
    request_line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "local")
    async with twin() as it:
        assert (await _raw(it, request_line + b"\r\nX: y\r\n\r\n")).split()[1] == b"400"
    assert "secret" not in caplog.text
