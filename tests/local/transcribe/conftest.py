from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from amazon_transcribe.client import TranscribeStreamingClient

from local import certificates
from local.certificates import Certificates
from local.transcribe.engine import Engine
from local.transcribe.server import Options, serving
from local.transcribe.session import OPERATION, Limits
from local.transcribe.tone_engine import Habits, ToneEngine
from tests.local.transcribe.client import KEY_ID, SECRET, make_client


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.ensure(tmp_path_factory.mktemp("certificates"))


@dataclass
class Twin:
    """A twin in this process, and a client of it."""

    url: str
    authority: Path
    http: aiohttp.ClientSession

    def client(self, **credentials: str) -> TranscribeStreamingClient:
        return make_client(self.url, self.authority, **credentials)

    async def faults(self, *faults: dict[str, Any]) -> None:
        async with self.http.put("/_herald/faults", json=list(faults)) as response:
            assert response.status == 200

    async def counts(self) -> dict[str, int]:
        async with self.http.get("/_herald/calls") as response:
            found: dict[str, dict[str, int]] = await response.json()
            return found[OPERATION]

    async def until(self, condition: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Wait until the twin's counts meet a condition."""
        async with asyncio.timeout(10):
            while not condition(counts := await self.counts()):
                await asyncio.sleep(0.01)
        return counts


Start = Callable[..., Awaitable[Twin]]


@pytest.fixture
async def start_twin(made: Certificates) -> AsyncIterator[Start]:
    """Starts twins, with the tone engine unless another is given, and ends them with the test."""
    async with AsyncExitStack() as stack:

        async def start(engine: Engine | None = None, **limits: float) -> Twin:
            options = Options(made, {KEY_ID: SECRET}, limits=Limits(**limits))  # type: ignore[arg-type]  # by name
            where = await stack.enter_async_context(serving(engine or ToneEngine(Habits()), options))
            http = await stack.enter_async_context(aiohttp.ClientSession(where.control_url))
            return Twin(where.url, made.authority, http)

        yield start
