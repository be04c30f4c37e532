"""Clients of both roles that send what nobody should, and a tally of what came back."""

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.errors import STATUS, ErrorCode, ErrorMessage
from gateway.messages import QUERIES, REQUESTS
from ops.stack_file import Stack
from tests.e2e.malformed import CANARY, Case, Corpus
from tests.e2e.malformed_openings import bad_head, bad_query

OF_EACH_ROLE: Final = 8
"""Connections that send at once."""
QUERIES_SHARE: Final = 0.03
HEADS_SHARE: Final = 0.01
ANSWER_WITHIN_S: Final = 30.0
HEAD_WITHIN_S: Final = 0.5
"""For so long a head that may be incomplete is let stand; then the client says that no more comes."""
LONG_CHARS: Final = 7_000
"""Of a longer query HTTP itself may have had enough, with an answer of its own."""
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
