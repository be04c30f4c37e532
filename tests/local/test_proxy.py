"""The proxy before a real HTTP server, by clients that keep their connections."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import msgspec
import pytest
from aiohttp import web

from local import proxy
from local.proxy import Proxy, Trouble

PATIENCE = aiohttp.ClientTimeout(total=0.3)


@dataclass
class Bench:
    """A server that counts what reaches it, the proxy before it, and a client with one connection."""

    proxy: Proxy
    client: aiohttp.ClientSession
    reached: list[str]

    async def get(self, path: str = "/a", within: aiohttp.ClientTimeout | None = None) -> str:
        async with self.client.get(path, timeout=within or aiohttp.ClientTimeout(total=5)) as answer:
            return await answer.text()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    reached: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response(text=request.path * int(request.query.get("times", "1")))

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made = Proxy(runner.addresses[0][:2], seed=1)
    await made.start(0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{made.port}") as client:
        yield Bench(made, client, reached)
    await made.stop()
    await runner.cleanup()


async def test_what_goes_in_comes_out_over_one_kept_connection(bench: Bench) -> None:
    assert [await bench.get(f"/{n}") for n in range(5)] == ["/0", "/1", "/2", "/3", "/4"]
    assert bench.proxy.calls.as_dict() == {"Exchange": {"calls": 5, "errors": 0}}


async def test_many_bytes_pass_unchanged(bench: Bench) -> None:
    assert await bench.get("/abc?times=500000") == "/abc" * 500_000


async def test_a_reset_before_the_request_keeps_it_from_the_server(bench: Bench) -> None:
    bench.proxy.replace([Trouble("reset")])
    with pytest.raises(aiohttp.ClientError):
        await bench.client.post("/x", data=b"1")
    assert bench.reached == []
    bench.proxy.replace([])
    assert await bench.get() == "/a"


async def test_a_reset_of_the_answer_lets_the_deed_be_done(bench: Bench) -> None:
    bench.proxy.replace([Trouble("reset", at="answer")])
    with pytest.raises(aiohttp.ClientError):
        await bench.get("/deed")
    assert "/deed" in bench.reached


async def test_a_share_of_exchanges_is_hit(bench: Bench) -> None:
    bench.proxy.replace([Trouble("reset", probability=0.2, at="answer")])
    failed = 0
    for number in range(100):
        async with aiohttp.ClientSession(f"http://127.0.0.1:{bench.proxy.port}") as client:
            try:
                async with client.post(f"/{number}") as answer:
                    await answer.read()
            except aiohttp.ClientError:
                failed += 1
    assert 8 <= failed <= 35


async def test_a_blackhole_keeps_connections_and_says_nothing_also_when_it_is_over(bench: Bench) -> None:
    assert await bench.get() == "/a"
    bench.proxy.replace([Trouble("blackhole")])
    held = asyncio.create_task(bench.get("/held", aiohttp.ClientTimeout(total=10)))  # by the connection of before
    with pytest.raises(TimeoutError):
        await bench.get("/new", PATIENCE)
    bench.proxy.replace([])
    assert await bench.get("/after") == "/after"
    assert not held.done()
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    assert bench.reached == ["/a", "/after"]


async def test_a_delayed_request_arrives_though_its_client_has_given_up(bench: Bench) -> None:
    bench.proxy.replace([Trouble("delay", delay_ms=500)])
    with pytest.raises(TimeoutError):
        await bench.get("/late", PATIENCE)
    assert bench.reached == []
    async with asyncio.timeout(5):
        while bench.reached != ["/late"]:
            await asyncio.sleep(0.02)


async def test_a_slow_line_takes_its_time(bench: Bench) -> None:
    bench.proxy.replace([Trouble("slow", bytes_per_s=20_000)])
    began = time.monotonic()
    assert len(await bench.get("/a?times=5000")) == 10_000
    assert 0.3 < time.monotonic() - began < 3


async def test_a_closed_port_refuses_and_opens_again(bench: Bench) -> None:
    assert await bench.get() == "/a"
    bench.proxy.replace([Trouble("closed")])
    with pytest.raises(aiohttp.ClientConnectorError):
        await bench.get()
    bench.proxy.replace([])
    async with asyncio.timeout(5):
        while True:
            try:
                assert await bench.get() == "/a"
                break
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("body", [b'[{"kind": "explode"}]', b'[{"kind": "delay", "colour": 1}]', b"{}"])
def test_what_is_no_trouble_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        proxy.decode(body)


def test_as_a_program_it_is_switched_by_its_control_plane() -> None:
    argv = [sys.executable, "-m", "local.proxy", "--upstream-variable", "UPSTREAM", "--die-with-parent"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "UPSTREAM": "http://127.0.0.1:1"}
    ) as program:
        try:
            assert program.stdout is not None
            word, url, control = program.stdout.readline().split()
            assert (word, url.startswith("http://127.0.0.1:")) == ("ready", True)
            where = control.removeprefix("control=")
            put = urllib.request.Request(f"{where}/_herald/faults", b'[{"kind":"delay","delay_ms":1}]', method="PUT")
            with urllib.request.urlopen(put, timeout=10) as answer:
                assert msgspec.json.decode(answer.read(), type=list[Trouble]) == [Trouble("delay", delay_ms=1)]
            program.send_signal(signal.SIGTERM)
            assert program.wait(10) == 0
        finally:
            program.kill()


def test_without_an_upstream_it_says_what_is_missing() -> None:
    argv = [sys.executable, "-m", "local.proxy", "--upstream-variable", "UPSTREAM"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "UPSTREAM": ""})
    assert done.returncode == 1
    assert "UPSTREAM" in done.stderr
