"""The control plane of a twin: is it well, what was it asked, and what shall go wrong from now on.

====================================  =======================================================
``GET /_herald/health``               200 ``{"ok": true}``
``GET /_herald/calls``                ``{"OPERATION": {"calls": n, "errors": n, ...}}``
``GET``, ``PUT``, ``DELETE``          faults (``local.faults.Fault``; a proxy has its own); ``PUT`` replaces all;
``/_herald/faults``                   a list that cannot be read is answered 400 and changes nothing
====================================  =======================================================

A twin that is itself an aiohttp application adds the routes to it; another one serves them on a port of their own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from aiohttp import web

from local import faults

PREFIX = "/_herald"


class Calls:
    """Counts by operation. ``calls`` and ``errors`` are always there; a twin may count more under other names."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[str]] = defaultdict(lambda: Counter(calls=0, errors=0))

    def count(self, operation: str, what: str = "calls", by: int = 1) -> None:
        """Add ``by`` to what is counted of an operation."""
        self._counts[operation][what] += by

    def as_dict(self) -> dict[str, dict[str, int]]:
        """A copy, as ``GET /_herald/calls`` answers it."""
        return {operation: dict(counts) for operation, counts in self._counts.items()}


class Switches(Protocol):
    """What can be switched on: a twin's `local.faults.Faults`, a proxy's troubles."""

    def active(self) -> list[Any]:
        """What was put, in order."""

    def replace(self, faults: list[Any], /) -> None:
        """Switch these on, and all others off."""


class ControlPlane:
    """The routes above, over one twin's faults and counts. decode: reads the list that is put."""

    def __init__(self, active: Switches, calls: Calls, decode: Callable[[bytes], list[Any]] = faults.decode) -> None:
        self._faults = active
        self._calls = calls
        self._decode = decode

    def add_routes(self, app: web.Application) -> None:
        """Put the routes on an application."""
        app.router.add_get(f"{PREFIX}/health", self._health)
        app.router.add_get(f"{PREFIX}/calls", self._counts)
        app.router.add_get(f"{PREFIX}/faults", self._get_faults)
        app.router.add_put(f"{PREFIX}/faults", self._put_faults)
        app.router.add_delete(f"{PREFIX}/faults", self._delete_faults)

    async def serve(self, port: int) -> tuple[web.AppRunner, str]:
        """Serve the routes alone on 127.0.0.1; the runner is the caller's to clean up. Returns it and the URL."""
        app = web.Application()
        self.add_routes(app)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _health(self, _: web.Request) -> web.Response:
        return _json({"ok": True})

    async def _counts(self, _: web.Request) -> web.Response:
        return _json(self._calls.as_dict())

    async def _get_faults(self, _: web.Request) -> web.Response:
        return web.Response(body=faults.encode(self._faults.active()), content_type="application/json")

    async def _put_faults(self, request: web.Request) -> web.Response:
        try:
            wanted = self._decode(await request.read())
        except msgspec.DecodeError as error:
            return web.json_response({"message": str(error)}, status=400)
        self._faults.replace(wanted)
        return await self._get_faults(request)

    async def _delete_faults(self, request: web.Request) -> web.Response:
        self._faults.replace([])
        return await self._get_faults(request)


def _json(value: Mapping[str, object]) -> web.Response:
    return web.json_response(value)
