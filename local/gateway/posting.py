"""Connections that post to clients: one small request by the hundred, at less than half of what a general server takes.

Only what is plain is read here: `POST /@connections/{id}` with a body of known length, while no faults are switched on.
From the first request that is anything else on, the connection is the general server's (`http`), with all that has come
of that request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.routes import MAX_MESSAGE_BYTES
from local.gateway.http import CONNECTIONS_PATH, KEPT_S, AwsError, Http
from local.gateway.websocket import END_OF_HEAD, MAX_HEAD_BYTES

BEGINNING: Final = f"POST {CONNECTIONS_PATH}".encode()
_NOT_PLAIN: Final = frozenset({"transfer-encoding", "expect", "connection", "upgrade"})
_ACCEPTED: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Posting(asyncio.Protocol):
    """One such connection. request_s: how long a request may take to come. hand_over: to the general server."""

    def __init__(
        self,
        transport: asyncio.Transport,
        http: Http,
        request_s: float,
        hand_over: Callable[[asyncio.Transport, bytes], None],
    ) -> None:
        self._transport = transport
        self._http = http
        self._request_s = request_s
        self._hand_over = hand_over
        self._data = b""
        self._loop = asyncio.get_running_loop()
        self._since_s = self._loop.time()  # it waits for a request, or for the rest of one
        self._timer = self._loop.call_later(request_s, self._look)

    def data_received(self, data: bytes) -> None:
        """asyncio has bytes: of a request, or of several."""
        had_some = bool(self._data)
        self._data += data
        while self._data:
            head, end, body = self._data.partition(END_OF_HEAD)
            if not end and BEGINNING.startswith(head[: len(BEGINNING)]) and len(head) <= MAX_HEAD_BYTES:
                break
            plain = _plain(head) if end else None
            if plain is None or self._http.has_faults():
                self._timer.cancel()
                self._hand_over(self._transport, self._data)
                return
            path, headers, length = plain
            if len(body) < length:
                break
            self._data = body[length:]
            had_some = False
            try:
                self._http.post(path, headers, body[:length])
            except AwsError as error:
                self._transport.write(_refused(error))
            else:
                self._transport.write(_ACCEPTED)
        if not had_some:
            self._since_s = self._loop.time()

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio says that it is over."""
        self._timer.cancel()
        self._http.lanes.discard(self._transport)

    def _look(self) -> None:
        waited_s = self._loop.time() - self._since_s
        if waited_s < (self._request_s if self._data else KEPT_S):
            self._timer = self._loop.call_later(self._request_s, self._look)
            return
        if self._data:
            self._transport.write(_refused(AwsError(408, "RequestTimeoutException", "The request did not come.")))
        self._transport.close()


def _plain(head: bytes) -> tuple[str, dict[str, str], int] | None:
    """Path, headers by their names in lower case, and the body's length, of a request that is for here; or None."""
    first, *lines = head.split(b"\r\n")
    method, _, rest = first.partition(b" ")
    path, _, version = rest.partition(b" ")
    if method != b"POST" or version != b"HTTP/1.1" or not first.startswith(BEGINNING) or not path.isascii():
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        key = name.decode("latin-1").lower()
        if not colon or not key.isascii() or key.strip() != key or key in headers or key in _NOT_PLAIN:
            return None
        headers[key] = value.strip(b" \t").decode("latin-1")
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()) or len(length) > 7 or int(length) > MAX_MESSAGE_BYTES:
        return None
    return path.decode("ascii"), headers, int(length)


def _refused(error: AwsError) -> bytes:
    body = error.body()
    head = (
        f"HTTP/1.1 {error.status} {error.code}\r\nContent-Type: application/json\r\n"
        f"x-amzn-ErrorType: {error.code}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
