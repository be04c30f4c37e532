"""The HTTP shell of the twins that answer one request with one response: aiohttp, signatures, faults, counters.

A twin is a `Service`: it names the operation of a request, performs it, and spells errors. This shell
does what is the same for all: it checks the signature, injects the faults, counts, serves the control
plane under `/_herald/`, and ends on SIGTERM with nothing left.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from aiohttp import web

from local import process
from local.control import PREFIX, Calls, ControlPlane
from local.faults import Fault, Faults
from local.sigv4 import SignatureError, verify

HOST = "127.0.0.1"
MAX_BODY_BYTES = 16 * 1024 * 1024
"""Above the largest request of the services here: a terminology of 10 MB, in base64."""

_SHUTDOWN_S = 0.5
"""How long requests at work may go on after SIGTERM; twins promise to end within 2 s."""

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came: path and query still percent-encoded, header names as sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class ServiceError(Exception):
    """An error that the service answers. The text may reach logs: it never holds what a user said."""

    def __init__(self, code: str, message: str, status: int = 400, **fields: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


class CannotStart(Exception):
    """The twin cannot serve; the message is for the person who started it."""


def count_use(calls: Calls, operation: str, language: str, characters: int) -> None:
    """Count one use of an engine: `characters` in all, and calls and characters of the language or pair."""
    calls.count(operation, "characters", characters)
    calls.count(operation, f"calls.{language}")
    calls.count(operation, f"characters.{language}", characters)


def page(items: Sequence[T], token: str | None, size: int, bad_token: str) -> tuple[Sequence[T], str | None]:
    """One page of a list, and the token of the next. `bad_token` is the error code for a token that isn't ours."""
    start = 0
    if token:
        try:
            number = base64.urlsafe_b64decode(token).decode("ascii")
        except ValueError:
            number = ""
        if not re.fullmatch(r"\d{1,9}", number) or int(number) > len(items):
            raise ServiceError(bad_token, "NextToken is not one that this operation returned")
        start = int(number)
    end = start + size
    following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(items) else None
    return items[start:end], following


class Service(Protocol):
    """What a twin does itself."""

    signing_name: str
    """The service in a signature's scope."""

    def operation(self, request: Request) -> str:
        """The operation that a request asks for. Raises `ServiceError`."""

    async def perform(self, operation: str, request: Request, calls: Calls) -> Response:
        """Do it. Raises `ServiceError`."""

    def error(self, error: ServiceError) -> Response:
        """Spell an error as the service does."""

    def control(self, path: str) -> Response | None:
        """What it has to show itself at a path of the control plane (which nobody signs), or None."""

    async def close(self) -> None:
        """End all processes."""


def local_secrets(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The one key that the twins know. Raises `CannotStart` with the variable's name if it isn't set."""
    try:
        return {environment["AWS_ACCESS_KEY_ID"]: environment["AWS_SECRET_ACCESS_KEY"]}
    except KeyError as error:
        raise CannotStart(f"{error.args[0]} is not set: it holds the key that requests must be signed with") from None


class Twin:
    """A service behind its protocol. `app` may be served by any aiohttp runner."""

    def __init__(self, service: Service, secrets: Mapping[str, str], seed: int = 0) -> None:
        self.service = service
        self.faults = Faults(seed)
        self.calls = Calls()
        self._secrets = secrets
        self._stopping = asyncio.Event()
        self.app = web.Application(client_max_size=MAX_BODY_BYTES)
        ControlPlane(self.faults, self.calls).add_routes(self.app)
        self.app.router.add_get(PREFIX + "/{path:.*}", self._more)
        self.app.router.add_route("*", "/{path:.*}", self._handle)
        self.app.on_shutdown.append(self._release)

    async def _release(self, app: web.Application) -> None:
        self._stopping.set()

    async def _handle(self, web_request: web.Request) -> web.StreamResponse:
        path, _, query = web_request.raw_path.partition("?")
        request = Request(web_request.method, path, query, web_request.headers, await web_request.read())
        started = time.perf_counter()
        operation = "?"
        code = ""
        fault: Fault | None = None
        try:
            operation = self.service.operation(request)
            response, fault = await self._answer(operation, request)
        except ServiceError as error:
            code = error.code
            response = self.service.error(error)
            self.calls.count(operation, "errors")
        _log.info(
            "request",
            extra={
                "called": operation,
                "status": response.status,
                "code": code,
                "duration_ms": round((time.perf_counter() - started) * 1000, 2),
            },
        )
        if fault is not None and fault.kind == "cut":
            return await self._cut(web_request, response, fault)
        return web.Response(status=response.status, body=response.body, headers=response.headers)

    async def _answer(self, operation: str, request: Request) -> tuple[Response, Fault | None]:
        self.calls.count(operation)
        try:
            verify(
                request.method,
                request.path,
                request.query,
                request.headers,
                request.body,
                self._secrets,
                datetime.now(UTC),
                service=self.service.signing_name,
            )
        except SignatureError as error:
            raise ServiceError(error.code, error.message, error.status) from error
        fault = self.faults.pick(operation)
        if fault is not None:
            await self._suffer(fault)
        return await self.service.perform(operation, request, self.calls), fault

    async def _suffer(self, fault: Fault) -> None:
        match fault.kind:
            case "throttle":
                raise ServiceError("ThrottlingException", "Rate exceeded")
            case "error" | "partial":
                raise ServiceError(fault.code or "InternalServerException", "An injected fault", 500)
            case "slow":
                await asyncio.sleep(fault.delay_ms / 1000)
            case "half_open":  # until the client gives up, which cancels this, or the twin stops
                await self._stopping.wait()
                raise ServiceError("ServiceUnavailableException", "The twin is stopping", 503)
            case "cut":
                pass

    @staticmethod
    async def _cut(web_request: web.Request, response: Response, fault: Fault) -> web.StreamResponse:
        """Drop the connection after `after_bytes` of the body; headers go out only if there are any."""
        stream = web.StreamResponse(status=response.status, headers=response.headers)
        if fault.after_bytes:
            stream.content_length = len(response.body)
            await stream.prepare(web_request)
            await stream.write(response.body[: min(fault.after_bytes, len(response.body) - 1)])
        if web_request.transport is not None:
            web_request.transport.close()  # not abort(): what was written first is to arrive
        return stream

    async def _more(self, request: web.Request) -> web.Response:
        found = self.service.control(request.path)
        if found is None:
            raise web.HTTPNotFound
        return web.Response(status=found.status, body=found.body, headers=found.headers)


def run(make: Callable[[], Awaitable[Service]], port: int) -> None:
    """A twin's whole life, from `make` to SIGTERM. Raises `SystemExit` with a plain sentence if it can't start."""
    try:
        asyncio.run(serve(make, port))
    except CannotStart as error:
        raise SystemExit(str(error)) from None


async def serve(make: Callable[[], Awaitable[Service]], port: int) -> None:
    """Make the service, serve it on 127.0.0.1 until SIGTERM, and close it, whatever happens in between.

    Raises `CannotStart`, also if `make` does.
    """
    secrets = local_secrets()
    stop = asyncio.create_task(process.stopped())
    await asyncio.sleep(0)  # lets it set its handlers: from here on, a signal is a request to stop
    making = asyncio.ensure_future(make())
    await asyncio.wait({stop, making}, return_when=asyncio.FIRST_COMPLETED)
    if not making.done():
        making.cancel()
        await asyncio.wait({making})
        return
    service = making.result()
    try:
        runner = web.AppRunner(
            Twin(service, secrets).app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_S,
        )
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, HOST, port).start()
            except OSError as error:
                raise CannotStart(f"port {port} cannot be had: {error.strerror}") from error
            process.announce(f"http://{HOST}:{runner.addresses[0][1]}")
            await stop
        finally:
            await runner.cleanup()
    finally:
        stop.cancel()
        await service.close()
