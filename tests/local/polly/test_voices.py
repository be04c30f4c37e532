from __future__ import annotations

from local.polly.espeak import Espeak
from local.polly.voices import BY_ID, LANGUAGES, VOICES, espeak_for, select


def test_ids_are_unique_and_languages_known() -> None:
    assert len(BY_ID) == len(VOICES)
    assert {voice.language_code for voice in VOICES} == set(LANGUAGES)


def test_several_voices_where_listeners_are_expected() -> None:
    for code in ("en-US", "es-ES", "fr-FR", "it-IT", "pt-BR", "de-DE"):
        voices = list(select(code))
        assert len(voices) >= 4
        assert {voice.gender for voice in voices} == {"Female", "Male"}
        assert len({voice.espeak for voice in voices}) >= 3


def test_espeak_has_every_voice() -> None:
    espeak = Espeak()
    for name in {voice.espeak for voice in VOICES}:
        assert len(espeak.speak("12", name, 175, 50).pcm) > 5_000, name


def test_selection() -> None:
    assert [voice.id for voice in select("ca-ES")] == ["Arlet"]
    assert list(select("ca-ES", "standard")) == []
    assert list(select("gl-ES")) == []
    assert len(list(select())) == len(VOICES)


def test_another_language_keeps_the_timbre() -> None:
    assert espeak_for(BY_ID["Joanna"], "es-ES") == "es+f2"
    assert espeak_for(BY_ID["Joanna"], None) == "en-us+f2"


def test_names() -> None:
    assert BY_ID["Lucia"].name == "Lucía"
    assert BY_ID["Joanna"].language_name == "US English"
