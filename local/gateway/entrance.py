"""One port for WebSockets and plain HTTP: the head of a connection's first request says which it is.

Who has not sent it in time (`Limits.request_s`) is sent away, however busy it looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import parse_qsl, urlsplit

from local.gateway.connections import Gateway
from local.gateway.http import Http
from local.gateway.posting import BEGINNING, Posting
from local.gateway.websocket import END_OF_HEAD, MAX_HEAD_BYTES, WebSocket

PATH: Final = "/live"
"""The stage's name is the path, as in `wss://{api}.execute-api.{region}.amazonaws.com/{stage}`."""
_TOO_LARGE: Final = "431 Request Header Fields Too Large"
_TOO_SLOW: Final = "408 Request Timeout"
_WEBSOCKETS: Final = b"GET " + PATH.encode()


class Entrance(asyncio.Protocol):
    """A connection of which it is not known yet what it is. general: makes the general server's side of one."""

    def __init__(self, gateway: Gateway, http: Http, general: Callable[[], asyncio.Protocol]) -> None:
        self._gateway = gateway
        self._http = http
        self._general = general
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio has a connection."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class
        self._http.lanes.add(self._transport)
        self._patience = asyncio.get_running_loop().call_later(self._gateway.limits.request_s, self._refuse, _TOO_SLOW)

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio says that it is over."""
        self._patience.cancel()
        self._http.lanes.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """asyncio has bytes: the head of a request, or a part of it."""
        self._data += data
        head, end, _ = self._data.partition(END_OF_HEAD)
        if len(head) > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif end:
            self._patience.cancel()
            if head.startswith(_WEBSOCKETS) and b"\r\nupgrade: websocket" in head.lower():
                self._open()
            elif head.startswith(BEGINNING):
                posting = Posting(self._transport, self._http, self._gateway.limits.request_s, self._hand_over)
                self._transport.set_protocol(posting)
                posting.data_received(self._data)
            else:
                self._hand_over(self._transport, self._data)

    def _refuse(self, status: str) -> None:
        self._transport.write(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
        self._transport.close()

    def _hand_over(self, transport: asyncio.Transport, data: bytes) -> None:
        """Let the general server have it, with what has come of its next request."""
        protocol = self._general()
        self._http.lanes.discard(transport)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(data)

    def _open(self) -> None:
        socket = WebSocket(self._transport)
        self._http.lanes.discard(self._transport)
        self._transport.set_protocol(socket)
        request = socket.open(self._data)
        if request is None:
            return
        parts = urlsplit(request.path)
        query = parse_qsl(parts.query, keep_blank_values=True)
        headers = dict(request.headers.raw_items())
        source_ip = self._transport.get_extra_info("peername")[0]
        work = self._gateway.connect(socket, headers.get("Host", ""), source_ip, headers, query)
        self._gateway.functions.keep(work)
