"""What the twin serves over plain HTTP: the management API, Lambda's Invoke, the issuer's keys, the control plane.

Requests to AWS' interfaces are signed and checked; shapes and codes are those of the services' API models
(ApiGatewayManagementApi 2018-11-29, Lambda 2015-03-31).
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.routes import MAX_MESSAGE_BYTES
from local.control import Calls, ControlPlane
from local.faults import Fault, Faults
from local.gateway.connections import Gateway, Gone
from local.gateway.websocket import Slow
from local.sigv4 import SignatureError, verify

MAX_BODY_BYTES: Final = 1024 * 1024
"""Above what any of these interfaces takes, so that too much is answered, not cut."""
KEPT_S: Final = 75.0
"""Longer than clients keep a connection that they do not use."""
CONNECTIONS_SERVICE: Final = "execute-api"
CONNECTIONS_PATH: Final = "/@connections/"
POST_OPERATION: Final = "PostToConnection"
LAMBDA_SERVICE: Final = "lambda"


class AwsError(Exception):
    """An error of an AWS interface."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> bytes:
        """What is answered, as JSON."""
        return json.dumps({"message": self.message}).encode()


Operation = Callable[[web.Request, bytes], Awaitable[web.Response]]


class Http:
    """The plain HTTP side of one gateway."""

    def __init__(
        self,
        gateway: Gateway,
        faults: Faults,
        calls: Calls,
        secrets: Mapping[str, str],
        jwks: Callable[[], dict[str, Any]],
        prefix: str,
    ) -> None:
        self._gateway = gateway
        self._faults = faults
        self._calls = calls
        self._secrets = secrets
        self._jwks = jwks
        self._prefix = prefix
        self.lanes: set[asyncio.Transport] = set()
        """Connections in the entrance and in the lane of posts, which the general server does not know."""

    def application(self) -> web.Application:
        """The aiohttp application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        ControlPlane(self._faults, self._calls).add_routes(app)
        for method, name, operation in (
            ("POST", POST_OPERATION, self._post),
            ("GET", "GetConnection", self._get),
            ("DELETE", "DeleteConnection", self._delete),
        ):
            handler = self._signed(CONNECTIONS_SERVICE, name, operation)
            app.router.add_route(method, f"{CONNECTIONS_PATH}{{id}}", handler)
        app.router.add_post(
            "/2015-03-31/functions/{name}/invocations", self._signed(LAMBDA_SERVICE, "Invoke", self._invoke)
        )
        app.router.add_get("/.well-known/jwks.json", self._keys)
        return app

    def _signed(
        self, service: str, name: str, operation: Operation
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            self._calls.count(name)
            try:
                body = await self._read(request, service)
                if (fault := self._faults.pick(name)) is not None:
                    await self._suffer(fault, request)
                return await operation(request, body)
            except AwsError as error:
                self._calls.count(name, "errors")
                return _error(error)

        return handle

    async def _read(self, request: web.Request, service: str) -> bytes:
        try:
            async with asyncio.timeout(self._gateway.limits.request_s):
                body = await request.read()
        except TimeoutError as error:
            raise AwsError(408, "RequestTimeoutException", "The request's body did not come.") from error
        except web.HTTPRequestEntityTooLarge as error:
            raise AwsError(413, "PayloadTooLargeException", "Request Too Long") from error
        self._check(request.method, request.raw_path, request.headers, body, service)
        return body

    def _check(self, method: str, target: str, headers: Mapping[str, str], body: bytes, service: str) -> None:
        path, _, query = target.partition("?")
        try:
            verify(method, path, query, headers, body, self._secrets, datetime.now(UTC), service=service)
        except SignatureError as error:
            raise AwsError(403, "ForbiddenException", error.message) from error

    def has_faults(self) -> bool:
        """Whether any are switched on."""
        return bool(self._faults.active())

    def end(self) -> None:
        """The twin stops: cut what nobody else would."""
        for transport in list(self.lanes):
            transport.abort()

    def post(self, target: str, headers: Mapping[str, str], body: bytes) -> None:
        """A whole `POST /@connections/{id}`, while there are no faults. target: as it came. Raises AwsError."""
        self._calls.count(POST_OPERATION)
        try:
            self._check("POST", target, headers, body, CONNECTIONS_SERVICE)
            self._send(unquote(target.partition("?")[0].removeprefix(CONNECTIONS_PATH)), body)
        except AwsError:
            self._calls.count(POST_OPERATION, "errors")
            raise

    async def _post(self, request: web.Request, body: bytes) -> web.Response:
        self._send(_id(request), body)
        return web.Response()

    def _send(self, connection_id: str, body: bytes) -> None:
        if len(body) > MAX_MESSAGE_BYTES:
            raise AwsError(413, "PayloadTooLargeException", "Request Too Long")
        try:
            self._gateway.post(connection_id, body.decode())
        except Gone as error:
            raise AwsError(410, "GoneException", "") from error
        except Slow as error:
            raise AwsError(429, "LimitExceededException", "The client does not read what it is sent.") from error
        except UnicodeDecodeError as error:
            raise AwsError(400, "BadRequestException", "Data is not text.") from error

    async def _get(self, request: web.Request, _: bytes) -> web.Response:
        try:
            client = self._gateway.client(_id(request))
        except Gone as error:
            raise AwsError(410, "GoneException", "") from error
        peer = client.peer
        return web.json_response(
            {
                "connectedAt": _iso(peer.connected_ms),
                "identity": {"sourceIp": peer.source_ip, "userAgent": peer.user_agent},
                "lastActiveAt": _iso(client.last_active_ms),
            }
        )

    async def _delete(self, request: web.Request, _: bytes) -> web.Response:
        try:
            self._gateway.disconnect(_id(request))
        except Gone as error:
            raise AwsError(410, "GoneException", "") from error
        return web.Response(status=204)

    async def _invoke(self, request: web.Request, body: bytes) -> web.Response:
        if request.headers.get("X-Amz-Invocation-Type", "RequestResponse") != "Event":
            raise AwsError(400, "InvalidParameterValueException", "This twin takes asynchronous invocations only.")
        name = request.match_info["name"].removeprefix(f"{self._prefix}-")
        request_id = str(uuid.uuid4())
        try:
            self._gateway.functions.invoke_later(name, json.loads(body or b"{}"), request_id)
        except KeyError as error:
            raise AwsError(404, "ResourceNotFoundException", "Function not found.") from error
        except json.JSONDecodeError as error:
            raise AwsError(400, "InvalidRequestContentException", "The payload is not JSON.") from error
        return web.Response(status=202, headers={"x-amzn-RequestId": request_id})

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response(self._jwks())

    @staticmethod
    async def _suffer(fault: Fault, request: web.Request) -> None:
        match fault.kind:
            case "throttle":
                raise AwsError(429, "LimitExceededException", "Rate exceeded")
            case "error" | "partial":
                raise AwsError(500, fault.code or "InternalServerError", "An injected fault")
            case "slow":
                await asyncio.sleep(fault.delay_ms / 1000)
            case "half_open":
                await asyncio.Event().wait()  # until the client goes, which cancels this
            case "cut":
                if request.transport is not None:
                    request.transport.abort()


def runner(application: web.Application, patience_s: float, kept_s: float = KEPT_S) -> web.AppRunner:
    """Serves an application; a handler that still runs at the end may do so for patience_s more.

    kept_s: how long a connection without a whole request is kept after one.
    """
    log = logging.getLogger(f"{__name__}.server")
    log.addFilter(_is_our_own)
    return web.AppRunner(
        application,
        access_log=None,
        logger=log,
        handler_cancellation=True,
        shutdown_timeout=patience_s,
        keepalive_timeout=kept_s,
    )


def _is_our_own(record: logging.LogRecord) -> bool:
    """Whether a log's line is of a failure here. Of a request that is none, which has been answered by 400, aiohttp's
    line would repeat what was sent, a token too (row X2)."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _id(request: web.Request) -> str:
    return unquote(request.match_info["id"])


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(error: AwsError) -> web.Response:
    return web.Response(
        body=error.body(),
        content_type="application/json",
        status=error.status,
        headers={"x-amzn-ErrorType": error.code},
    )
