"""Which languages there are (row W23): those that a speaker may use, and those that the services offer to listeners.

Sources are fixed, because the recogniser's streams name one each. Targets are asked of the translator and of the
voices, and are those that both have, keyed by ISO 639-1.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from streams.aws import as_error
from streams.errors import Refused

SOURCE_LANGUAGES: Final = (
    "en-US",
    "es-ES",
    "fr-FR",
    "de-DE",
    "it-IT",
    "pt-BR",
    "ja-JP",
    "ko-KR",
    "zh-CN",
    "ar-SA",
)
"""Row W23. The first of a language is what its bare code means."""

UNSUPPORTED: Final = "UNSUPPORTED_LANGUAGE"
NEURAL: Final = "neural"
STANDARD: Final = "standard"

_POLLY_NAMES: Final = {"arb": "ar", "cmn": "zh", "nb": "no"}
"""Where Polly's primary code is not the one that Translate and listeners use."""
_HOME: Final = {base.partition("-")[0]: base for base in SOURCE_LANGUAGES} | {"zh": "cmn-CN", "ar": "arb"}
_ISO_639_1_LETTERS: Final = 2


def normalise_source(language: str) -> str:
    """A source language as the recogniser names it: "en" and "EN-us" are "en-US". Raises Refused for any other."""
    wanted = language.strip().lower()
    for source in SOURCE_LANGUAGES:
        if wanted in {source.lower(), base_language(source)}:
            return source
    raise Refused(f"the source language is none of {', '.join(SOURCE_LANGUAGES)}", code=UNSUPPORTED)


def base_language(language: str) -> str:
    """The ISO 639-1 code of a language that may carry a region: "en-US" is "en"."""
    return language.partition("-")[0].lower()


class Offer(msgspec.Struct, frozen=True):
    """A language that listeners may have.

    language: ISO 639-1. name: in English. translate_code: what Translate calls it. voice_id, voice_language_code,
    engine ("neural" or "standard"): how Polly speaks it.
    """

    language: str
    name: str
    translate_code: str
    voice_id: str
    voice_language_code: str
    engine: str


class _Voice(NamedTuple):
    engine_rank: int
    """0 for neural: it sorts first."""
    region_rank: int
    """0 for the language's home, 1 elsewhere."""
    language_code: str
    voice_id: str


async def ask_offers(translate_client: Any, polly_client: Any) -> dict[str, Offer]:
    """The targets that both services offer, by ISO 639-1 code.

    A neural voice is preferred, then one from the language's home (`SOURCE_LANGUAGES`, else `xx-XX`), then the first by
    name: the same answers give the same offers. Raises HeraldError.
    """
    try:
        languages = await _all_pages(translate_client.list_languages, "Languages")
        voices = await _all_pages(polly_client.describe_voices, "Voices", IncludeAdditionalLanguageCodes=True)
    except Exception as error:
        raise as_error(error, "asking which languages are on offer") from error
    return join_offers(languages, voices)


def join_offers(languages: Iterable[Mapping[str, Any]], voices: Iterable[Mapping[str, Any]]) -> dict[str, Offer]:
    """`ask_offers` on answers: Translate's `Languages` and Polly's `Voices`."""
    translated: dict[str, tuple[str, str]] = {}
    for language in sorted(languages, key=lambda item: str(item["LanguageCode"])):
        code = str(language["LanguageCode"])
        if len(base_language(code)) == _ISO_639_1_LETTERS:
            translated.setdefault(base_language(code), (code, str(language["LanguageName"])))
    best: dict[str, _Voice] = {}
    for description in voices:
        for base, voice in _voices_of(description):
            best[base] = min(best.get(base, voice), voice)
    return {
        base: Offer(base, name, code, best[base].voice_id, best[base].language_code, _engine(best[base]))
        for base, (code, name) in sorted(translated.items())
        if base in best
    }


def _voices_of(description: Mapping[str, Any]) -> Iterable[tuple[str, _Voice]]:
    engines = description["SupportedEngines"]
    if NEURAL not in engines and STANDARD not in engines:
        return  # long-form and generative voices take no prosody
    engine_rank = 0 if NEURAL in engines else 1
    for code in (description["LanguageCode"], *description.get("AdditionalLanguageCodes", ())):
        primary = base_language(code)
        base = _POLLY_NAMES.get(primary, primary)
        home = _HOME.get(base, f"{base}-{base.upper()}")
        yield base, _Voice(engine_rank, int(code != home), str(code), str(description["Id"]))


def _engine(voice: _Voice) -> str:
    return NEURAL if voice.engine_rank == 0 else STANDARD


async def _all_pages(operation: Any, key: str, **parameters: Any) -> list[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        page = await operation(**parameters, **token)
        items += page[key]
        if not page.get("NextToken"):
            return items
        token = {"NextToken": page["NextToken"]}
