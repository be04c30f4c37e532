"""The twin in this process, with functions of the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from gateway.routes import FUNCTIONS
from local.control import Calls
from local.faults import Faults
from local.gateway.connections import Gateway, Limits
from local.gateway.entrance import Entrance
from local.gateway.functions import Functions
from local.gateway.http import Http, runner

SECRETS = {"key": "secret"}

Answer = Callable[[dict[str, Any]], Awaitable[Any]]


@dataclass
class Twin:
    """events: what functions were invoked with, in order."""

    url: str
    gateway: Gateway
    calls: Calls
    faults: Faults
    events: list[dict[str, Any]] = field(default_factory=list)

    def connect(self, path: str = "/live?a=b", **options: Any) -> Any:
        return connect(self.url.replace("http", "ws", 1) + path, compression=None, proxy=None, **options)

    def routes(self) -> list[str]:
        return [event.get("requestContext", {}).get("routeKey", "invoked") for event in self.events]

    async def seen(self, route: str) -> dict[str, Any]:
        """The first event of a route, once it is there."""
        async with asyncio.timeout(5):
            while True:
                for event in self.events:
                    if event["requestContext"]["routeKey"] == route:
                        return event
                await asyncio.sleep(0.005)


async def ok(event: dict[str, Any]) -> Any:
    """Accepts everybody, and answers a message with its body."""
    return {"statusCode": 200, "body": event.get("body", "")}


@asynccontextmanager
async def twin(answer: Answer = ok, limits: Limits | None = None) -> AsyncIterator[Twin]:
    faults, calls = Faults(1), Calls()
    events: list[dict[str, Any]] = []

    async def handle(event: dict[str, Any], _: Any) -> Any:
        events.append(event)
        return await answer(event)

    async def nothing() -> None:
        return None

    functions = Functions({spec.name: (spec, handle) for spec in FUNCTIONS}, nothing, nothing)
    gateway = Gateway(functions, faults, calls, limits or Limits())
    http = Http(gateway, faults, calls, SECRETS, lambda: {"keys": []}, "herald")
    served = runner(http.application(), 0.1)
    await served.setup()
    assert served.server is not None
    make_http = served.server
    server = await asyncio.get_running_loop().create_server(lambda: Entrance(gateway, http, make_http), "127.0.0.1", 0)
    try:
        yield Twin(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", gateway, calls, faults, events)
    finally:
        server.close()
        gateway.close_all()
        await functions.close(1.0)
        http.end()
        await served.cleanup()


async def next_of(socket: ClientConnection) -> Any:
    """The next message, as JSON."""
    async with asyncio.timeout(5):
        return json.loads(await socket.recv())
