"""Who is connected: each client's life from `$connect` to `$disconnect`, its messages to functions, posts to it."""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.routes import BY_KEY
from local.control import Calls
from local.faults import Fault, Faults
from local.gateway import events
from local.gateway.events import Peer
from local.gateway.functions import FunctionFailed, Functions
from local.gateway.websocket import Slow, WebSocket

INTERNAL_ERROR: Final = "Internal server error"
TIMED_OUT: Final = "Endpoint request timed out"
LIMIT_EXCEEDED: Final = "Limit exceeded"
GOING_AWAY: Final = 1001
MAX_HELD_BYTES: Final = 256 * 1024
"""Messages of one connection that wait for their turn: some 6 s of audio. While there is more, nothing is read."""
_KEPT_BYTES: Final = 256
"""What a message takes besides its text: those without any are held back too."""
_ID_BYTES: Final = 11

_ROUTES: Final = frozenset(BY_KEY)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """The service's limits (Amazon API Gateway quotas), and the twin's own.

    in_flight: messages of one connection that are handled at once. request_s: how long the head of a connection's first
    request may take, which is a packet or two; and the body of one over plain HTTP.
    """

    integration_s: float = 29.0
    idle_s: float = 600.0
    lifetime_s: float = 7200.0
    in_flight: int = 16
    request_s: float = 10.0


class Gone(Exception):
    """There is no such connection."""


class Client:
    """One connection."""

    def __init__(self, gateway: Gateway, socket: WebSocket, peer: Peer) -> None:
        self.peer = peer
        self.last_active_ms = peer.connected_ms
        self.socket = socket
        self._gateway = gateway
        self._in_flight = 0
        self._waiting: deque[tuple[str | bytes, int]] = deque()
        self._waiting_bytes = 0
        self._timers: list[asyncio.TimerHandle] = []

    def begin(self, limits: Limits) -> None:
        """Open it, and let its time run."""
        loop = asyncio.get_running_loop()
        self._idle_s = limits.idle_s
        self._timers = [
            loop.call_later(limits.lifetime_s, self.socket.close, GOING_AWAY, "Going away"),
            loop.call_later(limits.idle_s, self._check_idle),
        ]
        self.socket.accept(self)

    def received(self, data: str | bytes) -> None:
        """A message: to its function, in its turn when too many are there already.

        It has arrived now, whenever its turn comes: what we hold back is no burst of the client's.
        """
        self.last_active_ms = _now_ms()
        if self._in_flight < self._gateway.limits.in_flight:
            self._begin(data, self.last_active_ms)
            return
        self._waiting.append((data, self.last_active_ms))
        self._waiting_bytes += len(data) + _KEPT_BYTES
        if self._waiting_bytes > MAX_HELD_BYTES:
            self.socket.pause_reading()

    def closed(self, code: int, reason: str) -> None:
        """It is over."""
        for timer in self._timers:
            timer.cancel()
        self.begin_no_more()
        self._gateway.left(self, code, reason)

    def turn_is_over(self) -> None:
        """One of its messages has been answered, or will not be."""
        self._in_flight -= 1
        if self._waiting:
            following, its_arrival_ms = self._waiting.popleft()
            self._waiting_bytes -= len(following) + _KEPT_BYTES
            self._begin(following, its_arrival_ms)
        if self._waiting_bytes <= MAX_HELD_BYTES:
            self.socket.resume_reading()

    def begin_no_more(self) -> None:
        """The twin stops: what waits is not begun any more."""
        self._waiting.clear()
        self._waiting_bytes = 0

    def _begin(self, data: str | bytes, arrived_ms: int) -> None:
        self._in_flight += 1
        self._gateway.message(self, data, arrived_ms)

    def _check_idle(self) -> None:
        idle_s = (_now_ms() - self.last_active_ms) / 1000
        if idle_s >= self._idle_s:
            self.socket.close(GOING_AWAY, "Going away")
            return
        loop = asyncio.get_running_loop()
        self._timers[1] = loop.call_later(self._idle_s - idle_s, self._check_idle)


class Exchange:
    """One message under way: from its function's invocation to the answer."""

    __slots__ = ("_gateway", "_timer", "client", "request_id", "route")

    def __init__(self, gateway: Gateway, client: Client, route: str, request_id: str) -> None:
        self.client = client
        self.route = route
        self.request_id = request_id
        self._gateway: Gateway | None = gateway
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, work: asyncio.Task[Any], within_s: float) -> None:
        """The function has been invoked. After within_s it goes on alone."""
        self._timer = asyncio.get_running_loop().call_later(within_s, self.end, TIMED_OUT)
        work.add_done_callback(self._ended)

    def end(self, failure: str = "", answer: str = "") -> None:
        """It is over: with an answer, with what the service says of a failure, or without a word."""
        gateway, self._gateway = self._gateway, None
        if gateway is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        if failure:
            answer = events.failure(failure, self.client.peer.connection_id, self.request_id)
        gateway.answer(self, answer)
        self.client.turn_is_over()

    def _ended(self, work: asyncio.Task[Any]) -> None:
        if work.cancelled():
            self.client.begin_no_more()
            self.end()
            return
        try:
            answer = _answer_of(work.result())
        except FunctionFailed:
            if self._gateway is not None:
                self._gateway.count_failure(self.route)
            self.end(INTERNAL_ERROR)
        else:
            self.end(answer=answer)


class Gateway:
    """All connections, and the functions behind them."""

    def __init__(self, functions: Functions, faults: Faults, calls: Calls, limits: Limits) -> None:
        self.functions = functions
        self.limits = limits
        self._faults = faults
        self._calls = calls
        self._clients: dict[str, Client] = {}

    async def connect(
        self, socket: WebSocket, host: str, source_ip: str, headers: dict[str, str], query: Sequence[tuple[str, str]]
    ) -> None:
        """A client asks to come in: `$connect` decides."""
        now_ms = _now_ms()
        connection_id = base64.urlsafe_b64encode(secrets.token_bytes(_ID_BYTES)).decode()
        peer = Peer(connection_id, now_ms, source_ip, headers.get("User-Agent", ""), host)
        request_id = _request_id()
        event = events.connect(peer, request_id, now_ms, headers, query)
        status, body = 200, ""
        try:
            answer = await self._invoke("$connect", event, request_id)
            status, body = int(answer["statusCode"]), _answer_of(answer)
        except (FunctionFailed, TimeoutError, KeyError, TypeError, ValueError):
            status = 500
        if not 200 <= status < 300:
            self._calls.count("$connect", "refused")
            socket.reject(status, {"x-amzn-RequestId": request_id}, body)
            return
        client = Client(self, socket, peer)
        self._clients[connection_id] = client
        client.begin(self.limits)

    def message(self, client: Client, data: str | bytes, arrived_ms: int) -> None:
        """One message, to its function; the answer goes back to the client."""
        request_id = _request_id()
        if isinstance(data, bytes):
            route, body, is_base64 = "$default", base64.b64encode(data).decode(), True
        else:
            route, body, is_base64 = events.selected_route(data, _ROUTES), data, False
        event = events.message(
            client.peer, route, request_id, secrets.token_urlsafe(_ID_BYTES), arrived_ms, body, base64=is_base64
        )
        exchange = Exchange(self, client, route, request_id)
        if (fault := self._faults.pick(route)) is not None:
            self.functions.keep(self._suffer(fault, exchange, event))
        else:
            self._begin(exchange, event)

    def answer(self, exchange: Exchange, text: str) -> None:
        """What becomes of a message: an answer to its client, if there is one and the route has any."""
        if text and BY_KEY[exchange.route].answers:
            self._try_send(exchange.client, text)

    def count_failure(self, route: str) -> None:
        """A function failed."""
        self._calls.count(route, "errors")

    def left(self, client: Client, code: int, reason: str) -> None:
        """A connection is over."""
        del self._clients[client.peer.connection_id]
        request_id = _request_id()
        event = events.disconnect(client.peer, request_id, _now_ms(), code, reason)
        self.functions.keep(self._disconnected(event, request_id))

    def post(self, connection_id: str, text: str) -> None:
        """Send a message to a client. Raises Gone, Slow."""
        client = self.client(connection_id)
        try:
            client.socket.send(text)
        except ConnectionError:
            raise Gone from None
        client.last_active_ms = _now_ms()

    def client(self, connection_id: str) -> Client:
        """Raises Gone."""
        try:
            return self._clients[connection_id]
        except KeyError:
            raise Gone from None

    def disconnect(self, connection_id: str) -> None:
        """Close a connection. Raises Gone."""
        self.client(connection_id).socket.close(1000, "")

    def tell_all(self, text: str) -> None:
        """A message to every client that takes one."""
        for client in list(self._clients.values()):
            self._try_send(client, text)

    def close_all(self) -> None:
        """The twin stops."""
        for client in list(self._clients.values()):
            client.socket.close(GOING_AWAY, "Going away")

    def __len__(self) -> int:
        return len(self._clients)

    async def _invoke(self, route: str, event: dict[str, Any], request_id: str) -> Any:
        """Raises FunctionFailed, or TimeoutError at the integration's time limit; the function then goes on alone."""
        work = self._invoked(route, event, request_id)
        done, _ = await asyncio.wait({work}, timeout=self.limits.integration_s)
        if not done:
            raise TimeoutError
        return work.result()

    def _invoked(self, route: str, event: dict[str, Any], request_id: str) -> asyncio.Task[Any]:
        self._calls.count(route)
        return self.functions.keep(self.functions.invoke(BY_KEY[route].function, event, request_id))

    def _begin(self, exchange: Exchange, event: dict[str, Any]) -> None:
        exchange.begin(self._invoked(exchange.route, event, exchange.request_id), self.limits.integration_s)

    async def _disconnected(self, event: dict[str, Any], request_id: str) -> None:
        try:
            await self._invoke("$disconnect", event, request_id)
        except (FunctionFailed, TimeoutError):
            self._calls.count("$disconnect", "errors")

    async def _suffer(self, fault: Fault, exchange: Exchange, event: dict[str, Any]) -> None:
        """Do to a message what the fault says."""
        match fault.kind:
            case "slow":
                await asyncio.sleep(fault.delay_ms / 1000)
                self._begin(exchange, event)
            case "cut":
                exchange.client.socket.abort()
                exchange.end()
            case "throttle":
                exchange.end(LIMIT_EXCEEDED)
            case "error" | "partial":
                self.count_failure(exchange.route)
                exchange.end(INTERNAL_ERROR)
            case "half_open":
                exchange.end()

    def _try_send(self, client: Client, text: str) -> None:
        try:
            client.socket.send(text)
        except (Slow, ConnectionError):
            self._calls.count("answers", "errors")
        else:
            client.last_active_ms = _now_ms()


def _answer_of(answer: Any) -> str:
    """The body to send. Raises FunctionFailed for what is no proxy response."""
    if not isinstance(answer, dict) or not isinstance(answer.get("statusCode"), int):
        raise FunctionFailed("malformed response")
    body = answer.get("body", "")
    if not isinstance(body, str):
        raise FunctionFailed("malformed response")
    return body


def _request_id() -> str:
    return str(uuid.uuid4())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
