"""Five hundred listeners of one session (row N10), of whom one reads nothing and one is cut without a word.

They are a process of their own (`python -m bench.listeners URL TOKEN COUNT`), with a client as any other. The speaker
changes its volume once a second: each listener is timed from when the change was sent to when it has the notice. Then
it speaks numbered tones: every listener must have every caption and every clause. Beside it, what the gateway needs of
memory for a listener, and at the most.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
import psutil
import uvloop

from bench.load import percentiles
from bench.stack import ROOT, up
from local import tones
from local.gateway.websocket import MAX_WAITING_BYTES
from local.proxy import Proxy, Trouble

LISTENERS = int(os.environ.get("HERALD_BENCH_LISTENERS", "500"))
LANGUAGES = ("es", "fr")
JOINING = 8
"""At once."""
CHANGES = 20
NOTICE_BAR_MS = 150.0
EACH_BAR_KIB = 64.0
WORDS = 6
PAUSE_MS = 3_500
"""Speech is then shorter than the talk: what is late is late because of the many, not because it is long."""
CHUNK_MS = 100
HEARD_WITHIN_S = 60.0
FEW, MANY = 100, 0
QUIET_S = 3.0


class _Message(msgspec.Struct):
    type: str = ""
    sessionId: str = ""  # noqa: N815 - names on the wire
    stateVersion: int = -1  # noqa: N815
    utteranceId: str = ""  # noqa: N815
    revision: int = 0
    clause: int = 0
    part: int = 0


_decoder = msgspec.json.Decoder(_Message)


class Room:
    """What all of them got. sent_s: when each version of the state was asked for."""

    def __init__(self) -> None:
        self.sent_s: dict[int, float] = {}
        self.took_ms: list[float] = []
        self.got: list[Counter[str]] = []
        self.closed: Counter[int] = Counter()

    async def listen(self, ear: aiohttp.ClientWebSocketResponse, got: Counter[str]) -> None:
        """One listener's connection, to its end. got: what it has, each thing by its name."""
        async for raw in ear:
            message = _decoder.decode(raw.data)
            match message.type:
                case "volumeChanged":
                    self.took_ms.append((time.perf_counter() - self.sent_s[message.stateVersion]) * 1000)
                    got[f"volume {message.stateVersion}"] += 1
                case "caption":
                    got[f"caption {message.utteranceId} {message.revision}"] += 1
                case "translatedAudio":
                    got[f"sound {message.utteranceId} {message.clause} {message.part}"] += 1
                case "sessionEnded":
                    got["end"] += 1
        self.closed[ear.close_code or 0] += 1


async def generate(url: str, token: str, count: int) -> None:
    """The whole round. A line of JSON for each step; the next begins when a line comes in."""
    room = Room()
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None))
        )

        async def connect(to: str, **query: str) -> aiohttp.ClientWebSocketResponse:
            return await stack.enter_async_context(session.ws_connect(to, params=query, max_msg_size=0))

        async def first(ear: aiohttp.ClientWebSocketResponse, wanted: str) -> _Message:
            while True:
                message = _decoder.decode(await ear.receive_str(timeout=60))
                if message.type == wanted:
                    return message

        speaker = await connect(
            url, action="createSession", token=token, sourceLanguage="en-US", acknowledgeAudio="false"
        )
        session_id = (await first(speaker, "sessionCreated")).sessionId
        tasks = [asyncio.create_task(_drain(speaker))]
        _step("created")

        proxy = Proxy((urlsplit(url).hostname or "", urlsplit(url).port or 0))
        await proxy.start(0)
        stack.push_async_callback(proxy.stop)
        through = url.replace(str(urlsplit(url).port), str(proxy.port))
        began_s = time.perf_counter()
        slots = asyncio.Semaphore(JOINING)

        async def join(number: int, to: str) -> None:
            async with slots:
                ear = await connect(
                    to, action="joinSession", sessionId=session_id, targetLanguage=LANGUAGES[number % len(LANGUAGES)]
                )
                await first(ear, "sessionJoined")
            got: Counter[str] = Counter() if to != url else room.got[number]
            tasks.append(asyncio.create_task(room.listen(ear, got)))

        room.got = [Counter() for _ in range(count - 2)]
        await asyncio.gather(*(join(number, url) for number in range(count - 2)))
        await join(0, through)
        deaf = _deaf(url, session_id)
        stack.callback(deaf.close)
        _step("joined", seconds=time.perf_counter() - began_s)

        proxy.replace([Trouble("blackhole")])  # it is cut, and nobody is told
        for version in range(1, CHANGES + 1):
            room.sent_s[version] = time.perf_counter()
            await speaker.send_str(f'{{"action":"setVolume","volumeLevel":{version / CHANGES}}}')
            await asyncio.sleep(max(0.0, room.sent_s[version] + 1 - time.perf_counter()))
        await asyncio.sleep(QUIET_S)
        told = sum(got[f"volume {version}"] == 1 for got in room.got for version in room.sent_s)
        _step("told", told=told, of=len(room.got) * CHANGES, **percentiles("", room.took_ms))

        await _talk(speaker, session_id)
        await _heard(room)
        await speaker.send_str(json.dumps({"action": "endSession", "sessionId": session_id}))
        await asyncio.sleep(QUIET_S)
        _step("heard", **_compared(room))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _deaf(url: str, session_id: str) -> socket.socket:
    """A listener that asks, and then reads nothing."""
    found = urlsplit(url)
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.connect((found.hostname or "", found.port or 0))
    query = urlencode({"action": "joinSession", "sessionId": session_id, "targetLanguage": LANGUAGES[0]})
    peer.sendall(
        f"GET {found.path}?{query} HTTP/1.1\r\nHost: {found.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return peer


async def _drain(speaker: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in speaker:
        pass


async def _talk(speaker: aiohttp.ClientWebSocketResponse, session_id: str) -> None:
    """Speak at the pace of speech."""
    pcm = tones.Script([[1 + word] for word in range(WORDS)], pauses_ms=(PAUSE_MS,)).render().astype("<i2").tobytes()
    piece = CHUNK_MS * 32
    began_s = time.perf_counter()
    for number in range(math.ceil(len(pcm) / piece)):
        await asyncio.sleep(max(0.0, began_s + (number + 1) * CHUNK_MS / 1000 - time.perf_counter()))
        audio = base64.b64encode(pcm[number * piece : (number + 1) * piece]).decode()
        await speaker.send_str(
            json.dumps({"action": "sendAudio", "sessionId": session_id, "sequence": number, "audioData": audio})
        )


async def _heard(room: Room) -> None:
    """Until nothing more comes, or it takes too long."""
    deadline_s = time.perf_counter() + HEARD_WITHIN_S
    before = -1
    while time.perf_counter() < deadline_s:
        now = sum(got.total() for got in room.got)
        if now == before:
            return
        before = now
        await asyncio.sleep(2 * QUIET_S)


def _compared(room: Room) -> dict[str, Any]:
    """Whether each had what the others of its language had; volume left out."""
    words, missing, twice = set(), 0, 0
    kept = [Counter({name: times for name, times in got.items() if name[0] != "v"}) for got in room.got]
    for language in range(len(LANGUAGES)):
        mine = kept[language :: len(LANGUAGES)]
        everything = set().union(*mine)
        missing += sum(len(everything - got.keys()) for got in mine)
        twice += sum(times > 1 for got in mine for times in got.values())
        words |= {(language, name) for name in everything if name.startswith("sound")}
    return {
        "things": sum(got.total() for got in kept),
        "sounds": len(words),
        "missing": missing,
        "twice": twice,
        "ended": sum(got["end"] for got in room.got),
        "closed": dict(room.closed),
    }


def _step(name: str, **facts: Any) -> None:
    print(json.dumps({"step": name} | facts), flush=True)
    sys.stdin.readline()


def measured(count: int) -> dict[str, Any]:
    """A round on a stack of its own."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="herald-bench-") as name:
        folder = Path(name)
        with up(folder, "tones"):
            stack = json.loads((folder / "stack.json").read_text())
            token = subprocess.run(
                [sys.executable, "-m", "ops", "token", "--role", "speaker"],
                env={**os.environ, **stack["environment"]}, cwd=ROOT, capture_output=True, text=True, check=True,
            ).stdout.strip()  # fmt: skip
            gateway = psutil.Process(stack["parts"]["gateway"]["pid"])
            argv = [sys.executable, "-m", "bench.listeners", stack["url"], token, str(count)]
            pipe = subprocess.PIPE
            with subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as child:
                assert child.stdout is not None
                assert child.stdin is not None
                for line in child.stdout:
                    step = json.loads(line)
                    step["gateway_mib"] = gateway.memory_full_info().uss / 2**20
                    found[step.pop("step")] = step
                    print(line.strip(), file=sys.stderr, flush=True)
                    child.stdin.write("\n")
                    child.stdin.flush()
    return found


def run() -> dict[str, dict[str, Any]]:
    found = measured(LISTENERS)
    told, heard = found["told"], found["heard"]
    others = LISTENERS - 2
    each_kib = (found["joined"]["gateway_mib"] - found["created"]["gateway_mib"]) * 1024 / LISTENERS
    most_mib = heard["gateway_mib"] - found["created"]["gateway_mib"]
    notices = told["p95_ms"]
    complete = told["told"] == told["of"]
    everything = not heard["missing"] and not heard["twice"] and heard["ended"] == others and heard["sounds"] > 0
    bound_mib = 2 * MAX_WAITING_BYTES / 2**20 + LISTENERS * EACH_BAR_KIB / 1024
    return {
        f"notice p95, {LISTENERS} listeners": _row(
            notices, NOTICE_BAR_MS, "ms", complete and notices <= NOTICE_BAR_MS, told
        ),
        f"things that {others} of {LISTENERS} listeners missed": _row(heard["missing"], 0, "things", everything, heard),
        "gateway, a listener": _row(each_kib, EACH_BAR_KIB, "KiB", each_kib <= EACH_BAR_KIB, None),
        f"gateway, {LISTENERS} listeners after a talk": _row(most_mib, bound_mib, "MiB", most_mib <= bound_mib, None),
    }


def _row(ours: float, bar: float, unit: str, holds: bool, spread: Any) -> dict[str, Any]:
    found = {
        "ours": round(ours, 1), "peer": round(bar, 1), "unit": unit, "ratio": round(ours / bar, 3) if bar else ours,
        "bar": 1.0 if bar else 0, "holds": holds,
    }  # fmt: skip
    return found | ({} if spread is None else {"spread": spread})


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.listeners", description="A speaker and its listeners.")
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("count", type=int)
    arguments = parser.parse_args()
    uvloop.run(generate(arguments.url, arguments.token, arguments.count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
