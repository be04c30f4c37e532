"""One WebSocket on the wire: the protocol is the websockets library's (its part without I/O), the bytes are ours.

Frames over MAX_FRAME_BYTES and messages over MAX_MESSAGE_BYTES close the connection with 1009. What goes out waits in
a bounded buffer: a client that does not read is refused more, is not read itself (each of its pings has a pong), and is
cut after a while, but delays nobody. What comes before `$connect` has let the client in stays with the kernel.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from gateway.routes import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES

MAX_WAITING_BYTES: Final = 512 * 1024
"""Beyond what the kernel takes; some 10 s of translated speech, which is as late as it may be (row B2)."""
STUCK_S: Final = 10.0
"""A client that takes nothing for so long is cut off."""
CLOSING_S: Final = 2.0
"""How long a client may take to answer a close frame."""
END_OF_HEAD: Final = b"\r\n\r\n"
MAX_HEAD_BYTES: Final = 16 * 1024
"""A token is a kilobyte or two."""
_ABNORMAL: Final = 1006


class Slow(Exception):
    """The client does not read fast enough: no more is taken for it now."""


class Owner(Protocol):
    """Whose connection it is."""

    def received(self, data: str | bytes) -> None:
        """A message: text, or bytes of a binary one."""

    def closed(self, code: int, reason: str) -> None:
        """It is over; called once."""


class WebSocket(asyncio.Protocol):
    """A server's side of a connection whose opening request has been read already, but not answered."""

    def __init__(
        self, transport: asyncio.Transport, stuck_s: float = STUCK_S, max_waiting_bytes: int = MAX_WAITING_BYTES
    ) -> None:
        self._protocol = ServerProtocol(max_size=(MAX_MESSAGE_BYTES, MAX_FRAME_BYTES))
        self._transport = transport
        self._owner: Owner | None = None
        self._stuck_s = stuck_s
        self._max_waiting_bytes = max_waiting_bytes
        self._stuck: asyncio.TimerHandle | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._is_text = True
        self._early = b""
        self._is_lost = self._is_held = self._is_full = False
        transport.set_write_buffer_limits(high=max_waiting_bytes)

    def open(self, data: bytes) -> Request | None:
        """Take the opening request, whole, and what came with it; None if it is none, and then it has been answered."""
        head, end, self._early = data.partition(END_OF_HEAD)
        self._protocol.receive_data(head + end)
        requests = [event for event in self._protocol.events_received() if isinstance(event, Request)]
        if requests and self._protocol.handshake_exc is None:
            response = self._protocol.accept(requests[0])
            if response.status_code == 101:
                self._accepting = response
                self.pause_reading()
                return requests[0]
            self._protocol.send_response(response)
        self._flush()
        return None

    def accept(self, owner: Owner) -> None:
        """Open the connection."""
        self._owner = owner
        if self._is_lost:
            owner.closed(_ABNORMAL, "")  # the client went before it was let in
            return
        self._protocol.send_response(self._accepting)
        self._flush()
        self.resume_reading()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def reject(self, status: int, headers: dict[str, str], body: str = "") -> None:
        """Refuse it with an HTTP status, and a body of JSON if there is one."""
        response = self._protocol.reject(status, body)
        if body:
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "application/json"
        for name, value in headers.items():
            response.headers[name] = value
        self._protocol.send_response(response)
        self._flush()
        self._early = b""
        self.resume_reading()

    @property
    def waiting_bytes(self) -> int:
        """What the client has not taken yet, beyond what the kernel keeps for it."""
        return self._transport.get_write_buffer_size()

    def send(self, text: str) -> None:
        """Send a message, in frames that the service would send. Raises Slow, or ConnectionError when it is over."""
        if self._protocol.state is not State.OPEN:
            raise ConnectionResetError("the connection is closed")
        if self.waiting_bytes > self._max_waiting_bytes:
            raise Slow
        data = text.encode()
        if len(data) <= MAX_FRAME_BYTES:
            self._protocol.send_text(data)
        else:
            parts = [data[start : start + MAX_FRAME_BYTES] for start in range(0, len(data), MAX_FRAME_BYTES)]
            self._protocol.send_text(parts[0], fin=False)
            for part in parts[1:-1]:
                self._protocol.send_continuation(part, fin=False)
            self._protocol.send_continuation(parts[-1], fin=True)
        self._flush()

    def close(self, code: int, reason: str) -> None:
        """Begin to close it."""
        try:
            self._protocol.send_close(code, reason)
        except InvalidState:
            return
        self._flush()

    def abort(self) -> None:
        """Cut it."""
        self._transport.abort()

    def pause_reading(self) -> None:
        """Take no more messages for now."""
        self._is_held = True
        self._read_or_not()

    def resume_reading(self) -> None:
        """Take messages again."""
        self._is_held = False
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._transport.is_closing():
            return
        if self._is_held or self._is_full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """asyncio has bytes."""
        self._protocol.receive_data(data)
        self._take_events()
        self._flush()

    def eof_received(self) -> bool:
        """asyncio has seen the client's end."""
        self._protocol.receive_eof()
        self._take_events()
        self._flush()
        return False

    def pause_writing(self) -> None:
        """asyncio's buffer is full: the client has not been reading."""
        self._is_full = True
        self._read_or_not()
        self._stuck = asyncio.get_running_loop().call_later(self._stuck_s, self.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_full = False
        self._read_or_not()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio says that it is over."""
        for timer in (self._stuck, self._closing):
            if timer is not None:
                timer.cancel()
        if self._protocol.state is not State.CLOSED:
            self._protocol.receive_eof()
        self._is_lost = True
        if self._owner is not None:
            received = self._protocol.close_rcvd or self._protocol.close_sent
            code, reason = (received.code, received.reason) if received else (_ABNORMAL, "")
            self._owner.closed(code, reason)

    def _take_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take_frame(event)

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._is_text = frame.opcode is Opcode.TEXT
            self._parts = [bytes(frame.data)]
        elif frame.opcode is Opcode.CONT:
            if frame.data:  # there may be any number of empty ones
                self._parts.append(bytes(frame.data))
        else:
            return  # pings, pongs and closes are the protocol's own
        if not frame.fin:
            return
        data = b"".join(self._parts)
        self._parts = []
        message: str | bytes = data
        if self._is_text:
            try:
                message = data.decode()
            except UnicodeDecodeError:
                self._protocol.fail(CloseCode.INVALID_DATA, "text is not UTF-8")
                return
        if self._owner is not None:
            self._owner.received(message)

    def _flush(self) -> None:
        if self._transport.is_closing():
            self._protocol.data_to_send()
            return
        for data in self._protocol.data_to_send():
            if data != SEND_EOF:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()
        if self._protocol.close_expected() and self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(CLOSING_S, self.abort)

    _accepting: Response
