"""What the gateway's control routes work with, in a test: real tables, everything else in plain sight."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.connecting import Equipment, Welcome
from gateway.events import Incoming
from gateway.offers import Offers
from gateway.settings import Settings
from gateway.tables import Tables
from gateway.tokens import KeySet, Verifier
from local.issuer import Issuer
from streams.errors import Unavailable
from streams.languages import SOURCE_LANGUAGES
from streams.records import SessionEvent
from streams.telemetry import Log

ISSUER, AUDIENCE = "https://issuer.test/", "herald"


@dataclass
class ControlRoom:
    """published: what went into the audio stream; welcomed: what `welcome` was asked; draws: the randomness."""

    tables: Tables
    issuer: Issuer
    max_listeners: int = 500
    sources: str = ",".join(SOURCE_LANGUAGES)
    now_ms: int = 1_700_000_000_000
    published: list[SessionEvent] = field(default_factory=list)
    welcomed: list[Welcome] = field(default_factory=list)
    slept_s: list[float] = field(default_factory=list)
    draws: list[int] = field(default_factory=list)
    kinesis_is_away: bool = False
    languages: tuple[str, ...] = ("ca", "en", "es")

    def equipment(self) -> Equipment:
        settings = Settings(
            ISSUER,
            AUDIENCE,
            "https://issuer.test/keys",
            max_listeners_per_session=self.max_listeners,
            source_languages=self.sources,
        )
        return Equipment(
            settings=settings,
            tables=self.tables,
            verifier=Verifier(KeySet(self._keys, lambda: 0.0), ISSUER, AUDIENCE, "role"),
            offers=Offers(self._offers, lambda: 0.0),
            publish=self._publish,
            welcome=self._welcome,
            below=lambda n: self.draws.pop(0) if self.draws else 0,
            now_ms=lambda: self.now_ms,
            sleep=self._sleep,
            log=Log("test"),
        )

    def token(self, role: str = "speaker") -> str:
        return self.issuer.sign("somebody", role)

    async def _keys(self) -> dict[str, Any]:
        return self.issuer.jwks()

    async def _offers(self) -> dict[str, None]:
        return dict.fromkeys(self.languages)

    async def _publish(self, event: SessionEvent) -> None:
        if self.kinesis_is_away:
            raise Unavailable("writing")
        self.published.append(event)

    async def _welcome(self, task: Welcome) -> None:
        self.welcomed.append(task)

    async def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)


def control_room(tables: Tables, directory: Path) -> ControlRoom:
    return ControlRoom(tables, Issuer(directory, ISSUER, AUDIENCE))


def incoming(route: str, connection_id: str = "c1", body: object = None, **query: str) -> Incoming:
    """A message, or a client that comes or goes."""
    text = body if isinstance(body, str) else json.dumps(body if body is not None else {"action": route})
    return Incoming(route, connection_id, 0, query, text, "r")
