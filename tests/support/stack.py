"""The system's front as processes of a test: DynamoDB, the twins that the gateway asks, and the gateway; and clients.

with front(directory) as stack:
    async with stack.speaker() as speaker, stack.listener(speaker.session_id, "es") as listener:
        await speaker.say("sendAudio", audioData=...)
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect

from local.issuer import Issuer
from tests.support.services import CREDENTIALS, dynamodb, kinesis_twin, running

ANSWER_WITHIN_S = 10.0
AUDIENCE = "herald"


@dataclass
class Client:
    """A client of the gateway. received: every message so far, in order; reports: those of its listeners that came
    unasked, which `next` passes over."""

    socket: ClientConnection
    session_id: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, action: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"action": action, **fields}))

    async def next(self) -> dict[str, Any]:
        """The next message that is no report."""
        while True:
            message = await self.any()
            if message.get("updateReason", "requested") == "requested":
                return message

    async def any(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            message: dict[str, Any] = json.loads(await self.socket.recv())
        self.received.append(message)
        if message.get("updateReason", "requested") != "requested":
            self.reports.append(message)
        return message

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of a type, with these fields."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while True:
                message = await self.any()
                if message.get("type") == kind and fields.items() <= message.items():
                    return message

    async def say(self, action: str, **fields: Any) -> dict[str, Any]:
        """Send, and the next message that comes."""
        await self.send(action, **fields)
        return await self.next()


@dataclass
class Stack:
    """A front that serves. environ: what a program needs to use the same services."""

    url: str
    environ: dict[str, str]
    log: Path
    issuer: Issuer
    kinesis_url: str
    dynamodb_url: str

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1) + "/live"

    def token(self, subject: str = "somebody", role: str = "speaker", ttl_s: float = 600.0) -> str:
        return self.issuer.sign(subject, role, ttl_s)

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Use the gateway's control plane."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_herald/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    @contextmanager
    def faults(self, *faults: dict[str, object]) -> Iterator[None]:
        self.control("PUT", "faults", list(faults))
        try:
            yield
        finally:
            self.control("DELETE", "faults")

    @asynccontextmanager
    async def client(self, **query: str) -> AsyncIterator[Client]:
        async with connect(f"{self.ws}?{urlencode(query)}", compression=None, proxy=None) as socket:
            yield Client(socket)

    @asynccontextmanager
    async def speaker(self, **query: str) -> AsyncIterator[Client]:
        """A speaker whose session has been created."""
        wanted = {"action": "createSession", "sourceLanguage": "en-US", "token": self.token()} | query
        async with self.client(**wanted) as client:
            message = await client.next()
            assert message["type"] == "sessionCreated", message
            client.session_id = message["sessionId"]
            yield client

    @asynccontextmanager
    async def listener(self, session_id: str, language: str) -> AsyncIterator[Client]:
        """A listener who has joined."""
        query = {"action": "joinSession", "sessionId": session_id, "targetLanguage": language}
        async with self.client(**query) as client:
            message = await client.next()
            assert message["type"] == "sessionJoined", message
            client.session_id = session_id
            yield client


@contextmanager
def front(directory: Path, *arguments: str, environ: dict[str, str] | None = None) -> Iterator[Stack]:
    """The front, in processes of its own; their logs are in `directory`."""
    with ExitStack() as stack:
        kinesis_url = stack.enter_context(kinesis_twin("--limits", "off"))
        dynamodb_url = stack.enter_context(dynamodb(_made(directory / "dynamodb")))
        variables = CREDENTIALS | {
            "AWS_ENDPOINT_URL_KINESIS": kinesis_url,
            "AWS_ENDPOINT_URL_DYNAMODB": dynamodb_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_TRANSLATE": stack.enter_context(_program("translate", directory)),
            "AWS_ENDPOINT_URL_POLLY": stack.enter_context(_program("polly", directory)),
            "HERALD_DIR": str(directory),
            "HERALD_PREFIX": "herald",
            **(environ or {}),
        }
        provision = [sys.executable, "-m", "local.provision"]
        with running(provision, variables) as process:
            assert process.wait(60) == 0
        url = stack.enter_context(_program("gateway", directory, *arguments, environ=variables))
        issuer = Issuer(directory / "keys", f"{url}/", AUDIENCE)
        variables["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"] = url
        yield Stack(url, variables, directory / "gateway.log", issuer, kinesis_url, dynamodb_url)


@contextmanager
def another_gateway(stack: Stack, directory: Path, *arguments: str) -> Iterator[Stack]:
    """A gateway more, over the same tables and streams."""
    with _program("gateway", directory, *arguments, environ=stack.environ) as url:
        issuer = Issuer(Path(stack.environ["HERALD_DIR"]) / "keys", f"{url}/", AUDIENCE)
        yield replace(stack, url=url, log=directory / "gateway.log", issuer=issuer)


@contextmanager
def _program(name: str, directory: Path, *arguments: str, environ: dict[str, str] | None = None) -> Iterator[str]:
    argv = [sys.executable, "-m", f"local.{name}", "--port", "0", "--die-with-parent", *arguments]
    with (directory / f"{name}.log").open("w") as log, running(argv, environ, stdout=subprocess.PIPE, stderr=log) as it:
        assert it.stdout is not None
        line = it.stdout.readline().split()
        assert line[:1] == ["ready"], (directory / f"{name}.log").read_text()
        yield line[1]


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
