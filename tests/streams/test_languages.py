"""Source languages, and the languages on offer: what both services have (row W23)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.aws import Clients
from streams.errors import Refused, Unavailable
from streams.languages import SOURCE_LANGUAGES, Offer, ask_offers, base_language, join_offers, normalise_source
from tests.local.running import running
from tests.support.services import CREDENTIALS, free_port


@pytest.mark.parametrize(
    ("given_code", "source"),
    [("en", "en-US"), ("en-US", "en-US"), ("EN-us", "en-US"), (" pt ", "pt-BR"), ("zh", "zh-CN"), ("ar-SA", "ar-SA")],
)
def test_source_is_normalised(given_code: str, source: str) -> None:
    assert normalise_source(given_code) == source


@pytest.mark.parametrize("code", ["", "en-GB", "xx", "e", "english", "en-"])
def test_other_sources_are_refused(code: str) -> None:
    with pytest.raises(Refused) as refused:
        normalise_source(code)
    assert refused.value.code == "UNSUPPORTED_LANGUAGE"


def test_base_language() -> None:
    assert " ".join(base_language(source) for source in SOURCE_LANGUAGES) == "en es fr de it pt ja ko zh ar"


LANGUAGES = [
    {"LanguageCode": code, "LanguageName": name}
    for code, name in [
        ("pt-PT", "Portuguese (Portugal)"),
        ("pt", "Portuguese"),
        ("es", "Spanish"),
        ("zh-TW", "Chinese (Traditional)"),
        ("zh", "Chinese"),
        ("gl", "Galician"),
        ("hi", "Hindi"),
        ("auto", "Auto"),
        ("ar", "Arabic"),
        ("no", "Norwegian"),
    ]
]
VOICES: list[dict[str, Any]] = [
    {"Id": "Miguel", "LanguageCode": "es-US", "SupportedEngines": ["standard"]},
    {"Id": "Lupe", "LanguageCode": "es-US", "SupportedEngines": ["neural", "standard"]},
    {"Id": "Sergio", "LanguageCode": "es-ES", "SupportedEngines": ["neural"]},
    {"Id": "Lucia", "LanguageCode": "es-ES", "SupportedEngines": ["neural", "standard"]},
    {"Id": "Camila", "LanguageCode": "pt-BR", "SupportedEngines": ["neural"]},
    {"Id": "Ines", "LanguageCode": "pt-PT", "SupportedEngines": ["neural"]},
    {"Id": "Zhiyu", "LanguageCode": "cmn-CN", "SupportedEngines": ["neural"]},
    {"Id": "Kajal", "LanguageCode": "en-IN", "AdditionalLanguageCodes": ["hi-IN"], "SupportedEngines": ["neural"]},
    {"Id": "Zeina", "LanguageCode": "arb", "SupportedEngines": ["standard"]},
    {"Id": "Ida", "LanguageCode": "nb-NO", "SupportedEngines": ["neural"]},
    {"Id": "Danielle", "LanguageCode": "gl-ES", "SupportedEngines": ["long-form"]},
]
OFFERS = {
    "ar": Offer("ar", "Arabic", "ar", "Zeina", "arb", "standard"),
    "es": Offer("es", "Spanish", "es", "Lucia", "es-ES", "neural"),
    "hi": Offer("hi", "Hindi", "hi", "Kajal", "hi-IN", "neural"),
    "no": Offer("no", "Norwegian", "no", "Ida", "nb-NO", "neural"),
    "pt": Offer("pt", "Portuguese", "pt", "Camila", "pt-BR", "neural"),
    "zh": Offer("zh", "Chinese", "zh", "Zhiyu", "cmn-CN", "neural"),
}


def test_offers_are_what_both_have() -> None:
    assert join_offers(LANGUAGES, VOICES) == OFFERS


@given(st.permutations(LANGUAGES), st.permutations(VOICES))
def test_offers_do_not_depend_on_the_order_of_answers(
    languages: list[dict[str, str]], voices: list[dict[str, Any]]
) -> None:
    assert join_offers(languages, voices) == OFFERS


@pytest.fixture(scope="module")
def twins() -> Iterator[tuple[str, str]]:
    with running("translate") as translate, running("polly") as polly:
        yield translate.url, polly.url


@pytest.fixture
async def clients(monkeypatch: pytest.MonkeyPatch, twins: tuple[str, str]) -> AsyncIterator[Clients]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL_TRANSLATE", twins[0])
    monkeypatch.setenv("AWS_ENDPOINT_URL_POLLY", twins[1])
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(Clients())


async def test_offers_of_running_services(clients: Clients) -> None:
    offers = await ask_offers(await clients.get("translate"), await clients.get("polly"))
    assert {"en", "es", "ca", "fr"} <= set(offers)
    assert "gl" not in offers  # Galician is translated, but nobody speaks it
    assert offers["es"].voice_language_code == "es-ES"
    assert offers["en"].engine == "neural"


async def test_services_that_are_not_there(monkeypatch: pytest.MonkeyPatch, clients: Clients) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_TRANSLATE", f"http://127.0.0.1:{free_port()}")
    async with Clients() as unreachable:
        with pytest.raises(Unavailable):
            await ask_offers(await unreachable.get("translate"), await clients.get("polly"))
