"""The lane for plain posts, and what leaves it for the general server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from botocore.credentials import ReadOnlyCredentials
from yarl import URL

from gateway.routes import MAX_MESSAGE_BYTES
from local.faults import Fault
from local.gateway import posting
from local.gateway.connections import Limits
from local.gateway.websocket import MAX_HEAD_BYTES
from streams.signing import Signer
from tests.local.gateway.twin import Twin, next_of, twin

CREDENTIALS = ReadOnlyCredentials("key", "secret", None)
WRONG = ReadOnlyCredentials("key", "another", None)


def post(it: Twin, connection_id: str, body: bytes, credentials: ReadOnlyCredentials = CREDENTIALS) -> bytes:
    path = f"/@connections/{connection_id.replace('=', '%3D')}"
    return Signer(URL(it.url), "execute-api", "us-east-1").request(credentials, "POST", path, body, datetime.now(UTC))


class Wire:
    """A connection. general: how many of them the general server has got."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, it: Twin) -> Wire:
        return cls(*await asyncio.open_connection("127.0.0.1", int(it.url.rpartition(":")[2])))

    async def ask(self, *pieces: bytes) -> int:
        """The status of the answer."""
        for piece in pieces:
            self._writer.write(piece)
            await asyncio.sleep(0.005)
        return await self.status()

    async def status(self) -> int:
        async with asyncio.timeout(5):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0] or 0)
            await self._reader.readexactly(length)
        return int(head.split()[1])

    async def is_over(self) -> bool:
        async with asyncio.timeout(5):
            return await self._reader.read() == b""

    def close(self) -> None:
        self._writer.transport.abort()


async def connection_id(it: Twin) -> str:
    return str((await it.seen("$connect"))["requestContext"]["connectionId"])


async def test_many_on_one_connection_also_in_pieces_and_several_at_once() -> None:
    async with twin() as it, it.connect() as socket:
        wire, name = await Wire.open(it), await connection_id(it)
        request = post(it, name, b'{"n":1}')
        assert await wire.ask(request) == 200
        assert await wire.ask(request[:7], request[7:60], request[60:-2], request[-2:]) == 200
        assert [await wire.ask(request * 3), await wire.status(), await wire.status()] == [200] * 3
        assert [await next_of(socket) for _ in range(5)] == [{"n": 1}] * 5
        assert it.calls.as_dict()["PostToConnection"] == {"calls": 5, "errors": 0}
        wire.close()


async def test_the_twin_s_end_is_a_lane_s_end() -> None:
    async with twin() as it, it.connect():
        lane, silent = await Wire.open(it), await Wire.open(it)
        assert await lane.ask(post(it, await connection_id(it), b"{}")) == 200
    for wire in (lane, silent):
        assert await wire.is_over()
        wire.close()


async def test_refusals_do_not_end_the_connection() -> None:
    async with twin() as it, it.connect() as socket:
        wire, name = await Wire.open(it), await connection_id(it)
        assert await wire.ask(post(it, "AAAAAAAAAAAAAAA=", b"{}")) == 410
        assert await wire.ask(post(it, name, b"{}", WRONG)) == 403
        assert await wire.ask(post(it, name, b"\xff")) == 400
        assert await wire.ask(post(it, name, b'{"n":1}')) == 200
        assert await next_of(socket) == {"n": 1}
        assert it.calls.as_dict()["PostToConnection"] == {"calls": 4, "errors": 3}
        wire.close()


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 1])
async def test_the_largest_and_one_more(size: int) -> None:
    async with twin() as it, it.connect(max_size=None) as socket:
        wire = await Wire.open(it)
        request = post(it, await connection_id(it), b"x" * size)
        assert await wire.ask(request) == (200 if size == MAX_MESSAGE_BYTES else 413)
        if size == MAX_MESSAGE_BYTES:
            assert len(await socket.recv()) == size
        wire.close()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"POST /@connections", b"GET /@connections"), 403),
        ((b"POST /@connections", b"POST /@elsewhere"), 404),
        ((b"HTTP/1.1", b"HTTP/2.7"), 400),
        ((b"content-length: 7", b"transfer-encoding: chunked"), 200),
        ((b"content-length: 7", b"content-length: -7"), 400),
        ((b"content-length: 7", b"content-length: 7\r\ncontent-length: 8"), 400),
        ((b"host:", b"host :"), 400),
        ((b"content-length: 7", b"content-length: 7\r\nexpect: 100-continue"), 100),
        ((b"content-length: 7", b"content-length: 7\r\nconnection: close"), 200),
    ],
)
async def test_what_is_not_plain_is_the_general_server_s(change: tuple[bytes, bytes], status: int) -> None:
    async with twin() as it, it.connect() as socket:
        wire, name = await Wire.open(it), await connection_id(it)
        plain = post(it, name, b'{"n":1}')
        assert await wire.ask(plain) == 200
        changed = plain.replace(*change)
        assert changed != plain
        if b"chunked" in changed:
            changed = changed[:-7] + b'7\r\n{"n":1}\r\n0\r\n\r\n'
        assert await wire.ask(changed) == status
        assert await next_of(socket) == {"n": 1}
        wire.close()


async def test_a_head_without_an_end_is_not_collected() -> None:
    async with twin() as it, it.connect():
        wire = await Wire.open(it)
        assert await wire.ask(post(it, await connection_id(it), b"{}")) == 200
        assert await wire.ask(posting.BEGINNING + b"x" * 2 * MAX_HEAD_BYTES) == 400
        wire.close()


async def test_while_faults_are_on_the_general_server_has_it() -> None:
    async with twin() as it, it.connect() as socket:
        wire, name = await Wire.open(it), await connection_id(it)
        request = post(it, name, b'{"n":1}')
        it.faults.replace([Fault("throttle", operation="PostToConnection", count=1)])
        assert [await wire.ask(request) for _ in range(2)] == [429, 200]
        assert await next_of(socket) == {"n": 1}
        wire.close()


async def test_who_does_not_go_on_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "KEPT_S", 0.2)
    async with twin(limits=Limits(request_s=0.1)) as it, it.connect():
        request = post(it, await connection_id(it), b'{"n":1}')
        idle = await Wire.open(it)
        assert await idle.ask(request) == 200
        assert await idle.is_over()
        idle.close()
        slow = await Wire.open(it)
        assert await slow.ask(request) == 200
        assert await slow.ask(request[:-1]) == 408
        assert await slow.is_over()
        slow.close()
