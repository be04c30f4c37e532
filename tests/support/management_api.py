"""A small real server for the gateway's management API: what each connection gets, and misbehaviour on demand."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web


class ManagementApi:
    """gone: connections that are closed. broken: how many posts to a connection still fail. stuck: never answered.
    held: answered once the event is set."""

    def __init__(self) -> None:
        self.url = ""
        self.received: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.sizes: list[int] = []
        self.gone: set[str] = set()
        self.broken: dict[str, int] = {}
        self.stuck: set[str] = set()
        self.held: dict[str, asyncio.Event] = {}
        self.delay_s: dict[str, float] = {}
        self.most_in_flight = 0
        self._in_flight = 0

    async def post(self, request: web.Request) -> web.Response:
        """POST /@connections/{id}."""
        connection = unquote(request.match_info["id"])
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            body = await request.read()
            if connection in self.stuck:
                await asyncio.Event().wait()
            if connection in self.held:
                await self.held[connection].wait()
            await asyncio.sleep(self.delay_s.get(connection, 0))
            if connection in self.gone:
                return web.json_response({"message": "Gone"}, status=410, headers={"x-amzn-errortype": "GoneException"})
            if self.broken.get(connection, 0) > 0:
                self.broken[connection] -= 1
                return web.json_response({"message": "broken"}, status=500)
            self.sizes.append(len(body))
            self.received[connection].append(msgspec.json.decode(body))
            return web.Response()
        finally:
            self._in_flight -= 1


@asynccontextmanager
async def management_api() -> AsyncIterator[ManagementApi]:
    """It serves for the time of the block."""
    api = ManagementApi()
    app = web.Application()
    app.router.add_post("/@connections/{id}", api.post)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield api
    finally:
        await runner.cleanup()
