from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from local.faults import Fault
from local.gateway.connections import MAX_HELD_BYTES, Gone, Limits
from local.gateway.websocket import MAX_WAITING_BYTES, Slow
from tests.local.gateway.twin import next_of, ok, twin


async def test_a_life_from_connect_to_disconnect() -> None:
    async with twin() as it:
        async with it.connect("/live?token=t&x=1", user_agent_header="agent") as socket:
            await socket.send('{"action":"heartbeat"}')
            assert await next_of(socket) == {"action": "heartbeat"}
        gone = await it.seen("$disconnect")
        assert it.routes() == ["$connect", "heartbeat", "$disconnect"]
        assert it.events[0]["queryStringParameters"] == {"token": "t", "x": "1"}
        assert len({event["requestContext"]["connectionId"] for event in it.events}) == 1
        assert gone["requestContext"]["disconnectStatusCode"] == 1000
        assert len(it.gateway) == 0


@pytest.mark.parametrize("status", [400, 401, 403, 503])
async def test_a_refusal_is_the_status_of_the_handshake(status: int) -> None:
    async def refuse(event: dict[str, Any]) -> Any:
        return {"statusCode": status, "body": '{"code":"NO"}'}

    async with twin(refuse) as it:
        with pytest.raises(InvalidStatus) as refused:
            async with it.connect():
                pass
        assert refused.value.response.status_code == status
        assert refused.value.response.headers["Content-Type"] == "application/json"
        assert refused.value.response.body == b'{"code":"NO"}'
        assert it.routes() == ["$connect"]


@pytest.mark.parametrize("answer", [None, {}, {"statusCode": "ok"}, {"statusCode": 200, "body": {"not": "text"}}])
async def test_what_is_no_response_is_an_internal_server_error(answer: Any) -> None:
    async def handle(event: dict[str, Any]) -> Any:
        return answer if event["requestContext"]["routeKey"] == "heartbeat" else await ok(event)

    async with twin(handle) as it, it.connect() as socket:
        await socket.send('{"action":"heartbeat"}')
        told = await next_of(socket)
        assert told["message"] == "Internal server error"
        assert told["connectionId"] == it.events[0]["requestContext"]["connectionId"]
        assert told["requestId"] == it.events[1]["requestContext"]["requestId"]


async def test_a_function_that_raises() -> None:
    async def handle(event: dict[str, Any]) -> Any:
        if event["requestContext"]["routeKey"] == "heartbeat":
            raise RuntimeError
        return await ok(event)

    async with twin(handle) as it, it.connect() as socket:
        await socket.send('{"action":"heartbeat"}')
        assert (await next_of(socket))["message"] == "Internal server error"


async def test_a_function_that_takes_too_long_goes_on_alone() -> None:
    release, ended = asyncio.Event(), asyncio.Event()

    async def handle(event: dict[str, Any]) -> Any:
        if event["requestContext"]["routeKey"] == "heartbeat":
            await release.wait()
            ended.set()
        return await ok(event)

    async with twin(handle, Limits(integration_s=0.05)) as it, it.connect() as socket:
        await socket.send('{"action":"heartbeat"}')
        assert (await next_of(socket))["message"] == "Endpoint request timed out"
        release.set()
        await asyncio.wait_for(ended.wait(), 5)


async def test_so_many_messages_at_once_and_no_more() -> None:
    running = most = 0
    release = asyncio.Event()

    async def handle(event: dict[str, Any]) -> Any:
        nonlocal running, most
        if event["requestContext"]["routeKey"] == "heartbeat":
            running += 1
            most = max(most, running)
            await release.wait()
            running -= 1
        return await ok(event)

    async with twin(handle, Limits(in_flight=3)) as it, it.connect() as socket:
        for n in range(10):
            await socket.send(json.dumps({"action": "heartbeat", "n": n}))
        while running < 3:
            await asyncio.sleep(0.005)
        release.set()
        assert sorted([(await next_of(socket))["n"] for _ in range(10)]) == list(range(10))
        assert most == 3


async def test_messages_that_wait_for_their_turn_arrived_when_they_came() -> None:
    release = asyncio.Event()

    async def handle(event: dict[str, Any]) -> Any:
        if event["requestContext"]["routeKey"] == "heartbeat":
            await release.wait()
        return await ok(event)

    async with twin(handle, Limits(in_flight=2)) as it, it.connect() as socket:
        for n in range(20):
            await socket.send(json.dumps({"action": "heartbeat", "n": n}))
        [client] = it.gateway._clients.values()
        while len(client._waiting) < 18:
            await asyncio.sleep(0.005)
        held_ms = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 < held_ms + 20:
            await asyncio.sleep(0.005)
        release.set()
        assert [(await next_of(socket))["n"] for _ in range(20)] == list(range(20))
        assert len(it.events) == 21
        assert all(event["requestContext"]["requestTimeEpoch"] <= held_ms for event in it.events)


async def test_what_waits_is_bounded_and_read_in_the_end() -> None:
    release = asyncio.Event()

    async def handle(event: dict[str, Any]) -> Any:
        if event["requestContext"]["routeKey"] == "heartbeat":
            await release.wait()
        return {"statusCode": 200}

    async with twin(handle, Limits(in_flight=2)) as it, it.connect() as socket:
        message = json.dumps({"action": "heartbeat", "x": "x" * 30_000})
        count = 20 * MAX_HELD_BYTES // len(message)
        sending = asyncio.ensure_future(_send_all(socket, message, count))
        [client] = it.gateway._clients.values()
        while client._waiting_bytes <= MAX_HELD_BYTES:
            await asyncio.sleep(0.005)
        await asyncio.wait({sending}, timeout=0.2)
        assert client._waiting_bytes <= 3 * MAX_HELD_BYTES
        release.set()
        await sending
        async with asyncio.timeout(30):
            while it.routes().count("heartbeat") < count:
                await asyncio.sleep(0.005)
        assert client._waiting_bytes == 0


async def test_messages_of_nothing_are_held_back_too() -> None:
    release = asyncio.Event()

    async def handle(event: dict[str, Any]) -> Any:
        if event["requestContext"]["routeKey"] == "$default":
            await release.wait()
        return {"statusCode": 200}

    async with twin(handle, Limits(in_flight=2)) as it, it.connect() as socket:
        [client] = it.gateway._clients.values()
        many = b"\x81\x80\0\0\0\0" * 2_000
        async with asyncio.timeout(5):
            while client.socket._transport.is_reading():
                socket.transport.write(many)
                await asyncio.sleep(0.005)
        assert client._waiting
        release.set()
        async with asyncio.timeout(5):
            while client._waiting or not client.socket._transport.is_reading():
                await asyncio.sleep(0.005)
        assert client._waiting_bytes == 0


async def _send_all(socket: Any, message: str, count: int) -> None:
    for _ in range(count):
        await socket.send(message)


async def test_binary_messages_come_as_base64() -> None:
    async with twin() as it, it.connect() as socket:
        await socket.send(b"\x00\xff")
        await asyncio.wait_for(socket.recv(), 5)
        assert (it.events[1]["body"], it.events[1]["isBase64Encoded"]) == ("AP8=", True)


async def test_posts_reach_one_client_and_nobody_when_it_has_gone() -> None:
    async with twin() as it:
        async with it.connect() as socket, it.connect() as other:
            first, second = (event["requestContext"]["connectionId"] for event in it.events)
            it.gateway.post(first, '{"n":1}')
            it.gateway.post(second, '{"n":2}')
            assert await next_of(socket) == {"n": 1}
            assert await next_of(other) == {"n": 2}
        await it.seen("$disconnect")
        while len(it.gateway):
            await asyncio.sleep(0.005)
        with pytest.raises(Gone):
            it.gateway.post(first, "{}")


async def test_a_client_that_reads_nothing_is_refused_more_and_delays_nobody() -> None:
    async with twin() as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(it.url.rpartition(":")[2]), limit=1024)
        writer.write(
            b"GET /live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert b"101" in await reader.readline()
        async with it.connect() as socket:
            deaf, quick = (event["requestContext"]["connectionId"] for event in it.events)
            large = json.dumps({"x": "x" * 30_000})
            refused = False
            for _ in range(2_000):  # 60 MB: more than any kernel keeps for a connection
                try:
                    it.gateway.post(deaf, large)
                except Slow:
                    refused = True
                    break
                await asyncio.sleep(0)
            assert refused
            assert it.gateway.client(deaf).socket.waiting_bytes <= MAX_WAITING_BYTES + len(large) + 14
            it.gateway.post(quick, '{"n":1}')
            assert await next_of(socket) == {"n": 1}
        writer.transport.abort()


async def test_idle_and_old_connections_are_ended() -> None:
    async with twin(limits=Limits(idle_s=0.1)) as it, it.connect() as socket:
        with pytest.raises(ConnectionClosed, match="1001"):
            await asyncio.wait_for(socket.recv(), 5)
        assert (await it.seen("$disconnect"))["requestContext"]["disconnectStatusCode"] == 1001
    async with twin(limits=Limits(lifetime_s=0.1)) as it, it.connect() as socket:
        with pytest.raises(ConnectionClosed, match="1001"):
            await asyncio.wait_for(socket.recv(), 5)


@pytest.mark.parametrize(
    "bytes_of", [b" ", b"\x00\x80\0\0\0\0", b"\x89\x80\0\0\0\0"], ids=["a frame", "fragments", "pings"]
)
async def test_bytes_of_no_message_are_no_sign_of_life(bytes_of: bytes) -> None:
    begin = b"\x81\xfe\x40\x00\0\0\0\0" if bytes_of == b" " else b"\x01\x81\0\0\0\0{"
    async with twin(limits=Limits(idle_s=0.2)) as it, it.connect() as socket:
        socket.transport.write(begin)
        async with asyncio.timeout(5):
            while "$disconnect" not in it.routes():
                socket.transport.write(bytes_of)
                await asyncio.sleep(0.02)
        assert it.routes() == ["$connect", "$disconnect"]


async def test_faults() -> None:
    async with twin() as it, it.connect() as socket:
        it.faults.replace([Fault("throttle", "heartbeat", count=1), Fault("error", "heartbeat", count=1)])
        for expected in ("Limit exceeded", "Internal server error"):
            await socket.send('{"action":"heartbeat"}')
            assert (await next_of(socket))["message"] == expected
        it.faults.replace([Fault("slow", "heartbeat", delay_ms=1), Fault("half_open", "sendAudio")])
        await socket.send('{"action":"sendAudio"}')
        await socket.send('{"action":"heartbeat"}')
        assert await next_of(socket) == {"action": "heartbeat"}
        it.faults.replace([Fault("cut", "heartbeat")])
        await socket.send('{"action":"heartbeat"}')
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)
        assert (await it.seen("$disconnect"))["requestContext"]["disconnectStatusCode"] == 1006


async def test_one_that_goes_before_it_is_let_in_leaves_nothing() -> None:
    release = asyncio.Event()

    async def handle(event: dict[str, Any]) -> Any:
        if event["requestContext"]["routeKey"] == "$connect":
            await release.wait()
        return await ok(event)

    async with twin(handle) as it:
        _, writer = await asyncio.open_connection("127.0.0.1", int(it.url.rpartition(":")[2]))
        writer.write(
            b"GET /live HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await it.seen("$connect")
        writer.transport.abort()
        await asyncio.sleep(0.02)
        release.set()
        await it.seen("$disconnect")
        assert len(it.gateway) == 0
