from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from gateway.offers import ASKED_AGAIN_AFTER_S, OFFERS_KEPT_S, Offers
from streams.errors import Unavailable


class Services:
    def __init__(self, *answers: tuple[str, ...] | None) -> None:
        self._answers = list(answers)
        self.now_s = 0.0

    async def ask(self) -> Mapping[str, object]:
        await asyncio.sleep(0)
        answer = self._answers.pop(0)
        if answer is None:
            raise Unavailable("away")
        return dict.fromkeys(answer)

    def offers(self) -> Offers:
        return Offers(self.ask, lambda: self.now_s)


async def test_they_are_asked_once_for_all_that_wait() -> None:
    offers = Services(("es", "fr")).offers()
    assert await asyncio.gather(offers.languages(), offers.languages()) == [{"es", "fr"}] * 2


async def test_and_again_after_the_bound() -> None:
    services = Services(("es",), ("es", "ca"))
    offers = services.offers()
    assert await offers.languages() == {"es"}
    services.now_s = OFFERS_KEPT_S - 1
    assert await offers.languages() == {"es"}
    services.now_s = OFFERS_KEPT_S
    assert await offers.languages() == {"es", "ca"}


async def test_while_they_are_away_what_is_known_is_offered() -> None:
    services = Services(("es",), None, ("fr",))
    offers = services.offers()
    await offers.languages()
    services.now_s = OFFERS_KEPT_S
    assert await offers.languages() == {"es"}
    services.now_s += ASKED_AGAIN_AFTER_S
    assert await offers.languages() == {"fr"}


async def test_nothing_known_is_an_error_and_asked_again() -> None:
    offers = Services(None, ("es",)).offers()
    with pytest.raises(Unavailable):
        await offers.languages()
    assert await offers.languages() == {"es"}
