"""Clients that mean harm by how they come and go: slow ones, floods, thousands of joins and leaves.

python -m tests.e2e.abuse --joins 10000 --slow 200 --connects 2000

starts stacks of its own, prints a report of JSON, and exits with 1 when anything is off.
"""

import argparse
import asyncio
import base64
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.sweep import SILENT_MS
from local.gateway.connections import Limits
from local.gateway.server import SWEEP_S
from ops import tokens
from tests.e2e.fuzz import LIFTED
from tests.e2e.fuzzing import row
from tests.e2e.stored import rows
from tests.e2e.whole_stack import WholeStack, described
from tests.support.stack import Stack, front

HEAD_BOUND_S: Final = Limits().request_s
"""Within so long the head of a request must have come."""
FRAME_BOUND_S: Final = SILENT_MS / 1000 + SWEEP_S
"""A client that sends no whole message is dropped after so long, however many bytes it sends."""
LATE_S: Final = 15.0
"""How much later a busy machine may be."""
ANSWER_WITHIN_S: Final = 30.0
AT_ONCE: Final = 16
AT_ONCE_IN_A_FLOOD: Final = 50
BUSY: Final = frozenset({"503 SERVICE_UNAVAILABLE", "504 TIMEOUT"})
"""What may be answered too where the table has more to do than it can: rows of W19 that say to come again."""
CLEAN_WITHIN_S: Final = 60.0
LANGUAGES: Final = ("es", "fr", "it")
STAYING: Final = {"es": 2, "fr": 1}
"""Listeners that stay while others come and go."""
ITS_OWN: Final = 50
"""Connections that the gateway may keep open to its own management API."""
MOST_CONNECTS: Final = 20
"""Row W21, per minute and address."""
REFUSED: Final = "429 RATE_LIMIT_EXCEEDED connect"


def where(url: str) -> tuple[str, int]:
    """A stack's address."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def upgrade(query: Mapping[str, str]) -> bytes:
    """The head of a request for a WebSocket."""
    head = (
        f"GET /live?{urlencode(query)} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    return head.encode()


def joining(session_id: str, language: str) -> dict[str, str]:
    """A listener's query."""
    return {"action": "joinSession", "sessionId": session_id, "targetLanguage": language}


async def dial(url: str, query: Mapping[str, str]) -> ClientConnection:
    """A client's connection. Raises InvalidStatus."""
    return await connect(
        f"{url}?{urlencode(query)}", compression=None, proxy=None, ping_interval=None, open_timeout=ANSWER_WITHIN_S
    )


async def slow_head(url: str, query: Mapping[str, str]) -> float:
    """Send a request's head, a byte a second, until the server has had enough; for how long it had not (seconds)."""
    reader, writer = await asyncio.open_connection(*where(url))
    began_s = time.monotonic()
    try:
        for byte in upgrade(query):
            writer.write(bytes([byte]))
            try:
                async with asyncio.timeout(1):
                    await reader.read()
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            break
    finally:
        writer.transport.abort()
    return time.monotonic() - began_s


async def slow_frame(url: str, query: Mapping[str, str]) -> float:
    """Join, and send a frame, a byte a second, that never ends; after how long the server had enough (seconds)."""
    async with await dial(url, query) as socket:
        await socket.recv()
        began_s = time.monotonic()
        socket.transport.write(b"\x81\xfe\x40\x00\0\0\0\0")
        while True:
            socket.transport.write(b" ")
            try:
                async with asyncio.timeout(1):
                    await socket.recv()
            except TimeoutError:
                continue
            except ConnectionClosed:
                return time.monotonic() - began_s


async def slow(url: str, session_id: str, heads: int, frames: int) -> dict[str, Any]:
    """So many of each at once; the longest that one was let be."""
    query = joining(session_id, "es")
    head_s = asyncio.gather(*(slow_head(url, query) for _ in range(heads)))
    frame_s = asyncio.gather(*(slow_frame(url, query) for _ in range(frames)))
    return {
        "heads": {"dropped": len(await head_s), "longest_s": round(max(await head_s, default=0.0), 1)},
        "frames": {"dropped": len(await frame_s), "longest_s": round(max(await frame_s, default=0.0), 1)},
    }


async def beat(socket: ClientConnection) -> None:
    """Say now and then that the client is there, for ever (row W11)."""
    while True:
        await asyncio.sleep(30)
        await socket.send(json.dumps({"action": "heartbeat"}))


class Speaker:
    """A speaker that says nothing, and asks who listens."""

    def __init__(self, socket: ClientConnection, session_id: str) -> None:
        self._socket = socket
        self.session_id = session_id

    async def ask(self, action: str, kind: str) -> dict[str, Any]:
        """Send a message; its answer, which is of that type. Asked too often, it asks again."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await self._socket.send(json.dumps({"action": action}))
            while True:
                message: dict[str, Any] = json.loads(await self._socket.recv())
                if message["type"] == kind and message.get("updateReason", "requested") == "requested":
                    return message
                if message["type"] == "error":
                    assert message["code"] == "RATE_LIMIT_EXCEEDED", message
                    await asyncio.sleep(message["details"]["retryAfterMs"] / 1000)
                    await self._socket.send(json.dumps({"action": action}))

    async def listeners(self) -> dict[str, int]:
        """Who listens, by language, as the speaker is told."""
        status = await self.ask("getSessionStatus", "sessionStatus")
        found: dict[str, int] = status["languageDistribution"]
        assert status["listenerCount"] == sum(found.values())
        return found

    async def until_listeners(self, wanted: Mapping[str, int]) -> bool:
        """Whether these and no others listen in the end."""
        deadline_s = time.monotonic() + CLEAN_WITHIN_S
        while (found := await self.listeners()) != wanted and time.monotonic() < deadline_s:
            await asyncio.sleep(0.6)
        return found == wanted

    async def end(self) -> None:
        """End the session."""
        await self.ask("endSession", "sessionEnded")


@asynccontextmanager
async def speaker(url: str, token: str) -> AsyncIterator[Speaker]:
    """A speaker with a session, which it ends."""
    query = {"action": "createSession", "sourceLanguage": "en-US", "token": token}
    async with await dial(url, query) as socket:
        created = json.loads(await socket.recv())
        it = Speaker(socket, created["sessionId"])
        staying = asyncio.create_task(beat(socket))
        try:
            yield it
            await it.end()
        finally:
            staying.cancel()


async def joins_and_leaves(url: str, session_id: str, count: int, seed: str) -> Counter[str]:
    """So many listeners come and go, AT_ONCE at a time; how each went."""
    ways: Counter[str] = Counter()
    chance = random.Random(seed)
    plan = iter([(chance.choice(LANGUAGES), chance.choice(_LEAVING)) for _ in range(count)])

    async def some() -> None:
        for language, leave in plan:
            await leave(url, joining(session_id, language))
            ways[leave.__name__] += 1

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return ways


async def closes(url: str, query: Mapping[str, str]) -> None:
    async with await dial(url, query) as socket:
        assert json.loads(await socket.recv())["type"] == "sessionJoined"


async def is_cut_off(url: str, query: Mapping[str, str]) -> None:
    socket = await dial(url, query)
    assert json.loads(await socket.recv())["type"] == "sessionJoined"
    socket.transport.abort()


async def goes_unwelcomed(url: str, query: Mapping[str, str]) -> None:
    (await dial(url, query)).transport.abort()


async def goes_before_it_is_let_in(url: str, query: Mapping[str, str]) -> None:
    _, writer = await asyncio.open_connection(*where(url))
    writer.write(upgrade(query))
    await writer.drain()
    writer.transport.abort()


_LEAVING: Final = (closes, is_cut_off, goes_unwelcomed, goes_before_it_is_let_in)


async def come_and_go(
    url: str, token: str, environment: Mapping[str, str], count: int, seed: str = "1"
) -> dict[str, Any]:
    """Joins and leaves, beside listeners that stay; and whether the rows and counts are right then, and afterwards."""
    began_s = time.monotonic()
    async with speaker(url, token) as it:
        half = count // 2
        ways = await joins_and_leaves(url, it.session_id, half, f"{seed} first")
        staying = [
            await dial(url, joining(it.session_id, language)) for language, many in STAYING.items() for _ in range(many)
        ]
        beats = [asyncio.create_task(beat(socket)) for socket in staying]
        ways += await joins_and_leaves(url, it.session_id, count - half, f"{seed} then")
        spent_s = time.monotonic() - began_s
        only_who_stay = await it.until_listeners(STAYING)
        for task in beats:
            task.cancel()
        for socket in staying:
            await socket.close()
        nobody = await it.until_listeners({})
        session_id = it.session_id
    left = await no_rows(environment, session_id)
    off = [
        *([] if only_who_stay else ["the speaker is not told of those who stay, and only of them"]),
        *([] if nobody else ["the speaker is told of listeners that are not there"]),
        *(["rows of connections are left"] if left else []),
    ]
    return {"off": off, "joins": dict(ways), "seconds": round(spent_s, 1), "rows_left": left}


async def no_rows(environment: Mapping[str, str], session_id: str) -> int:
    """How many rows of a session's connections are left in the end."""
    deadline_s = time.monotonic() + CLEAN_WITHIN_S
    while True:
        found = await asyncio.to_thread(rows, environment, "Connections")
        left = len([row for row in found if row["sessionId"]["S"] == session_id])
        if not left or time.monotonic() > deadline_s:
            return left
        await asyncio.sleep(0.5)


async def flood(stack: Stack, connects: int) -> dict[str, Any]:
    """So many connects at once from one address, of which a minute lets in MOST_CONNECTS; the speaker's own is one.

    As many again are cut off before they have said anything.
    """
    answers: Counter[str] = Counter()
    let_in: list[ClientConnection] = []
    slots = asyncio.Semaphore(AT_ONCE_IN_A_FLOOD)
    began_s = time.monotonic()

    async def come(session_id: str) -> None:
        async with slots:
            try:
                let_in.append(await dial(stack.ws, joining(session_id, "es")))
                answers["101"] += 1
            except InvalidStatus as refused:
                error = row(bytes(refused.response.body))
                code, rate = ("", "") if error is None else (error.code, error.details.get("rate", ""))
                answers[f"{refused.response.status_code} {code} {rate}".strip()] += 1

    async def knock() -> None:
        async with slots:
            _, writer = await asyncio.open_connection(*where(stack.ws))
            writer.transport.abort()

    async with speaker(stack.ws, stack.token()) as it:
        open_before = descriptors(stack)
        await asyncio.gather(*(come(it.session_id) for _ in range(connects)), *(knock() for _ in range(connects)))
        spent_s = time.monotonic() - began_s
        served = await it.until_listeners({"es": len(let_in)})
        for socket in let_in:
            await socket.close()
        nobody = await it.until_listeners({})
        session_id = it.session_id
        open_after = await fewer_descriptors(stack, open_before + ITS_OWN)
    left = await no_rows(stack.environ, session_id)
    windows, busy = 1 + int(spent_s // 60), answers.keys() & BUSY
    off = [
        *([] if answers["101"] <= windows * MOST_CONNECTS else ["more were let in than may"]),
        *([] if windows > 1 or busy or answers["101"] == MOST_CONNECTS - 1 else ["fewer were let in than may"]),
        *([] if answers.keys() - BUSY <= {"101", REFUSED} else ["others were refused otherwise"]),
        *([] if served and nobody else ["the count of listeners is wrong"]),
        *(["rows of connections are left"] if left else []),
        *(["connections are left open"] if open_after > open_before + ITS_OWN else []),
    ]
    return {
        "off": off,
        "answers": dict(answers),
        "seconds": round(spent_s, 1),
        "rows_left": left,
        "descriptors": {"before": open_before, "after": open_after},
    }


def descriptors(stack: Stack) -> int:
    """How many connections the gateway has taken."""
    port = where(stack.url)[1]
    there = [one for one in psutil.net_connections("tcp4") if one.laddr and one.laddr.port == port]
    return len([one for one in there if one.status == psutil.CONN_ESTABLISHED])


async def fewer_descriptors(stack: Stack, most: int) -> int:
    """How many there are once there are no more than that, or in the end."""
    deadline_s = time.monotonic() + CLEAN_WITHIN_S
    while (found := await asyncio.to_thread(descriptors, stack)) > most and time.monotonic() < deadline_s:
        await asyncio.sleep(0.2)
    return found


def flooded(folder: Path, connects: int) -> dict[str, Any]:
    """The flood, on a front of its own where the rates by address hold."""
    limits = {"MAX_CONNECTS_PER_MINUTE": str(MOST_CONNECTS), "MAX_JOINS_PER_MINUTE": "1000"}
    with front(folder, environ=limits) as stack:
        return asyncio.run(flood(stack, connects))


async def _all(whole: WholeStack, joins: int, many: int) -> dict[str, Any]:
    url, token = described(whole).url, await asyncio.to_thread(tokens.token, described(whole), "a-crowd")
    async with speaker(url, token) as it:
        slowed = await slow(url, it.session_id, many, many)
    bounds = {"heads": HEAD_BOUND_S, "frames": FRAME_BOUND_S}
    late = [name for name, bound_s in bounds.items() if slowed[name]["longest_s"] > bound_s + LATE_S]
    return {
        "slow": slowed | {"off": [f"slow {name} were let be for too long" for name in late], "bounds_s": bounds},
        "joins": await come_and_go(url, token, whole.environment, joins),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.abuse")
    parser.add_argument("--joins", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=200, help="slow heads, and as many frames that do not end")
    parser.add_argument("--connects", type=int, default=2_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="herald-abuse-") as folder:
        report = {"flood": flooded(Path(folder), args.connects)}
        stack = WholeStack(Path(folder), "tones", shards=2, settings=LIFTED)
        try:
            report |= asyncio.run(_all(stack, args.joins, args.slow))
        finally:
            stack.stop()
    print(json.dumps(report, indent=2))
    return 1 if any(part["off"] for part in report.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
