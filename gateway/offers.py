"""Which target languages are on offer: asked of the services that translate and speak (row W23), and kept a while."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from streams.errors import HeraldError

OFFERS_KEPT_S: Final = 3600.0
"""Services gain a language or voice a few times a year."""
ASKED_AGAIN_AFTER_S: Final = 30.0
"""While the services can't be asked, what is known goes on being offered, and they are asked so often."""

Ask = Callable[[], Awaitable[Mapping[str, Any]]]


class Offers:
    """The languages on offer, by ISO 639-1 code."""

    def __init__(self, ask: Ask, monotonic_s: Callable[[], float]) -> None:
        self._ask = ask
        self._monotonic_s = monotonic_s
        self._languages: frozenset[str] = frozenset()
        self._due_s = float("-inf")
        self._lock = asyncio.Lock()

    async def languages(self) -> frozenset[str]:
        """What is on offer. Raises HeraldError when the services can't be asked and nothing is known."""
        async with self._lock:
            if self._monotonic_s() >= self._due_s:
                await self._refresh()
            return self._languages

    async def _refresh(self) -> None:
        try:
            self._languages = frozenset(await self._ask())
        except HeraldError:
            if not self._languages:
                raise
            self._due_s = self._monotonic_s() + ASKED_AGAIN_AFTER_S
        else:
            self._due_s = self._monotonic_s() + OFFERS_KEPT_S
