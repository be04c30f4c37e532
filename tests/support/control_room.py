"""What the gateway's control routes work with, in a test: real tables, everything else in plain sight."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.connecting import Equipment, Welcome
from gateway.events import Incoming
from gateway.limits import Limiter
from gateway.notices import Notice
from gateway.offers import Offers
from gateway.presence import Presence
from gateway.settings import Settings
from gateway.tables import Tables
from gateway.tokens import KeySet, Verifier
from local.issuer import Issuer
from streams.errors import Unavailable
from streams.languages import SOURCE_LANGUAGES
from streams.records import SessionEvent
from streams.telemetry import Log

ISSUER, AUDIENCE = "https://issuer.test/", "herald"
_arrivals_ms = itertools.count(1_700_000_000_000, 1_000)
UNLIKELY = {"max_joins_per_minute": 10_000, "max_connects_per_minute": 10_000}
"""All clients of a test have one address."""


@dataclass
class ControlRoom:
    """published: what went into the audio stream; welcomed, notified, reported: what `welcome`, `notify` and `status`
    were asked; draws: the randomness. grace_s: without one, a session ends with its speaker's connection."""

    tables: Tables
    issuer: Issuer
    max_listeners: int = 500
    grace_s: int = 0
    rates: dict[str, int] = field(default_factory=lambda: dict(UNLIKELY))
    sources: str = ",".join(SOURCE_LANGUAGES)
    now_ms: int = 1_700_000_000_000
    published: list[SessionEvent] = field(default_factory=list)
    welcomed: list[Welcome] = field(default_factory=list)
    notified: list[Notice] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)
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
            herald_prefix=self.tables._sessions.removesuffix("-Sessions"),
            speaker_grace_s=self.grace_s,
            **self.rates,
        )
        return Equipment(
            settings=settings,
            tables=self.tables,
            presence=Presence(self.tables._client, settings.herald_prefix),
            limits=Limiter(self.tables._client, settings),
            verifier=Verifier(KeySet(self._keys, lambda: 0.0), ISSUER, AUDIENCE, "role"),
            offers=Offers(self._offers, lambda: 0.0),
            publish=self._publish,
            welcome=self._welcome,
            notify=self._notify,
            report=self._report,
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

    async def _notify(self, notice: Notice) -> None:
        self.notified.append(notice)

    async def _report(self, session_id: str) -> None:
        self.reported.append(session_id)

    async def _welcome(self, task: Welcome) -> None:
        self.welcomed.append(task)

    async def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)


def control_room(tables: Tables, directory: Path) -> ControlRoom:
    return ControlRoom(tables, Issuer(directory, ISSUER, AUDIENCE))


def incoming(
    route: str,
    connection_id: str = "c1",
    body: object = None,
    *,
    arrived_ms: int | None = None,
    address: str = "192.0.2.1",
    **query: str,
) -> Incoming:
    """A message, or a client that comes or goes; a second after the one before, if nothing is said."""
    arrived_ms = next(_arrivals_ms) if arrived_ms is None else arrived_ms
    text = body if isinstance(body, str) else json.dumps(body if body is not None else {"action": route})
    return Incoming(route, connection_id, arrived_ms, query, text, "r", address)
