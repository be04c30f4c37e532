from __future__ import annotations

import asyncio
from typing import cast

import pytest

from local.transcribe.http2 import Stream, StreamClosed
from local.transcribe.outbox import MAX_WAITING, Outbox


class Client:
    """Stands for a stream whose client takes data only while it is let."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self.gone = False

    async def send(self, data: bytes) -> None:
        await self.takes.wait()
        if self.gone:
            raise StreamClosed
        self.taken.append(data)


def outbox_for(client: Client) -> Outbox:
    return Outbox(cast(Stream, client))


async def test_everything_in_order_and_finish_waits_for_it() -> None:
    client = Client()
    async with outbox_for(client) as outbox:
        for i in range(100):
            await outbox.put(bytes([i]))
        await outbox.finish()
    assert client.taken == [bytes([i]) for i in range(100)]


async def test_a_slow_client_holds_up_who_puts() -> None:
    client = Client()
    client.takes.clear()
    async with outbox_for(client) as outbox:
        for _ in range(MAX_WAITING):
            await outbox.put(b"x")
        await asyncio.sleep(0)  # the sender takes one and waits with it
        await outbox.put(b"x")
        putting = asyncio.create_task(outbox.put(b"last"))
        await asyncio.sleep(0)
        assert not putting.done()
        client.takes.set()
        await putting
        await outbox.finish()
    assert len(client.taken) == MAX_WAITING + 2


async def test_a_client_that_is_gone_lets_nobody_wait() -> None:
    client = Client()
    client.takes.clear()
    async with outbox_for(client) as outbox:
        for _ in range(MAX_WAITING):
            await outbox.put(b"x")
        await asyncio.sleep(0)
        putters = [asyncio.create_task(outbox.put(b"x")) for _ in range(3)]
        client.gone = True
        client.takes.set()
        await asyncio.wait(putters, timeout=5)
        assert all(putter.done() for putter in putters)
        with pytest.raises(StreamClosed):
            await outbox.put(b"x")
        with pytest.raises(StreamClosed):
            await outbox.finish()


async def test_a_delay_holds_messages_back_and_keeps_their_order() -> None:
    client = Client()
    loop = asyncio.get_running_loop()
    async with outbox_for(client) as outbox:
        outbox.delay_s = 0.1
        before = loop.time()
        await outbox.put(b"a")
        outbox.delay_s = 0.0
        await outbox.put(b"b")
        await outbox.finish()
    assert client.taken == [b"a", b"b"]
    assert loop.time() - before >= 0.1


async def test_what_was_not_sent_is_dropped_on_leaving() -> None:
    client = Client()
    client.takes.clear()
    async with outbox_for(client) as outbox:
        await outbox.put(b"x")
    client.takes.set()
    assert client.taken == []
