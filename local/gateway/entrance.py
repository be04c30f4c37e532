"""One port for WebSockets and plain HTTP: the first lines of a connection say which it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import parse_qsl, urlsplit

from local.gateway.connections import Gateway
from local.gateway.websocket import WebSocket

PATH: Final = "/live"
"""The stage's name is the path, as in `wss://{api}.execute-api.{region}.amazonaws.com/{stage}`."""
MAX_HEAD_BYTES: Final = 16 * 1024
"""A token is a kilobyte or two."""
_END_OF_HEAD: Final = b"\r\n\r\n"


class Entrance(asyncio.Protocol):
    """A connection of which it is not known yet what it is."""

    def __init__(self, gateway: Gateway, http: Callable[[], asyncio.Protocol]) -> None:
        self._gateway = gateway
        self._http = http
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio has a connection."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class

    def data_received(self, data: bytes) -> None:
        """asyncio has bytes: the head of a request, or a part of it."""
        self._data += data
        if not _may_be_websocket(self._data):
            self._hand_over()
        elif _END_OF_HEAD in self._data or len(self._data) > MAX_HEAD_BYTES:
            if b"\r\nupgrade: websocket" in self._data.lower():
                self._open()
            else:
                self._hand_over()

    def _hand_over(self) -> None:
        protocol = self._http()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._data)

    def _open(self) -> None:
        socket = WebSocket(self._transport)
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


def _may_be_websocket(data: bytes) -> bool:
    line = b"GET " + PATH.encode()
    return data[: len(line)] == line[: len(data)]
