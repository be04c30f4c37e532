"""What nobody should send, over real sockets, on every route, by both roles, and what became of it.

python -m tests.e2e.fuzz --messages 200000 --seed 1

starts a stack of its own, prints a report of JSON, and exits with 1 when anything is off.
"""

import argparse
import asyncio
import itertools
import json
import math
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.errors import STATUS, ErrorCode, ErrorMessage
from gateway.messages import QUERIES, REQUESTS
from ops import tokens
from ops.stack_file import Stack
from streams.records import SessionEvent
from tests.e2e.malformed import CANARY, Case, Corpus, bad_head, bad_query
from tests.e2e.stored import is_of_the_session_itself, records_by_key
from tests.e2e.whole_stack import WholeStack, described

LIFTED: Final = {
    "MAX_CONTROL_MESSAGES_PER_SECOND": "1000",
    "MAX_STATUS_QUERIES_PER_SECOND": "1000",
    "MAX_AUDIO_CHUNKS_PER_SECOND": "1000",
    "MAX_CONNECTS_PER_MINUTE": "1000000",
    "MAX_JOINS_PER_MINUTE": "1000000",
    "MAX_SESSIONS_PER_HOUR": "1000000",
}
"""Rates of the stack that the command starts, so that messages are looked at and not just counted."""
OF_EACH_ROLE: Final = 8
"""Connections that send at once."""
QUERIES_SHARE: Final = 0.03
HEADS_SHARE: Final = 0.01
WARM_SHARE: Final = 0.1
"""After so many, memory is looked at for the first time: caches and pools have what they need."""
ANSWER_WITHIN_S: Final = 30.0
HEAD_WITHIN_S: Final = 0.5
"""For so long a head that may be incomplete is let stand; then the client says that no more comes."""
LONG_CHARS: Final = 7_000
"""Of a longer query HTTP itself may have had enough, with an answer of its own."""
PASSED_ON_WITHIN_S: Final = 60.0
GROWTH_KIB: Final = 64 * 1024
"""What a gateway may need more after 200,000 messages: by then the allocator's own pieces, no more."""
TOLD: Final = 20
"""Faults that a report quotes."""
STATE_ANSWERS: Final = frozenset(
    (
        "broadcastPaused",
        "broadcastResumed",
        "broadcastMuted",
        "broadcastUnmuted",
        "volumeChanged",
        "speakerStateChanged",
    )
)
"""Each of these is an event in the streams."""


ANSWERS: Final = {answer.__struct_config__.tag for _, answer in REQUESTS.values()} | {"audioReceived"}
GREETINGS: Final = {greeting.__struct_config__.tag for _, greeting in QUERIES.values()}


@dataclass
class Tally:
    """What was sent and what came back. events: of each session, how many there must be in the streams at the least."""

    sent: int = 0
    examined: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    closes: Counter[int] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def odd(self, what: str, case: str) -> None:
        if len(self.strange) < TOLD:
            self.strange.append(f"{what}: {case[:300]}")
        self.answers["STRANGE"] += 1

    def lost(self, what: str, case: str) -> None:
        self.answers["UNANSWERED"] += 1
        if len(self.unanswered) < TOLD:
            self.unanswered.append(f"{what}: {case[:300]}")


def row(text: str | bytes) -> ErrorMessage | None:
    """The row of W19 that an answer is; None if it is none."""
    try:
        return msgspec.json.decode(text, type=ErrorMessage)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Client:
    """A client of one role that sends cases, one at a time, and comes back whenever it is cut off."""

    def __init__(self, url: str, query: dict[str, str], tally: Tally) -> None:
        self._url = url
        self._query = query
        self._tally = tally
        self.session_id = query.get("sessionId", "")
        self._socket: ClientConnection | None = None

    async def open(self) -> None:
        """Connect; a speaker who has a session comes back to it."""
        query = self._query
        if "token" in query and self.session_id:
            query = {"token": query["token"], "action": "resumeSession", "sessionId": self.session_id}
        self._socket = await connect_to(self._url, query)
        greeting = await self._answer(greeted=False)
        assert greeting["type"] in GREETINGS, greeting
        self.session_id = greeting["sessionId"]

    async def close(self) -> None:
        """Go; a speaker ends its session."""
        assert self._socket is not None
        if "token" in self._query:
            for _ in range(20):
                await self._socket.send(json.dumps({"action": "endSession"}))
                if (await self._answer())["type"] == "sessionEnded":
                    break
                await asyncio.sleep(1)
        await self._socket.close()

    async def exchange(self, case: Case) -> ErrorMessage | None:
        """Send a case; the row of W19 that answers it, if one does."""
        assert self._socket is not None
        self._tally.sent += 1
        self._tally.kinds[case.kind] += 1
        self._socket.transport.write(case.wire)
        try:
            if case.closes is not None:
                while True:
                    await self._answer()
            return self._judge(case, await self._answer())
        except TimeoutError:
            self._tally.lost(case.kind, case.text)
            await self._socket.close()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
            self._tally.closes[code] += 1
            if code == case.closes:
                self._tally.examined += 1
            else:
                self._tally.odd(f"closed with {code} for {case.kind}", case.text)
        await self.open()
        return None

    async def _answer(self, *, greeted: bool = True) -> dict[str, Any]:
        """The next message that did not come unasked. A greeting may come again: Lambda repeats what took too long."""
        assert self._socket is not None
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while True:
                message: dict[str, Any] = json.loads(await self._socket.recv())
                again = greeted and message.get("type") in GREETINGS
                if not again and message.get("updateReason", "requested") == "requested":
                    return message

    def _judge(self, case: Case, answer: dict[str, Any]) -> ErrorMessage | None:
        text = json.dumps(answer, ensure_ascii=False)
        kind = answer.get("type")
        error = row(text)
        if CANARY in text:
            self._tally.odd(f"{case.kind} is repeated by {kind}", case.text)
        if error is not None:
            self._tally.answers[error.code] += 1
            self._tally.examined += error.code is not ErrorCode.RATE_LIMIT_EXCEEDED
            if error.code is ErrorCode.INTERNAL_ERROR:
                self._tally.odd(f"{case.kind} was too much for the gateway", case.text)
        elif kind in ANSWERS:
            self._tally.examined += 1
            self._tally.accepted[str(kind)] += 1
            self._tally.events[self.session_id] += kind in STATE_ANSWERS
        else:
            self._tally.odd(f"{case.kind} got no row of ours but {text[:200]}", case.text)
        return error


async def connect_to(url: str, query: dict[str, str] | str) -> ClientConnection:
    text = query if isinstance(query, str) else "&".join(f"{name}={value}" for name, value in query.items())
    return await connect(
        f"{url}?{text}", compression=None, proxy=None, max_size=None, ping_interval=None, open_timeout=ANSWER_WITHIN_S
    )


class Fuzz:
    """Runs against a stack. A seed sends the same again, as far as it is answered the same.

    strangers_token: that of somebody whose sessions these are not. until_s: when no more is sent (monotonic clock).
    """

    def __init__(self, stack: Stack, token: str, strangers_token: str, until_s: float) -> None:
        self._url = stack.url
        self._token = token
        self._strangers_token = strangers_token
        self._until_s = until_s
        self._seed = ""
        self.tally = Tally()
        self.sessions: set[str] = set()
        self._witness = ""

    async def run(self, messages: int, seed: str) -> None:
        """Send so many. The listeners' session is that of a speaker who sends nothing but heartbeats."""
        speaking = {"action": "createSession", "sourceLanguage": "en-US", "token": self._token}
        self._seed = seed
        witness = Client(self._url, speaking, self.tally)
        await witness.open()
        self._witness = witness.session_id
        self.sessions.add(witness.session_id)
        queries, heads = round(messages * QUERIES_SHARE), round(messages * HEADS_SHARE)
        share, more = divmod(messages - queries - heads, 2 * OF_EACH_ROLE)
        async with asyncio.TaskGroup() as group:
            for number in range(OF_EACH_ROLE):
                listening = {"action": "joinSession", "sessionId": self._witness, "targetLanguage": "es"}
                group.create_task(self._send("speaker", speaking, number, share + (number < more)))
                group.create_task(self._send("listener", listening, number, share + (number + OF_EACH_ROLE < more)))
            group.create_task(self._ask(queries))
            group.create_task(self._knock(heads))
        await witness.close()

    def _while_there_is_time(self, most: int) -> Iterator[int]:
        return itertools.takewhile(lambda _: time.monotonic() < self._until_s, range(most))

    async def _send(self, role: str, query: dict[str, str], number: int, cases: int) -> None:
        client = Client(self._url, query, self.tally)
        await client.open()
        self.sessions.add(client.session_id)
        corpus = Corpus(f"{self._seed} {role} {number}", role, client.session_id)
        for _ in self._while_there_is_time(cases):
            case = corpus.next()
            error = await client.exchange(case)
            if error is not None:
                corpus.keep(case, error.code, error.message)
        await client.close()

    async def _ask(self, queries: int) -> None:
        """Bad `$connect` queries, one after the other."""
        chance = random.Random(f"{self._seed} queries")
        for _ in self._while_there_is_time(queries):
            query = bad_query(chance, self._witness, self._strangers_token)
            self.tally.sent += 1
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    socket = await connect_to(self._url, query)
                    await socket.close()
            except InvalidStatus as refused:
                self._judge_refusal(query, refused.response.status_code, bytes(refused.response.body))
            except TimeoutError:
                self.tally.lost("$connect", query)
            else:
                self.tally.statuses["$connect 101"] += 1
                self.tally.examined += 1

    def _judge_refusal(self, query: str, status: int, body: bytes) -> None:
        self.tally.statuses[f"$connect {status}"] += 1
        if status == HTTPStatus.REQUEST_URI_TOO_LONG and len(query) > LONG_CHARS:
            self.tally.examined += 1
            return
        error = row(body)
        if error is None or STATUS[error.code] != status or error.code is ErrorCode.INTERNAL_ERROR:
            self.tally.odd(f"$connect was answered {status}", query)
            return
        self.tally.answers[error.code] += 1
        self.tally.examined += error.code is not ErrorCode.RATE_LIMIT_EXCEEDED
        if CANARY.encode() in body:
            self.tally.odd("$connect is repeated", query)

    async def _knock(self, heads: int) -> None:
        """What is no opening request."""
        chance = random.Random(f"{self._seed} heads")
        port = urlsplit(self._url).port
        for _ in self._while_there_is_time(heads):
            kind, data = bad_head(chance, self._witness)
            self.tally.sent += 1
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    answer = await _knock("127.0.0.1", port or 0, data)
            except TimeoutError:
                self.tally.lost(kind, repr(data))
                continue
            status = answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/1.") else "none"
            self.tally.statuses[f"{kind} {status}"] += 1
            self.tally.examined += 1
            if status.startswith("5"):
                self.tally.odd(f"{kind} was answered {status}", repr(data))


async def _knock(host: str, port: int, data: bytes) -> bytes:
    """The first bytes of the answer, once the server has closed the connection; b"" if it just did that."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(data)
        try:
            async with asyncio.timeout(HEAD_WITHIN_S):
                answer = await reader.read(4096)
        except TimeoutError:
            answer = b""
        writer.write_eof()
        while more := await reader.read(65536):
            answer += more
    except ConnectionError:
        return answer
    finally:
        writer.transport.abort()
    return answer


def processes(stack: WholeStack) -> dict[str, int]:
    """The process of each part that serves, by name."""
    return {name: part["pid"] for name, part in stack.described()["parts"].items() if part["state"] == "ready"}


def resident_kib(pid: int) -> int:
    """How much memory of a process is resident."""
    return int(psutil.Process(pid).memory_info().rss // 1024)


def complaints(log: Path, offset: int) -> tuple[list[str], int]:
    """What the gateway's process says of itself that is no answer to a client: errors, tracebacks. From a byte on.

    And, apart, how often a function took too long, or was given up for that: a machine that does much else does so.
    """
    with log.open("rb") as file:
        file.seek(offset)
        lines = file.read().decode(errors="replace").splitlines()
    bad = [line for line in lines if '"level":"ERROR"' in line.replace(" ", "") or "Traceback" in line]
    slow = [line for line in bad if any(f'"message": "{said}"' in line for said in ("time limit", "given up"))]
    return [line[:600] for line in bad if line not in slow], len(slow)


async def fuzz(
    whole: WholeStack, messages: int, seed: str, *, alone: bool, within_s: float = math.inf
) -> dict[str, Any]:
    """The report of a run; its `off` says what is wrong, and is empty if nothing is.

    alone: nobody else uses the stack, so that all it has is of this run. within_s: what has not been sent by then is
    not sent.
    """
    stack = described(whole)
    since, started_s = datetime.now(UTC), time.monotonic()
    before = await asyncio.to_thread(processes, whole)
    log = Path(stack.parts["gateway"].log)
    offset = await asyncio.to_thread(os.path.getsize, log)
    own, strangers = [await asyncio.to_thread(tokens.token, stack, who) for who in ("a-fuzzer", "a-stranger")]
    run = Fuzz(stack, own, strangers, started_s + within_s)
    warm = round(messages * WARM_SHARE)
    await run.run(warm, f"{seed} warm")
    resident = {name: resident_kib(pid) for name, pid in before.items()}
    await run.run(messages - warm, seed)
    spent_s = time.monotonic() - started_s
    after = await asyncio.to_thread(processes, whole)
    grown = {name: resident_kib(pid) - resident[name] for name, pid in after.items() if before.get(name) == pid}
    stray, missing = await asyncio.to_thread(in_streams, whole, run, since, alone=alone)
    said, too_slow = complaints(log, offset)
    tally = run.tally
    off = [
        *(["processes are others than before"] if before != after else []),
        *(["the gateway has grown"] if grown.get("gateway", 0) > GROWTH_KIB else []),
        *(["there are strange answers"] if tally.answers["STRANGE"] else []),
        *(["not all was answered"] if tally.answers["UNANSWERED"] else []),
        *(["streams hold what is none of the sessions' own"] if any(stray.values()) else []),
        *(["streams do not hold what was answered"] if missing else []),
        *(["the gateway complains"] if said else []),
        *(["functions took too long"] if too_slow and alone else []),
        *(["not all was sent"] if tally.sent != messages and spent_s < within_s else []),
    ]
    return {
        "off": off,
        "seed": seed,
        "sent": tally.sent,
        "examined": tally.examined,
        "seconds": round(spent_s, 1),
        "answers": dict(tally.answers.most_common()),
        "accepted": dict(tally.accepted.most_common()),
        "statuses": dict(sorted(tally.statuses.items())),
        "closes": {str(code): count for code, count in sorted(tally.closes.items())},
        "kinds": dict(tally.kinds.most_common()),
        "sessions": len(run.sessions),
        "pids": {"before": before, "after": after},
        "gateway_rss_kib": {"before": resident["gateway"], "after": resident_kib(after["gateway"])},
        "grown_kib": grown,
        "stray_records": stray,
        "missing_events": missing,
        "unanswered": tally.unanswered,
        "strange": tally.strange,
        "complaints": said[:TOLD],
        "too_slow": too_slow,
    }


def in_streams(
    whole: WholeStack, run: Fuzz, since: datetime, *, alone: bool
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """What each stream holds that no session of the run has put there, once all stages have passed the ends on.

    And the sessions whose events in the audio stream are not those that were answered.
    """
    deadline = time.monotonic() + PASSED_ON_WITHIN_S
    while True:
        found = records_by_key(whole.environment, since)
        ended = {key for key, records in found["speech"].items() if any(_is_end(record) for record in records)}
        if run.sessions <= ended or time.monotonic() > deadline:
            break
        time.sleep(1)
    stray = {
        stream: [
            f"{key}: {type(record).__name__}"
            for key, records in by_key.items()
            for record in records
            if (key in run.sessions or alone) and not (key in run.sessions and is_of_the_session_itself(record))
        ][:TOLD]
        for stream, by_key in found.items()
    }
    missing = {}
    for session in run.sessions:
        events = sum(isinstance(record, SessionEvent) for record in found["audio"].get(session, []))
        least = run.tally.events[session] + 2
        most = least + sum(run.tally.answers[code] for code in (ErrorCode.TIMEOUT, ErrorCode.SERVICE_UNAVAILABLE))
        if not least <= events <= most:
            missing[session] = f"{events} events, not {least} to {most}"
        if session not in ended:
            missing[session] = "its end is not passed on"
    return stray, missing


def _is_end(record: object) -> bool:
    return isinstance(record, SessionEvent) and record.event == "ended"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.fuzz")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--minutes", type=float, default=math.inf, help="send no more after so long")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="herald-fuzz-") as folder:
        stack = WholeStack(Path(folder), "tones", shards=2, settings=LIFTED)
        try:
            report = asyncio.run(fuzz(stack, args.messages, args.seed, alone=True, within_s=args.minutes * 60))
        finally:
            stack.stop()
    print(json.dumps(report, indent=2))
    return 1 if report["off"] else 0


if __name__ == "__main__":
    sys.exit(main())
