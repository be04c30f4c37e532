"""Amazon Translate, by its twin."""

from typing import Any

import pytest

from stages.translate.requests import Translate
from stages.translate.translator import Translator
from streams.errors import Refused, Throttled
from streams.languages import Offer
from tests.local.running import Running

OFFERS = {"es": Offer("es", "Spanish", "es", "Lucia", "es-ES", "neural")}


def ignore(value: object) -> None:
    raise AssertionError(value)


def calls(twin: Running) -> int:
    return int(twin.control("GET", "calls").get("TranslateText", {"calls": 0})["calls"])


async def test_a_text_is_translated_once(translate: Any, translate_twin: Running) -> None:
    translator = Translator(translate, OFFERS)
    before = calls(translate_twin)
    first = await translator.perform("s", Translate("the white house", "en", "es"), ignore)
    again = await translator.perform("s", Translate(" The white house ", "en", "es"), ignore)
    assert "casa" in first.text.lower()
    assert (again.text, again.cached) == (first.text, True)
    assert calls(translate_twin) == before + 1


async def test_a_long_text_is_cut_at_sentences_and_nothing_is_lost(translate: Any, translate_twin: Running) -> None:
    translator = Translator(translate, OFFERS)
    before = calls(translate_twin)
    text = " ".join(f"The house number {i} is white." for i in range(200))
    assert len(text) > 5_000
    answer = await translator.perform("s", Translate(text, "en", "es"), ignore)
    assert all(str(i) in answer.text for i in range(200))
    assert calls(translate_twin) - before == 2


async def test_refusals_are_permanent_and_throttling_is_not(translate: Any, translate_twin: Running) -> None:
    translator = Translator(translate, OFFERS)
    with pytest.raises(Refused) as refused:
        await translator.perform("s", Translate("hello", "en", "xx"), ignore)
    assert not refused.value.retryable
    with (
        translate_twin.faults({"kind": "throttle", "operation": "TranslateText"}),
        pytest.raises(Throttled) as throttled,
    ):
        await translator.perform("s", Translate("never heard of", "en", "es"), ignore)
    assert "never heard" not in str(throttled.value)
