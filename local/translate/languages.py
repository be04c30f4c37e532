"""Languages by the codes that Amazon Translate uses, and Apertium's names for them.

Apertium names its data by ISO 639-3 in newer packages (`eng-spa`) and by ISO 639-1 in older ones
(`en-gl`); the service uses ISO 639-1, with a region for variants (`pt-PT`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ENGLISH_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "af": "Afrikaans",
        "be": "Belarusian",
        "bg": "Bulgarian",
        "ca": "Catalan",
        "cy": "Welsh",
        "da": "Danish",
        "en": "English",
        "eo": "Esperanto",
        "es": "Spanish",
        "eu": "Basque",
        "fr": "French",
        "gl": "Galician",
        "hi": "Hindi",
        "id": "Indonesian",
        "is": "Icelandic",
        "it": "Italian",
        "mk": "Macedonian",
        "ms": "Malay",
        "nl": "Dutch",
        "oc": "Occitan",
        "pl": "Polish",
        "pt": "Portuguese (Brazil)",
        "pt-PT": "Portuguese (Portugal)",
        "ro": "Romanian",
        "ru": "Russian",
        "sl": "Slovenian",
        "sv": "Swedish",
        "uk": "Ukrainian",
    }
)
"""Code to English name. A language that is not here is not offered, whatever Apertium has."""

_ISO_639_1: Final[Mapping[str, str]] = MappingProxyType(
    {
        "afr": "af",
        "bel": "be",
        "bul": "bg",
        "cat": "ca",
        "cym": "cy",
        "dan": "da",
        "eng": "en",
        "epo": "eo",
        "eus": "eu",
        "fra": "fr",
        "glg": "gl",
        "hin": "hi",
        "ind": "id",
        "isl": "is",
        "ita": "it",
        "mkd": "mk",
        "nld": "nl",
        "oci": "oc",
        "pol": "pl",
        "por": "pt",
        "ron": "ro",
        "rus": "ru",
        "slv": "sl",
        "spa": "es",
        "swe": "sv",
        "ukr": "uk",
        "zlm": "ms",
    }
)

_VARIANTS: Final[Mapping[tuple[str, str], str]] = MappingProxyType({("pt", "BR"): "pt", ("pt", ""): "pt-PT"})
"""(language, Apertium's variant) to the service's code, where a bare code means a variant: the
service's `pt` is Brazilian, Apertium's is European."""


def target_code(language: str, variant: str) -> str | None:
    """The service's code for what a mode translates into, or None when the service has none for it.

    `language` is ISO 639-1 or 639-3, `variant` what follows the underscore in the mode's name or "".
    Spelling reforms and dialects (`cat_valencia`, `eng_US`) have no code of their own.
    """
    code = _ISO_639_1.get(language, language)
    if (code, variant) in _VARIANTS:
        return _VARIANTS[code, variant]
    return code if not variant and code in ENGLISH_NAMES else None


def source_codes(language: str) -> tuple[str, ...]:
    """The service's codes whose texts a mode that reads `language` can take: all variants of it."""
    code = _ISO_639_1.get(language, language)
    variants = tuple(service for (name, _), service in _VARIANTS.items() if name == code)
    return variants or ((code,) if code in ENGLISH_NAMES else ())
