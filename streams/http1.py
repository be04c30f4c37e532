"""HTTP/1.1 to one server, for small requests by the hundred: a quarter of what a general client takes for each.

A request is bytes; the parser of answers is llhttp. Connections are kept and used again; a request that finds none free
waits for one.
"""

import asyncio
import ssl
from typing import Final, NamedTuple, cast

import httptools
from yarl import URL

KEPT_S: Final = 15.0
"""A connection that was not used for so long is not used again: servers end idle ones, at the earliest after 20 s."""

_FINAL_FROM: Final = 200


class Answer(NamedTuple):
    """headers: by their names in lower case; of several with one name, the last."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection(asyncio.Protocol):
    """One connection: one request at a time. What fails it fails its request, and ends it."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._waiting: asyncio.Future[Answer] | None = None
        self._loop = asyncio.get_running_loop()
        self.free_since_s = 0.0

    async def ask(self, request: bytes, within_s: float) -> Answer:
        """The answer. Raises ConnectionError, or TimeoutError when there is none within_s."""
        if not self.is_open():
            raise ConnectionResetError("the server closed the connection")
        waiting: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting = waiting
        timer = self._loop.call_later(within_s, self._fail, TimeoutError())
        self._transport.write(request)
        try:
            return await waiting
        finally:
            timer.cancel()
            self._waiting = None

    def is_open(self) -> bool:
        """Whether it takes another request."""
        return not self._transport.is_closing()

    def close(self) -> None:
        """Cut it."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio has a connection."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but its class

    def connection_lost(self, error: Exception | None) -> None:
        """asyncio says that it is over."""
        self._fail(ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """asyncio has bytes."""
        if self._waiting is None:
            self.close()  # nobody asked, and it must not be taken for the next request's answer
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(ConnectionError("the server's answer is no HTTP"))

    def on_message_begin(self) -> None:
        """The parser: an answer begins."""
        if self._waiting is None:
            self.close()  # a second one to the same request
        self._headers = {}
        self._body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has a header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        """The parser has a part of the body."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """The parser has a whole answer, or one that says that another will follow."""
        if self._parser.get_status_code() < _FINAL_FROM:
            return
        if not self._parser.should_keep_alive():
            self._transport.close()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(Answer(self._parser.get_status_code(), self._headers, b"".join(self._body)))

    def _fail(self, error: Exception) -> None:
        self._transport.abort()
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)


class Http1:
    """Connections to one server. most: at once. connect_s, answer_s: how long a connection and an answer may take.

    authorities: a file of those whose certificates are good; None: the system's.
    """

    def __init__(
        self, server: URL, *, most: int, connect_s: float, answer_s: float, authorities: str | None = None
    ) -> None:
        self._server = server
        self._connect_s = connect_s
        self._answer_s = answer_s
        self._slots = asyncio.Semaphore(most)
        self._free: list[Connection] = []
        self._closed = False
        self._tls = ssl.create_default_context(cafile=authorities) if server.scheme == "https" else None

    async def request(self, request: bytes) -> Answer:
        """Send a request as it is; its answer. Raises OSError, TimeoutError among them.

        A connection that the server ends just then fails its request too: whether it was carried out is not known, so
        whether to send it again is for the caller to say.
        """
        async with self._slots:
            connection = self._kept() or await self._connected()
            try:
                answer = await connection.ask(request, self._answer_s)
            except BaseException:
                connection.close()  # what it still says belongs to nobody
                raise
            if self._closed:
                connection.close()
            elif connection.is_open():
                connection.free_since_s = asyncio.get_running_loop().time()
                self._free.append(connection)
            return answer

    async def close(self) -> None:
        """Cut what is not in use, and keep nothing from now on: what is being asked is still answered."""
        self._closed = True
        while self._free:
            self._free.pop().close()

    def _kept(self) -> Connection | None:
        """The connection that was used last: those that are not needed any more grow old."""
        since_s = asyncio.get_running_loop().time() - KEPT_S
        while self._free:
            connection = self._free.pop()
            if connection.is_open() and connection.free_since_s >= since_s:
                return connection
            connection.close()
        return None

    async def _connected(self) -> Connection:
        async with asyncio.timeout(self._connect_s):
            _, connection = await asyncio.get_running_loop().create_connection(
                Connection, self._server.host or "", self._server.port or 0, ssl=self._tls
            )
        return connection
