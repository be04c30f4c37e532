"""The contract between the service and what recognises: a recogniser per stream, engines that make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from local.transcribe.request import StreamRequest
from local.transcribe.results import Result

MAX_RESULT_MS = 30_000
"""The longest span of a result; the service cuts speech without a pause at about that."""
MIN_PAUSE_MS = 500
"""A silence this long ends an utterance."""
PARTIAL_EVERY_MS = 300
"""How much audio passes between partial results while someone speaks."""


class EngineFull(Exception):
    """Every place of the engine's pool is taken. The message says the bound."""


class EngineFailed(Exception):
    """The recogniser of a stream is gone; nothing more will come of it."""


class Recogniser(Protocol):
    """One stream's hearing. Calls come one after another: a call is awaited before the next."""

    async def feed(self, pcm: bytes) -> Sequence[Result]:
        """Hear more audio, PCM16LE mono at 16 kHz, whole samples. Results in order. Raises `EngineFailed`."""
        ...

    async def finish(self) -> Sequence[Result]:
        """The audio is over: what is still open becomes final. Raises `EngineFailed`."""
        ...

    def close(self) -> None:
        """Give the place back; always called once, also after a failure."""
        ...


class Engine(Protocol):
    """Makes recognisers, as many at a time as its bound allows."""

    @property
    def language_codes(self) -> frozenset[str]:
        """The languages that it can be asked for."""
        ...

    async def open(self, request: StreamRequest) -> Recogniser:
        """A recogniser for one stream. Raises `EngineFull` or `EngineFailed`."""
        ...

    async def close(self) -> None:
        """End it and all its processes."""
        ...
