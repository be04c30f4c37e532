"""A TCP proxy with a bad day at the press of a switch: what a network does to a service that is itself well.

    python -m local.proxy --port 0 --upstream-variable NAME

NAME is the environment variable that holds the upstream's URL. Prints `ready URL control=URL`; what goes wrong is put
to the control plane (`local.control`) as a list of `Trouble`. It knows bytes and connections only. An *exchange* begins
with the first bytes from the client after some from the server: over HTTP/1.1 that is a request and its answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import sys
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from local import process
from local.aws_http import HOST, CannotStart
from local.control import Calls, ControlPlane

PIECE_BYTES: Final = 65_536
SLOW_PIECES_PER_S: Final = 20
"""How smoothly a slow connection flows."""
BACKLOG: Final = 512
OPERATION: Final = "Exchange"
_ENDS: Final = (ConnectionError, OSError, EOFError)


class Trouble(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that the network does.

    kind: `delay`, each exchange is held up for delay_ms and goes on then, however late; `reset`, the connection is
    dropped (RST); `blackhole`, connections are accepted and stay, and nothing passes any more, also not when the
    trouble is over: half-open; `slow`, at bytes_per_s in each direction; `closed`, nobody listens. probability: the
    share of exchanges that a delay, a reset or a blackhole hits; at 1, those under way are reset or swallowed too. at:
    whether it hits before the request has passed, or after it, when its answer would (delay, reset, blackhole).
    """

    kind: Literal["delay", "reset", "blackhole", "slow", "closed"]
    probability: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] = 1.0
    at: Literal["request", "answer"] = "request"
    delay_ms: Annotated[int, msgspec.Meta(ge=0)] = 0
    bytes_per_s: Annotated[int, msgspec.Meta(ge=1)] = 10_000


Side = Literal["request", "answer"]


class Connection:
    """One client's connection and its twin to the server. dead: it stays, and nothing passes any more."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.dead = False
        self.answering = True
        """Whether the last bytes came from the server."""
        self.hit: dict[Side, Trouble] = {}
        """What this exchange still has to suffer."""

    def reset(self) -> None:
        """RST to both sides."""
        for writer in (self.client, self.server):
            if writer is not None:
                _reset(writer)

    def close(self) -> None:
        """The end of both sides; what was passed still arrives, were it late."""
        for writer in (self.client, self.server):
            if writer is not None:
                writer.close()


class Proxy:
    """In front of one server. The troubles' seed decides which exchanges they hit."""

    def __init__(self, upstream: tuple[str, int], seed: int = 0) -> None:
        self.calls = Calls()
        self._upstream = upstream
        self._random = random.Random(seed)
        self._troubles: list[Trouble] = []
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._place: socket.socket | None = None
        self.port = 0

    # --- its life ------------------------------------------------------------------------------------------------

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1. Raises OSError when the port cannot be had."""
        self._place = _bound(port)  # keeps the port while nobody listens, and refuses who connects then
        self.port = self._place.getsockname()[1]
        await self._open()

    async def stop(self) -> None:
        """Drop every connection."""
        self._close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._place is not None:
            self._place.close()

    async def _open(self) -> None:
        async with self._opening:
            if self._server is None and not self._closed:
                self._server = await asyncio.start_server(self._accept, sock=_bound(self.port), backlog=BACKLOG)

    def _close(self) -> None:
        self._closed = True
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset_all()

    def _reset_all(self) -> None:
        for connection in list(self._connections):
            connection.reset()

    # --- its troubles (for the control plane) --------------------------------------------------------------------

    def active(self) -> list[Trouble]:
        """The troubles as they were put."""
        return list(self._troubles)

    def replace(self, troubles: Iterable[Trouble]) -> None:
        """These from now on, and no others. Those of probability 1 hit the connections that there are at once."""
        self._troubles = list(troubles)
        for trouble in self._troubles:
            if trouble.probability >= 1 and trouble.at == "request":
                if trouble.kind == "reset":
                    self._reset_all()
                elif trouble.kind == "blackhole":
                    for connection in self._connections:
                        connection.dead = True
        if any(trouble.kind == "closed" for trouble in self._troubles):
            self._close()
        elif self._closed:
            self._closed = False
            self._keep(self._open())

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _draw(self) -> dict[Side, Trouble]:
        """What a new exchange has to suffer, at each of its sides."""
        found: dict[Side, Trouble] = {}
        for trouble in self._troubles:
            hits = trouble.kind in ("delay", "reset", "blackhole") and trouble.at not in found
            if hits and self._random.random() < trouble.probability:
                found[trouble.at] = trouble
        return found

    # --- connections ---------------------------------------------------------------------------------------------

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._keep(self._hold(Connection(writer), reader))

    async def _hold(self, connection: Connection, reader: asyncio.StreamReader) -> None:
        self._connections.add(connection)
        try:
            await self._serve(connection, reader)
        except _ENDS:
            pass  # one side has gone: so does the other
        finally:
            self._connections.discard(connection)
            connection.close()

    async def _serve(self, connection: Connection, from_client: asyncio.StreamReader) -> None:
        if any(trouble.kind == "blackhole" and trouble.probability >= 1 for trouble in self._troubles):
            connection.dead = True
        else:
            from_server, connection.server = await asyncio.open_connection(*self._upstream)
        out = asyncio.ensure_future(self._pass(connection, from_client, "request"))
        ways = [out]
        if connection.server is not None:
            ways.append(asyncio.ensure_future(self._pass(connection, from_server, "answer")))
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if connection.dead:  # of a server that hangs up, the client learns nothing
                await asyncio.wait([out])
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(self, connection: Connection, reader: asyncio.StreamReader, side: Side) -> None:
        """Bytes of one direction, until its sender ends, or a reset."""
        while data := await reader.read(PIECE_BYTES):
            begins = connection.answering == (side == "request")
            connection.answering = side == "answer"
            if begins and side == "request":
                self.calls.count(OPERATION)
                connection.hit = self._draw()
            trouble = connection.hit.pop(side, None) if begins else None
            if trouble is not None and not connection.dead:
                self.calls.count(OPERATION, trouble.kind)
                if trouble.kind == "reset":
                    connection.reset()
                    return
                if trouble.kind == "delay":
                    await asyncio.sleep(trouble.delay_ms / 1000)
                else:
                    connection.dead = True
            to = connection.server if side == "request" else connection.client
            if not connection.dead and to is not None:
                await self._send(data, to)

    async def _send(self, data: bytes, to: asyncio.StreamWriter) -> None:
        """At once, or as fast as a slow line allows, until it is slow no longer."""
        while data:
            slow = next((trouble for trouble in self._troubles if trouble.kind == "slow"), None)
            now = data if slow is None else data[: max(1, slow.bytes_per_s // SLOW_PIECES_PER_S)]
            to.write(now)
            await to.drain()
            if slow is not None:
                await asyncio.sleep(len(now) / slow.bytes_per_s)
            data = data[len(now) :]


def _bound(port: int) -> socket.socket:
    found = socket.socket()
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.bind((HOST, port))
    except OSError:
        found.close()
        raise
    return found


def _reset(writer: asyncio.StreamWriter) -> None:
    """Drop it with RST, whatever still waits to be sent."""
    found = writer.get_extra_info("socket")
    if found is not None and not writer.transport.is_closing():
        with suppress(OSError):  # it has gone already
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


def decode(body: bytes) -> list[Trouble]:
    """Troubles from the control plane's JSON list. Raises ``msgspec.DecodeError``."""
    return msgspec.json.decode(body, type=list[Trouble])


async def _serve(args: argparse.Namespace, upstream: tuple[str, int]) -> None:
    proxy = Proxy(upstream, args.seed)
    await proxy.start(args.port)
    plane, control_url = await ControlPlane(proxy, proxy.calls, decode).serve(args.control_port)
    try:
        process.announce(f"http://{HOST}:{proxy.port}", control=control_url)
        await process.stopped()
    finally:
        await proxy.stop()
        await plane.cleanup()


def _upstream(variable: str) -> tuple[str, int]:
    url = urlsplit(os.environ.get(variable, ""))
    if url.hostname is None or url.port is None:
        raise CannotStart(f"{variable} is not the URL of a server: it wants http://HOST:PORT")
    return url.hostname, url.port


def main() -> int:
    """Parse the arguments and serve until SIGTERM; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.proxy", description="A TCP proxy whose network fails.")
    process.add_arguments(parser)
    parser.add_argument("--control-port", type=int, default=0, help="port of the control plane; 0 takes any free one")
    parser.add_argument("--upstream-variable", required=True, help="environment variable with the upstream's URL")
    parser.add_argument("--seed", type=int, default=0, help="decides which exchanges are hit")
    args = parser.parse_args()
    process.start(args, component="proxy")
    try:
        asyncio.run(_serve(args, _upstream(args.upstream_variable)))
    except (CannotStart, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
