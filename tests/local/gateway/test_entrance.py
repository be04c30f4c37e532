from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.local.gateway.twin import Twin, twin


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
    head = (
        b"GET /live?a=b HTTP/1.1\r\nHost: h\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    async with twin() as it:
        assert (await _raw(it, head[:2], head[2:30], head[30:])).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /live HTTP/1.1\r\nHost: h\r\n\r\n", b"404"),
        (b"GET /live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"400"),
        (b"GET /elsewhere HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", b"404"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /live HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_websocket_is_answered_as_http(request_head: bytes, status: bytes) -> None:
    async with twin() as it:
        assert (await _raw(it, request_head)).split()[1] == status
        assert it.events == []
