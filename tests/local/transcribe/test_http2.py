"""The transport alone, without TLS: a client on ``h2`` that does what real ones seldom do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from local.transcribe import http2
from local.transcribe.http2 import STREAM_WINDOW_BYTES, Connection, Stream, StreamClosed

REQUEST = [(":method", "POST"), (":path", "/"), (":scheme", "https"), (":authority", "here")]


class Client:
    """One connection. Takes answers only as far as its window of 64 KiB allows, unless told to `acknowledge`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.acknowledge = True
        self.events: list[h2.events.Event] = []

    async def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())
        await self._writer.drain()

    async def request(self, *, end: bool = False) -> int:
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, REQUEST, end_stream=end)
        await self.flush()
        return stream_id

    async def until(self, condition: Callable[[h2.events.Event], bool]) -> h2.events.Event:
        """Take part until an event comes that meets the condition."""
        async with asyncio.timeout(10):
            while True:
                for event in self.events:
                    if condition(event):
                        self.events.remove(event)
                        return event
                data = await self._reader.read(65536)
                if not data:
                    raise ConnectionError("closed by the server")
                for event in self.h2.receive_data(data):
                    if isinstance(event, h2.events.DataReceived) and self.acknowledge:
                        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    self.events.append(event)
                await self.flush()

    async def body(self, stream_id: int) -> bytes:
        """The whole answer."""
        await self.until(lambda event: isinstance(event, h2.events.StreamEnded) and event.stream_id == stream_id)
        parts = [e.data for e in self.events if isinstance(e, h2.events.DataReceived) and e.stream_id == stream_id]
        return b"".join(parts)

    def close(self) -> None:
        self._writer.close()


Serve = Callable[[Callable[[Stream], Awaitable[None]]], Awaitable[Client]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    connections: set[Connection] = set()
    servers: list[asyncio.Server] = []
    clients: list[Client] = []

    async def start(handler: Callable[[Stream], Awaitable[None]]) -> Client:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(handler, connections), "127.0.0.1", 0)
        servers.append(server)
        client = Client(*await asyncio.open_connection(*server.sockets[0].getsockname()))
        clients.append(client)
        return client

    yield start
    for server in servers:
        server.close()
    for client in clients:
        client.close()
    await asyncio.gather(*(connection.close() for connection in list(connections)))


async def echo(stream: Stream) -> None:
    stream.respond(200, [])
    while (data := await stream.receive()) is not None:
        await stream.send(data)
    stream.end()


async def test_streams_side_by_side_beyond_every_window(serve: Serve) -> None:
    client = await serve(echo)
    streams = {await client.request(): bytes([i]) * 500_000 for i in range(3)}
    unsent = dict(streams)
    while unsent:
        for stream_id in list(unsent):
            while data := unsent.get(stream_id):
                size = min(client.h2.local_flow_control_window(stream_id), client.h2.max_outbound_frame_size)
                if not size:
                    break
                client.h2.send_data(stream_id, data[:size], end_stream=size >= len(data))
                unsent[stream_id] = data[size:]
            if not unsent[stream_id]:
                del unsent[stream_id]
        await client.flush()
        if unsent:
            await client.until(lambda event: isinstance(event, h2.events.WindowUpdated))
    for stream_id, sent in streams.items():
        assert await client.body(stream_id) == sent


async def test_a_handler_that_does_not_read_stops_the_client(serve: Serve) -> None:
    hold = asyncio.Event()

    async def wait(stream: Stream) -> None:
        stream.respond(200, [])
        await hold.wait()
        await echo_rest(stream)

    async def echo_rest(stream: Stream) -> None:
        count = 0
        while (data := await stream.receive()) is not None:
            count += len(data)
        await stream.send(str(count).encode())
        stream.end()

    client = await serve(wait)
    stream_id = await client.request()
    await client.until(lambda event: isinstance(event, h2.events.ResponseReceived))
    sent = 0
    while size := min(client.h2.local_flow_control_window(stream_id), client.h2.max_outbound_frame_size):
        client.h2.send_data(stream_id, bytes(size))
        sent += size
        await client.flush()
    assert sent == STREAM_WINDOW_BYTES
    hold.set()
    await client.until(lambda event: isinstance(event, h2.events.WindowUpdated) and event.stream_id == stream_id)
    client.h2.end_stream(stream_id)
    await client.flush()
    assert await client.body(stream_id) == str(sent).encode()


async def test_a_client_that_does_not_read_stops_the_handler_and_then_loses_its_stream(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http2, "SEND_TIMEOUT_S", 0.2)
    sent = 0

    async def flood(stream: Stream) -> None:
        nonlocal sent
        stream.respond(200, [])
        while True:
            await stream.send(bytes(1000))
            sent += 1000

    client = await serve(flood)
    client.acknowledge = False
    stream_id = await client.request(end=True)
    reset = await client.until(lambda event: isinstance(event, h2.events.StreamReset))
    assert isinstance(reset, h2.events.StreamReset)
    assert reset.stream_id == stream_id
    assert sent <= 65_535


async def test_an_answer_may_end_before_the_request(serve: Serve) -> None:
    async def refuse(stream: Stream) -> None:
        stream.respond(400, [])
        await stream.send(b"no")
        stream.end()

    client = await serve(refuse)
    stream_id = await client.request()
    reset = await client.until(lambda event: isinstance(event, h2.events.StreamReset))
    assert isinstance(reset, h2.events.StreamReset)
    assert reset.error_code == h2.errors.ErrorCodes.NO_ERROR
    assert await client.body(stream_id) == b"no"
    again = await client.request()
    assert await client.body(again) == b"no", "the connection lives on"


async def test_a_client_that_resets_its_stream_lets_its_handler_go(serve: Serve) -> None:
    left = asyncio.Event()

    async def listen(stream: Stream) -> None:
        try:
            await stream.receive()
        except StreamClosed:
            left.set()
            raise

    client = await serve(listen)
    stream_id = await client.request()
    client.h2.reset_stream(stream_id)
    await client.flush()
    await asyncio.wait_for(left.wait(), 10)


async def test_a_handler_that_fails_breaks_its_own_stream_only(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def fail_once(stream: Stream) -> None:
        if not caplog.records:
            raise ValueError("a mistake of ours")
        await echo(stream)

    client = await serve(fail_once)
    await client.request(end=True)
    reset = await client.until(lambda event: isinstance(event, h2.events.StreamReset))
    assert isinstance(reset, h2.events.StreamReset)
    assert reset.error_code == h2.errors.ErrorCodes.INTERNAL_ERROR
    assert "a stream failed" in caplog.text
    assert await client.body(await client.request(end=True)) == b""


async def test_rubbish_ends_the_connection(serve: Serve) -> None:
    client = await serve(echo)
    client._writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionError):
        await client.until(lambda _: False)
