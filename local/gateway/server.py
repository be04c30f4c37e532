"""The twin as a whole: the port, the connections, the functions, plain HTTP."""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gateway.lambdas import now_ms
from gateway.routes import FUNCTIONS, function
from local.aws_http import HOST, local_secrets
from local.control import Calls
from local.faults import Faults
from local.gateway.connections import Gateway, Limits
from local.gateway.entrance import Entrance
from local.gateway.functions import FunctionFailed, load
from local.gateway.http import Http
from local.issuer import Issuer
from streams.resources import DEFAULT_PREFIX

SWEEP_S: Final = float(function("sweep").every_s or 0)
PATIENCE_S: Final = 1.0
"""How long what runs may go on after SIGTERM; twins promise to end within 2 s."""


class Server:
    """Listens on 127.0.0.1. The functions find the management API and Lambda here, by the standard variables."""

    def __init__(self, keys: Path, limits: Limits, fault_seed: int = 0, sweep_s: float = SWEEP_S) -> None:
        faults, calls = Faults(fault_seed), Calls()
        self._functions = load(FUNCTIONS)
        self._gateway = Gateway(self._functions, faults, calls, limits)
        self._faults = faults
        self._calls = calls
        self._keys = keys
        self._sweep_s = sweep_s
        self.url = ""

    async def start(self, port: int) -> None:
        """Serve."""
        loop = asyncio.get_running_loop()
        started_ms = now_ms()
        self._entrances = await loop.create_server(self._entrance, HOST, port, start_serving=False)
        self.url = f"http://{HOST}:{self._entrances.sockets[0].getsockname()[1]}"
        for variable in ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "AWS_ENDPOINT_URL_LAMBDA"):
            os.environ[variable] = self.url
        os.environ.setdefault("TOKEN_ISSUER", f"{self.url}/")
        os.environ.setdefault("TOKEN_AUDIENCE", "herald")
        os.environ.setdefault("TOKEN_JWKS_URL", f"{self.url}/.well-known/jwks.json")
        issuer = Issuer(self._keys, os.environ["TOKEN_ISSUER"], os.environ["TOKEN_AUDIENCE"])
        prefix = os.environ.get("HERALD_PREFIX") or DEFAULT_PREFIX
        http = Http(self._gateway, self._faults, self._calls, local_secrets(), issuer.jwks(), prefix)
        self._runner = web.AppRunner(
            http.application(), access_log=None, handler_cancellation=True, shutdown_timeout=PATIENCE_S / 2
        )
        await self._runner.setup()
        await self._functions.open()
        await self._entrances.start_serving()
        await self._sweep({"seenBeforeMs": started_ms})  # nobody is connected from a former life
        self._schedule = asyncio.create_task(self._keep_sweeping())

    async def stop(self) -> None:
        """Close every connection, let what runs end, release everything."""
        self._schedule.cancel()
        await asyncio.gather(self._schedule, return_exceptions=True)
        self._entrances.close()
        self._gateway.close_all()
        await self._functions.close(PATIENCE_S)
        await self._runner.cleanup()

    async def _keep_sweeping(self) -> None:
        """EventBridge, as far as the gateway needs it."""
        while True:
            await asyncio.sleep(self._sweep_s)
            await self._sweep({})

    async def _sweep(self, event: dict[str, Any]) -> None:
        with suppress(FunctionFailed):  # it has been logged, and the next run does what this one did not
            await self._functions.invoke("sweep", event, str(uuid.uuid4()))

    def _entrance(self) -> Entrance:
        server = self._runner.server
        assert server is not None
        return Entrance(self._gateway, server)
