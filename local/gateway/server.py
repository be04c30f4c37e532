"""The twin as a whole: the port, the connections, the functions, plain HTTP."""

from __future__ import annotations

import asyncio
import gc
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from gateway.drain import draining
from gateway.lambdas import now_ms
from gateway.pulse import ROUND_S, ROUNDS
from gateway.routes import FUNCTIONS, function
from gateway.settings import Settings
from local.aws_http import HOST, local_secrets
from local.control import Calls
from local.faults import Faults
from local.gateway.connections import Gateway, Limits
from local.gateway.entrance import Entrance
from local.gateway.functions import FunctionFailed, load
from local.gateway.http import Http, runner
from local.gateway.pages import SUBJECT, Pages
from local.issuer import Issuer
from streams.resources import DEFAULT_PREFIX
from streams.settings import load as load_settings

SHARED_RATES: Final = ("MAX_CONNECTS_PER_MINUTE", "MAX_JOINS_PER_MINUTE", "MAX_SESSIONS_PER_HOUR")
UNLIKELY: Final = 100_000
"""Here all clients have one address, and most speakers one name: the rates of row W21 that go by these would count the
whole world as one client. They hold where the environment sets them."""
SWEEP_S: Final = float(function("sweep").every_s or 0)
RECONNECT_AFTER_S: Final = 2
"""What clients are told when the twin stops: who starts it again does so within a few seconds."""
PATIENCE_S: Final = 1.0
"""How long what runs may go on after SIGTERM; twins promise to end within 2 s."""


class Server:
    """Listens on 127.0.0.1. The functions find the management API and Lambda here, by the standard variables."""

    def __init__(
        self, keys: Path, limits: Limits, fault_seed: int = 0, sweep_s: float = SWEEP_S, round_s: float = ROUND_S
    ) -> None:
        faults, calls = Faults(fault_seed), Calls()
        self._functions = load(FUNCTIONS)
        self._gateway = Gateway(self._functions, faults, calls, limits)
        self._faults = faults
        self._calls = calls
        self._keys = keys
        self._limits = limits
        self._sweep_s = sweep_s
        self._round_s = round_s
        self.url = ""

    async def start(self, port: int) -> None:
        """Serve."""
        loop = asyncio.get_running_loop()
        started_ms = now_ms()
        self._entrances = await loop.create_server(self._entrance, HOST, port, start_serving=False)
        self.url = f"http://{HOST}:{self._entrances.sockets[0].getsockname()[1]}"
        for variable in ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "AWS_ENDPOINT_URL_LAMBDA"):
            os.environ[variable] = self.url
        for variable in SHARED_RATES:
            os.environ.setdefault(variable, str(UNLIKELY))
        os.environ.setdefault("TOKEN_ISSUER", f"{self.url}/")
        os.environ.setdefault("TOKEN_AUDIENCE", "herald")
        os.environ.setdefault("TOKEN_JWKS_URL", f"{self.url}/.well-known/jwks.json")
        os.environ.setdefault("CONNECTION_LIFETIME_S", str(self._limits.lifetime_s))
        issuer = Issuer(self._keys, os.environ["TOKEN_ISSUER"], os.environ["TOKEN_AUDIENCE"])
        prefix = os.environ.get("HERALD_PREFIX") or DEFAULT_PREFIX
        self._http = Http(self._gateway, self._faults, self._calls, local_secrets(), issuer.jwks, prefix)
        application = self._http.application()
        Pages(lambda: issuer.sign(SUBJECT, "speaker"), load_settings(Settings, os.environ).sources()).add_routes(
            application
        )
        self._runner = runner(application, PATIENCE_S / 2)
        await self._runner.setup()
        await self._functions.open()
        gc.freeze()  # of what was made for the start, to walk it all would hold everybody up for half a second
        await self._entrances.start_serving()
        await self._invoke("sweep", {"seenBeforeMs": started_ms})  # nobody is connected from a former life
        rounds = {"rounds": ROUNDS, "roundS": self._round_s}
        self._schedules = [
            asyncio.create_task(self._keep_invoking("sweep", self._sweep_s, {}, at_once=False)),
            asyncio.create_task(self._keep_invoking("pulse", ROUNDS * self._round_s, rounds, at_once=True)),
        ]

    async def stop(self) -> None:
        """Tell every client, close its connection, let what runs end, release everything (row W17)."""
        for schedule in self._schedules:
            schedule.cancel()
        await asyncio.gather(*self._schedules, return_exceptions=True)
        self._entrances.close()
        self._gateway.tell_all(draining(RECONNECT_AFTER_S, now_ms()))
        self._gateway.close_all()
        await self._functions.close(PATIENCE_S)
        self._http.end()
        await self._runner.cleanup()

    async def _keep_invoking(self, name: str, every_s: float, event: dict[str, Any], *, at_once: bool) -> None:
        """EventBridge, as far as the gateway needs it: a rate, however long an invocation takes."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + (0.0 if at_once else every_s)
        while True:
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            due_s = max(due_s + every_s, loop.time())
            await self._invoke(name, event)

    async def _invoke(self, name: str, event: dict[str, Any]) -> None:
        with suppress(FunctionFailed):  # it has been logged, and the next run does what this one did not
            await self._functions.invoke(name, event, str(uuid.uuid4()))

    def _entrance(self) -> Entrance:
        server = self._runner.server
        assert server is not None
        return Entrance(self._gateway, self._http, server)
