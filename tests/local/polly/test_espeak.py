from __future__ import annotations

import numpy as np
import pytest

from local.polly.espeak import MAX_WPM, MIN_WPM, NORMAL_WPM, Espeak, EspeakError


@pytest.fixture(scope="module")
def espeak() -> Espeak:
    return Espeak()


def test_speaks_and_says_where_words_are(espeak: Espeak) -> None:
    text = "Mary had a little lamb."
    speech = espeak.speak(text, "en-us", NORMAL_WPM, 50)
    assert espeak.rate_hz == 22_050
    assert 1.0 < len(speech.pcm) / espeak.rate_hz < 3.0
    assert [text[start : start + length] for start, length, _ in speech.words] == ["Mary", "had", "a", "little", "lamb"]
    places = [at for _, _, at in speech.words]
    assert places == sorted(places)
    assert places[-1] < len(speech.pcm)


def test_never_clips(espeak: Espeak) -> None:
    for voice in ("en-us+m3", "es+f2", "fr+f3", "de+m7"):
        speech = espeak.speak("Aaaah! Oh no! Hallo, papa, mama!", voice, NORMAL_WPM, 50)
        assert np.abs(speech.pcm.astype(int)).max() < 25_000


def test_speed(espeak: Espeak) -> None:
    lengths = [len(espeak.speak("one two three four five", "en-us", wpm, 50).pcm) for wpm in (MIN_WPM, 175, MAX_WPM)]
    assert lengths[0] > 1.8 * lengths[1] > 3 * lengths[2]


def test_markup_is_only_text(espeak: Espeak) -> None:
    assert len(espeak.speak("a < b & [[c]] \0 d", "en-us", NORMAL_WPM, 50).pcm)


def test_nothing_to_say(espeak: Espeak) -> None:
    for text in ("", " ", "\0", "\ud800"):
        assert espeak.speak(text, "es", NORMAL_WPM, 50).words == ()


def test_unknown_voice(espeak: Espeak) -> None:
    with pytest.raises(EspeakError, match="no voice tlh"):
        espeak.speak("nuqneH", "tlh", NORMAL_WPM, 50)


def test_a_data_path_that_it_would_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("espeakng_loader.get_data_path", lambda: "/" + "long/" * 40)
    with pytest.raises(EspeakError, match="150 bytes"):
        Espeak()
