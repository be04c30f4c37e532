"""The supervisor's socket: one JSON line asks, one JSON line answers.

    {"do": "restart", "part": "transcribe"}   ->  {"ok": true, "message": "..."}  or  {"ok": false, "message": "..."}

The socket lies in the state folder, for its owner only. Its path is given to the kernel by way of a directory handle:
an address holds only 108 bytes, a project's path may be longer.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from ops.errors import CommandError
from ops.parts import KCL_READY_WITHIN_S

ANSWER_WITHIN_S: Final = KCL_READY_WITHIN_S + 60.0
"""A restart is answered when the successor is ready and its predecessor has drained and ended."""


class Wish(msgspec.Struct):
    """What is asked."""

    do: str
    part: str


class Answer(msgspec.Struct):
    """What came of it."""

    ok: bool
    message: str


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


@contextlib.asynccontextmanager
async def serve(path: Path, handle: Callable[[Wish], Awaitable[str]]) -> AsyncIterator[None]:
    """Serve wishes; what `handle` returns is the answer's message, a CommandError its refusal."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await _answer(await reader.readline(), handle)
            writer.write(msgspec.json.encode(reply) + b"\n")
            await writer.drain()
        except ConnectionError:
            pass  # who asked has gone; the deed is done all the same
        finally:
            writer.close()

    listener = _bind(path)
    server = await asyncio.start_unix_server(answer, sock=listener)
    try:
        yield
    finally:
        server.close()
        _remove(path)


def _bind(path: Path) -> socket.socket:
    _remove(path)  # a killed supervisor's
    listener = socket.socket(socket.AF_UNIX)
    with _short(path) as address:
        listener.bind(address)
    path.chmod(0o600)
    return listener


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _answer(line: bytes, handle: Callable[[Wish], Awaitable[str]]) -> Answer:
    try:
        return Answer(ok=True, message=await handle(msgspec.json.decode(line, type=Wish)))
    except (CommandError, msgspec.DecodeError) as error:
        return Answer(ok=False, message=str(error))


async def ask(path: Path, wish: Wish) -> str:
    """The answer's message. Raises CommandError for a refusal, and when nobody listens."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            with _short(path) as address:
                reader, writer = await asyncio.open_unix_connection(address)
            writer.write(msgspec.json.encode(wish) + b"\n")
            line = await reader.readline()
            writer.close()
    except TimeoutError as error:
        raise CommandError(f"the supervisor did not answer within {ANSWER_WITHIN_S:.0f} s") from error
    except OSError as error:
        raise CommandError("no supervisor listens here; start a stack with: herald up") from error
    if not line:
        raise CommandError("the supervisor ended before it answered")
    answer = msgspec.json.decode(line, type=Answer)
    if not answer.ok:
        raise CommandError(answer.message)
    return answer.message
