"""granian inside our own event loop: one process, no child, and a port that may be any free one."""

from __future__ import annotations

import asyncio
import socket

from granian.server.embed import Server

from local.kinesis.server import App

_HOST = "127.0.0.1"
_BACKLOG = 1024
_STOP_S = 1.0


class Listener:
    """Serves an application on a port of this machine."""

    def __init__(self, app: App, port: int) -> None:
        """Reserve the port.

        Raises:
            OSError: it is in use.
        """
        if port:
            _require_free(port)
        # granian binds with SO_REUSEPORT. So does this socket, which never listens: it holds the port from the
        # moment that the kernel has chosen it.
        self._reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind((_HOST, port))
        self.port: int = self._reserved.getsockname()[1]
        self._server = Server(
            app,
            address=_HOST,
            port=self.port,
            log_enabled=False,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=_BACKLOG,
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when a client can connect.

        Raises:
            RuntimeError: the server ended instead.
        """
        self._task = asyncio.create_task(self._server.serve())
        while not self._task.done():
            try:
                _, writer = await asyncio.open_connection(_HOST, self.port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.005)
                continue
            writer.close()
            await writer.wait_closed()
            return
        self._task.result()
        raise RuntimeError("the server ended at once")

    async def stop(self) -> None:
        """Stop accepting, let what is being answered finish for a moment, and let go of the port."""
        self._server.stop()  # type: ignore[no-untyped-call]  # granian has no types for it
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_STOP_S)
        self._reserved.close()


def _require_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise OSError(error.errno, f"port {port} is in use") from error
