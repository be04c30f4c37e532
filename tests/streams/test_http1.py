"""Many small requests to one server, at servers that are well and at those that are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from yarl import URL

from streams import http1
from streams.http1 import Answer, Http1
from tests.support.services import free_port

REQUEST = b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Served:
    """A server. connections: how many it has had; most: at once."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.connections = self.now = self.most = 0
        self.clients: list[Http1] = []

    def http(self, most: int = 10, answer_s: float = 5.0) -> Http1:
        self.clients.append(Http1(self.url, most=most, connect_s=5.0, answer_s=answer_s))
        return self.clients[-1]


@asynccontextmanager
async def serving(*pieces: bytes, closes: bool = False) -> AsyncIterator[Served]:
    """Answers each request with these pieces, a moment apart."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        served.connections += 1
        served.now += 1
        served.most = max(served.most, served.now)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for piece in pieces:
                    writer.write(piece)
                    await asyncio.sleep(0.001)
                if closes:
                    writer.close()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            served.now -= 1

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    served = Served(URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    try:
        yield served
    finally:
        for client in served.clients:
            await client.close()
        server.close()
        for writer in writers:
            writer.transport.abort()


async def test_connections_are_used_again_and_no_more_are_opened_than_may_be() -> None:
    async with serving(OK) as it:
        http = it.http(most=3)
        answers = await asyncio.gather(*(http.request(REQUEST) for _ in range(50)))
        assert answers == [Answer(200, {"content-length": "2", "x-a": "b"}, b"hi")] * 50
        assert it.connections == it.most == 3


@pytest.mark.parametrize(
    "answer",
    [
        [OK[:5], OK[5:30], OK[30:]],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n", b"1\r\ni\r\n0\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" + OK],
    ],
)
async def test_answers_in_pieces(answer: list[bytes]) -> None:
    async with serving(*answer) as it:
        http = it.http()
        for _ in range(2):
            found = await http.request(REQUEST)
            assert (found.status, found.body) == (200, b"hi")
        assert it.connections == 1


async def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    async with serving(b"HTTP/1.1 410 Gone\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", closes=True) as it:
        http = it.http()
        assert [(await http.request(REQUEST)).status for _ in range(3)] == [410] * 3
        assert it.connections == 3


async def test_an_old_connection_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "KEPT_S", -1.0)
    async with serving(OK) as it:
        http = it.http()
        assert [(await http.request(REQUEST)).status for _ in range(3)] == [200] * 3
        assert it.connections == 3


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", OK[:-1]])
async def test_a_server_that_goes_in_the_middle(answer: bytes) -> None:
    async with serving(answer, closes=True) as it:
        with pytest.raises(ConnectionError):
            await it.http().request(REQUEST)


async def test_what_is_no_http() -> None:
    async with serving(b"SSH-2.0-x\r\n") as it:
        with pytest.raises(ConnectionError, match="no HTTP"):
            await it.http().request(REQUEST)


@pytest.mark.parametrize("more", [OK.replace(b"hi", b"no"), OK[:-1]])
@pytest.mark.parametrize("at_once", [False, True])
async def test_what_nobody_asked_for_is_nobody_s_answer(more: bytes, at_once: bool) -> None:
    async with serving(*([OK + more] if at_once else [OK, more])) as it:
        http = it.http()
        assert (await http.request(REQUEST)).body == b"hi"
        await asyncio.sleep(0.05)
        assert (await http.request(REQUEST)).body == b"hi"
        assert it.connections == 2


async def test_a_late_answer_is_nobody_s() -> None:
    async with serving() as it:
        http = it.http(most=1, answer_s=0.05)
        with pytest.raises(TimeoutError):
            await http.request(REQUEST)
        asked = asyncio.ensure_future(http.request(REQUEST))
        await asyncio.sleep(0.02)
        asked.cancel()
        await asyncio.wait({asked})
        with pytest.raises(TimeoutError):
            await http.request(REQUEST)
        assert it.connections == 3


async def test_what_is_answered_after_the_end_is_not_kept() -> None:
    async with serving(OK[:5], OK[5:]) as it:
        http = it.http()
        asked = asyncio.ensure_future(http.request(REQUEST))
        async with asyncio.timeout(5):
            while not it.now:
                await asyncio.sleep(0.001)
            await http.close()
            assert (await asked).body == b"hi"
            while it.now:
                await asyncio.sleep(0.001)


async def test_nobody_serves() -> None:
    with pytest.raises(ConnectionRefusedError):
        await Http1(URL(f"http://127.0.0.1:{free_port()}"), most=1, connect_s=5.0, answer_s=5.0).request(REQUEST)
