"""The voices on offer, under the ids that Amazon Polly has for the language.

eSpeak has one voice per language, and variants that change its timbre (`+f2`, `+m3`). Engines are those
that Polly has for the id. Languages that eSpeak does not speak (Galician) or cannot read without a
dictionary of their own (Japanese kanji) have no voice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

STANDARD: Final = "standard"
NEURAL: Final = "neural"
_S: Final = (STANDARD,)
_N: Final = (NEURAL,)
_SN: Final = (STANDARD, NEURAL)


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice: what DescribeVoices says about it, and `espeak`, the voice that speaks for it."""

    id: str
    language_code: str
    gender: str
    engines: tuple[str, ...]
    espeak: str
    news: bool = False

    @property
    def name(self) -> str:
        """As people write it."""
        return _NAMES.get(self.id, self.id)

    @property
    def language_name(self) -> str:
        """In English, as Polly has it."""
        return LANGUAGES[self.language_code][0]


LANGUAGES: Final[dict[str, tuple[str, str]]] = {
    "arb": ("Arabic", "ar"),
    "ca-ES": ("Catalan", "ca"),
    "cmn-CN": ("Chinese Mandarin", "cmn"),
    "da-DK": ("Danish", "da"),
    "de-DE": ("German", "de"),
    "en-GB": ("British English", "en"),
    "en-US": ("US English", "en-us"),
    "es-ES": ("Castilian Spanish", "es"),
    "es-MX": ("Mexican Spanish", "es-419"),
    "es-US": ("US Spanish", "es-419"),
    "fr-CA": ("Canadian French", "fr"),
    "fr-FR": ("French", "fr"),
    "it-IT": ("Italian", "it"),
    "ko-KR": ("Korean", "ko"),
    "nl-NL": ("Dutch", "nl"),
    "pl-PL": ("Polish", "pl"),
    "pt-BR": ("Brazilian Portuguese", "pt-br"),
    "pt-PT": ("Portuguese", "pt"),
    "ro-RO": ("Romanian", "ro"),
    "ru-RU": ("Russian", "ru"),
    "sv-SE": ("Swedish", "sv"),
    "tr-TR": ("Turkish", "tr"),
}
"""Polly's language code to its name and to the eSpeak voice of the language."""

_NAMES: Final = {
    "Celine": "Céline",
    "Ines": "Inês",
    "Lea": "Léa",
    "Lucia": "Lucía",
    "Penelope": "Penélope",
    "Remi": "Rémi",
    "Vitoria": "Vitória",
}


def _voice(
    id_: str, language: str, gender: str, engines: tuple[str, ...], variant: str, *, news: bool = False
) -> Voice:
    return Voice(id_, language, gender, engines, f"{LANGUAGES[language][1]}+{variant}", news)


VOICES: Final[tuple[Voice, ...]] = (
    _voice("Zeina", "arb", "Female", _S, "f2"),
    _voice("Arlet", "ca-ES", "Female", _N, "f2"),
    _voice("Zhiyu", "cmn-CN", "Female", _SN, "f2"),
    _voice("Naja", "da-DK", "Female", _S, "f2"),
    _voice("Mads", "da-DK", "Male", _S, "m3"),
    _voice("Sofie", "da-DK", "Female", _N, "f3"),
    _voice("Vicki", "de-DE", "Female", _SN, "f2"),
    _voice("Marlene", "de-DE", "Female", _S, "f3"),
    _voice("Hans", "de-DE", "Male", _S, "m3"),
    _voice("Daniel", "de-DE", "Male", _N, "m7"),
    _voice("Amy", "en-GB", "Female", _SN, "f2", news=True),
    _voice("Emma", "en-GB", "Female", _SN, "f3"),
    _voice("Brian", "en-GB", "Male", _SN, "m3"),
    _voice("Arthur", "en-GB", "Male", _N, "m7"),
    _voice("Joanna", "en-US", "Female", _SN, "f2", news=True),
    _voice("Salli", "en-US", "Female", _SN, "f3"),
    _voice("Kendra", "en-US", "Female", _SN, "f1"),
    _voice("Matthew", "en-US", "Male", _SN, "m3", news=True),
    _voice("Joey", "en-US", "Male", _SN, "m7"),
    _voice("Lucia", "es-ES", "Female", _SN, "f2"),
    _voice("Conchita", "es-ES", "Female", _S, "f3"),
    _voice("Enrique", "es-ES", "Male", _S, "m3"),
    _voice("Sergio", "es-ES", "Male", _N, "m7"),
    _voice("Mia", "es-MX", "Female", _SN, "f2"),
    _voice("Andres", "es-MX", "Male", _N, "m3"),
    _voice("Lupe", "es-US", "Female", _SN, "f2", news=True),
    _voice("Penelope", "es-US", "Female", _S, "f3"),
    _voice("Miguel", "es-US", "Male", _S, "m3"),
    _voice("Pedro", "es-US", "Male", _N, "m7"),
    _voice("Chantal", "fr-CA", "Female", _S, "f2"),
    _voice("Gabrielle", "fr-CA", "Female", _N, "f3"),
    _voice("Liam", "fr-CA", "Male", _N, "m3"),
    _voice("Lea", "fr-FR", "Female", _SN, "f2"),
    _voice("Celine", "fr-FR", "Female", _S, "f3"),
    _voice("Mathieu", "fr-FR", "Male", _S, "m3"),
    _voice("Remi", "fr-FR", "Male", _N, "m7"),
    _voice("Bianca", "it-IT", "Female", _SN, "f2"),
    _voice("Carla", "it-IT", "Female", _S, "f3"),
    _voice("Giorgio", "it-IT", "Male", _S, "m3"),
    _voice("Adriano", "it-IT", "Male", _N, "m7"),
    _voice("Seoyeon", "ko-KR", "Female", _SN, "f2"),
    _voice("Lotte", "nl-NL", "Female", _S, "f2"),
    _voice("Ruben", "nl-NL", "Male", _S, "m3"),
    _voice("Laura", "nl-NL", "Female", _N, "f3"),
    _voice("Ewa", "pl-PL", "Female", _S, "f2"),
    _voice("Jacek", "pl-PL", "Male", _S, "m3"),
    _voice("Ola", "pl-PL", "Female", _N, "f3"),
    _voice("Camila", "pt-BR", "Female", _SN, "f2"),
    _voice("Vitoria", "pt-BR", "Female", _SN, "f3"),
    _voice("Ricardo", "pt-BR", "Male", _S, "m3"),
    _voice("Thiago", "pt-BR", "Male", _N, "m7"),
    _voice("Ines", "pt-PT", "Female", _SN, "f2"),
    _voice("Cristiano", "pt-PT", "Male", _S, "m3"),
    _voice("Carmen", "ro-RO", "Female", _S, "f2"),
    _voice("Tatyana", "ru-RU", "Female", _S, "f2"),
    _voice("Maxim", "ru-RU", "Male", _S, "m3"),
    _voice("Astrid", "sv-SE", "Female", _S, "f2"),
    _voice("Elin", "sv-SE", "Female", _N, "f3"),
    _voice("Filiz", "tr-TR", "Female", _S, "f2"),
    _voice("Burcu", "tr-TR", "Female", _N, "f3"),
)

BY_ID: Final[dict[str, Voice]] = {voice.id: voice for voice in VOICES}


def select(language_code: str | None = None, engine: str | None = None) -> Iterable[Voice]:
    """The voices of a language and with an engine, each where given, in order of language."""
    return [
        voice
        for voice in VOICES
        if language_code in (None, voice.language_code) and (engine is None or engine in voice.engines)
    ]


def espeak_for(voice: Voice, language_code: str | None) -> str:
    """The eSpeak voice for a passage in another language: its sounds, with this voice's timbre."""
    if language_code is None:
        return voice.espeak
    return LANGUAGES[language_code][1] + "+" + voice.espeak.partition("+")[2]
