"""The wire: what the service's limits make of frames. Whole lives are in test_connections.py."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from gateway.routes import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES
from local.gateway.websocket import MAX_WAITING_BYTES
from tests.local.gateway.twin import twin


async def test_a_frame_and_a_message_of_the_largest_size() -> None:
    async with twin() as it, it.connect() as socket:
        await socket.send("x" * MAX_FRAME_BYTES)
        assert len(await socket.recv()) == MAX_FRAME_BYTES
        await socket.send(["x" * MAX_FRAME_BYTES] * (MAX_MESSAGE_BYTES // MAX_FRAME_BYTES))
        assert len(await socket.recv()) == MAX_MESSAGE_BYTES


@pytest.mark.parametrize("frames", [["x" * (MAX_FRAME_BYTES + 1)], ["x" * MAX_FRAME_BYTES] * 5])
async def test_larger_ones_close_with_1009(frames: list[str]) -> None:
    async with twin() as it, it.connect() as socket:
        await socket.send(frames if len(frames) > 1 else frames[0])
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        assert it.routes()[:1] == ["$connect"]
        assert "$default" not in it.routes()


async def test_what_goes_out_is_in_frames_that_the_service_would_send() -> None:
    async with twin() as it, it.connect(max_size=(None, MAX_FRAME_BYTES)) as socket:
        text = "é" * MAX_FRAME_BYTES
        it.gateway.post(it.events[0]["requestContext"]["connectionId"], text)
        assert await asyncio.wait_for(socket.recv(), 5) == text


async def test_text_that_is_no_utf_8_closes_with_1007() -> None:
    async with twin() as it, it.connect() as socket:
        await socket.send(b"\xff\xfe", text=True)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1007


async def test_pings_are_answered() -> None:
    async with twin() as it, it.connect() as socket:
        await asyncio.wait_for(await socket.ping(), 5)


async def test_fragments_of_nothing_are_not_kept() -> None:
    async with twin() as it, it.connect() as socket:
        await socket.send(["{", *[""] * 5_000, "}"])
        assert await asyncio.wait_for(socket.recv(), 5) == "{}"
        await socket.ping()
        socket.transport.write(Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=True))
        socket.transport.write(Frame(Opcode.CONT, b"", fin=False).serialize(mask=True) * 5_000)
        await asyncio.wait_for(await socket.ping(), 5)
        (client,) = it.gateway._clients.values()
        assert client.socket._parts == [b"{"]


async def test_a_client_that_takes_no_pongs_is_not_read() -> None:
    async with twin() as it, it.connect() as socket:
        (client,) = it.gateway._clients.values()
        socket.transport.pause_reading()
        ping = Frame(Opcode.PING, bytes(125)).serialize(mask=True)
        async with asyncio.timeout(8):
            while client.socket._transport.is_reading():
                if not socket.transport.get_write_buffer_size():
                    socket.transport.write(ping * 1_000)
                await asyncio.sleep(0)
        assert client.socket.waiting_bytes < 2 * MAX_WAITING_BYTES
        socket.transport.abort()
