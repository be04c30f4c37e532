"""The stage's settings."""

import pytest

from stages.translate.settings import TranslateSettings
from streams.errors import ConfigurationError
from streams.settings import load


def test_defaults_are_the_rows() -> None:
    settings = load(TranslateSettings, {})
    assert settings.emotion_cache_ttl_seconds == 60
    assert settings.enable_emotion_detection == "true"
    assert settings.listeners_ttl_ms <= 500


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENABLE_EMOTION_DETECTION", "maybe"),
        ("EMOTION_CACHE_TTL_SECONDS", "0"),
        ("LISTENERS_TTL_MS", "501"),
        ("TRANSLATE_TERMINOLOGY", "no spaces"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(TranslateSettings, {name: value})
