"""HTTP/2 on asyncio: connections, their streams, and flow control both ways. Knows nothing of transcription.

Written on ``h2`` and not on a web server, because a response here ends while the request still uploads: a server that
then drops the connection kills the other streams on it, and all streams of a client share one connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

MAX_STREAMS_PER_CONNECTION = 1000
STREAM_WINDOW_BYTES = 256 * 1024
"""How much a client may have on the way in one stream, unread: 8 s of audio."""
CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024
SEND_TIMEOUT_S = 30.0
"""A stream whose client takes nothing for so long, while there is something for it, is broken off."""
CLOSE_TIMEOUT_S = 0.5
"""How long a client, and then a handler, may take over our goodbye."""

logger = logging.getLogger(__name__)
Headers = Sequence[tuple[str, str]]


class StreamClosed(Exception):
    """The client reset the stream or went away, or took no data for too long."""


class Stream:
    """One request and its answer. Methods raise `StreamClosed` once the client is gone."""

    def __init__(self, connection: Connection, stream_id: int, headers: Headers) -> None:
        self._connection = connection
        self._h2 = connection.h2
        self.id = stream_id
        self.headers = dict(headers)
        """Request headers in lower case, pseudo headers too, ``host`` from ``:authority`` if it was not sent."""
        self.headers.setdefault("host", self.headers.get(":authority", ""))
        self._received: deque[tuple[bytes, int]] = deque()
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._input_ended = False
        self._closed = False

    async def receive(self) -> bytes | None:
        """The next bytes of the body, None at its end. Only what is taken here gives the client room for more."""
        while not self._received:
            self._check()
            if self._input_ended:
                return None
            self._readable.clear()
            await self._readable.wait()
        data, credit = self._received.popleft()
        if credit and not self._closed:
            self._connection.credit(credit, None if self._input_ended else self.id)
        return data

    def respond(self, status: int, headers: Headers) -> None:
        """Send the answer's status and headers."""
        self._check()
        self._h2.send_headers(self.id, [(":status", str(status)), *headers])
        self._connection.flush()

    async def send(self, data: bytes) -> None:
        """Send body bytes, as fast as the client takes them."""
        while data:
            self._check()
            room = min(self._h2.local_flow_control_window(self.id), self._h2.max_outbound_frame_size)
            if room <= 0 or self._connection.write_paused:
                self._writable.clear()
                await self._wait_writable()
                continue
            self._h2.send_data(self.id, data[:room])
            self._connection.flush()
            data = data[room:]

    def end(self) -> None:
        """End the answer; if the client is still sending, tell it to stop (RFC 9113, 8.1)."""
        self._check()
        self._h2.end_stream(self.id)
        if not self._input_ended:
            self._h2.reset_stream(self.id, h2.errors.ErrorCodes.NO_ERROR)
        self._connection.flush()

    def reset(self) -> None:
        """Break this stream off, and no other."""
        self._check()
        self._h2.reset_stream(self.id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        self._connection.flush()

    def cut(self) -> None:
        """Drop the connection under it, with all its streams."""
        self._connection.abort()

    async def closed_by_client(self) -> None:
        """Take and forget what comes until the client is gone."""
        while True:
            if await self.receive() is None:
                self._readable.clear()
                await self._readable.wait()

    def on_data(self, data: bytes, credit: int) -> None:
        """Bytes have come; ``credit`` is what they count in flow control."""
        self._received.append((data, credit))
        self._readable.set()

    def on_input_end(self) -> None:
        """The client has sent its last byte."""
        self._input_ended = True
        self._readable.set()

    def on_writable(self) -> None:
        """There may be room for more."""
        self._writable.set()

    def on_closed(self) -> int:
        """The stream is over. Returns the flow-control credit of what was never read."""
        self._closed = True
        self._readable.set()
        self._writable.set()
        unread = sum(credit for _, credit in self._received)
        self._received.clear()
        return unread

    def _check(self) -> None:
        if self._closed:
            raise StreamClosed

    async def _wait_writable(self) -> None:
        try:
            await asyncio.wait_for(self._writable.wait(), SEND_TIMEOUT_S)
        except TimeoutError:
            logger.warning("a client took no data for %.0f s: its stream is broken off", SEND_TIMEOUT_S)
            self.reset()
            raise StreamClosed from None


Handler = Callable[[Stream], Awaitable[None]]


class Connection(asyncio.Protocol):
    """One client connection; a task per stream runs the handler."""

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._streams: dict[int, Stream] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._lost = asyncio.Event()
        self.write_paused = False
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the client with our settings."""
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)
        codes = h2.settings.SettingCodes
        self.h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                codes.MAX_CONCURRENT_STREAMS: MAX_STREAMS_PER_CONNECTION,
                codes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
                codes.MAX_HEADER_LIST_SIZE: 64 * 1024,
            },
        )
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(CONNECTION_WINDOW_BYTES)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Hand what came to the streams that it is for."""
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            logger.warning("a client broke the protocol: %s", type(error).__name__)
            self.flush()
            self._transport.close()
            return
        for event in events:
            self._on_event(event)
        self.flush()

    def pause_writing(self) -> None:
        """The socket is full: streams wait."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """There is room again."""
        self.write_paused = False
        self._wake_writers()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, and so are its streams."""
        self._drop_streams()
        self._connections.discard(self)
        self._lost.set()

    def flush(self) -> None:
        """Write what ``h2`` has to say."""
        data = self.h2.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def credit(self, count: int, stream_id: int | None) -> None:
        """Give the client room for so many bytes more, in the stream too when it is still open for input."""
        if stream_id is None:
            self.h2.increment_flow_control_window(count)
        else:
            self.h2.acknowledge_received_data(count, stream_id)
        self.flush()

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._transport.abort()

    async def close(self) -> None:
        """Say goodbye, close, and wait until all streams' handlers have returned."""
        self._drop_streams()
        tasks = list(self._tasks.values())
        if not self._transport.is_closing():
            self.h2.close_connection()
            self.flush()
            self._transport.close()
        try:
            await asyncio.wait_for(self._lost.wait(), CLOSE_TIMEOUT_S)
        except TimeoutError:
            self._transport.abort()
            await self._lost.wait()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)

    def _on_event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._start(event)
            case h2.events.DataReceived():
                stream = self._streams.get(event.stream_id)
                if stream is not None:
                    stream.on_data(event.data, event.flow_controlled_length)
                elif event.flow_controlled_length:  # the answer is over, the client had more on the way
                    self.credit(event.flow_controlled_length, None)
            case h2.events.StreamEnded():
                if event.stream_id in self._streams:
                    self._streams[event.stream_id].on_input_end()
            case h2.events.StreamReset():
                self._finish(event.stream_id)
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._wake_writers()
            case h2.events.ConnectionTerminated():
                self._transport.close()
            case _:
                pass  # acknowledgements and the like, which h2 has dealt with

    def _start(self, event: h2.events.RequestReceived) -> None:
        headers = cast(Headers, event.headers)
        stream = Stream(self, event.stream_id, headers)
        self._streams[stream.id] = stream
        self._tasks[stream.id] = asyncio.get_running_loop().create_task(self._run(stream))

    async def _run(self, stream: Stream) -> None:
        try:
            await self._handler(stream)
        except StreamClosed:
            logger.debug("a client left its stream")
        except h2.exceptions.ProtocolError as error:
            # The client said goodbye between our check and our write.
            logger.info("a stream could not be written to: %s", type(error).__name__)
        except Exception:
            logger.exception("a stream failed")
            if stream.id in self._streams:
                stream.reset()
        finally:
            self._finish(stream.id)
            del self._tasks[stream.id]

    def _finish(self, stream_id: int) -> None:
        stream = self._streams.pop(stream_id, None)
        unread = stream.on_closed() if stream is not None else 0
        if unread and not self._transport.is_closing():
            self.credit(unread, None)

    def _drop_streams(self) -> None:
        for stream in self._streams.values():
            stream.on_closed()
        self._streams.clear()

    def _wake_writers(self) -> None:
        for stream in self._streams.values():
            stream.on_writable()
