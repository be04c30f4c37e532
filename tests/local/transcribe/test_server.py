from __future__ import annotations

import asyncio
import socket
import ssl

import aiohttp
import pytest

from local.certificates import Certificates
from local.transcribe.server import Options, serving
from local.transcribe.tone_engine import Habits, ToneEngine
from tests.local.transcribe.client import KEY_ID, SECRET, Heard, make_client, read, start


async def test_it_serves_until_the_context_is_left_and_streams_end_with_it(made: Certificates) -> None:
    heard = Heard()
    async with serving(ToneEngine(Habits()), Options(made, {KEY_ID: SECRET})) as where:
        async with aiohttp.ClientSession(where.control_url) as http, http.get("/_herald/health") as response:
            assert await response.json() == {"ok": True}
        stream = await start(make_client(where.url, made.authority))
        reading = asyncio.create_task(read(stream, heard))
        port = int(where.url.rpartition(":")[2])
    await asyncio.wait_for(reading, 10)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


async def test_only_http2_is_spoken(made: Certificates) -> None:
    trusted = ssl.create_default_context(cafile=str(made.authority))
    trusted.set_alpn_protocols(["http/1.1", "h2"])
    async with serving(ToneEngine(Habits()), Options(made, {KEY_ID: SECRET})) as where:
        port = int(where.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("localhost", port, ssl=trusted)
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == "h2"
        writer.transport.abort()


async def test_a_busy_port_is_an_error_that_names_it(made: Certificates) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            async with serving(ToneEngine(Habits()), Options(made, {KEY_ID: SECRET}, port=port)):
                raise AssertionError("it must not serve")
