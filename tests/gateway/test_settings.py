from __future__ import annotations

import pytest

from gateway.settings import Settings
from streams.errors import ConfigurationError
from streams.languages import SOURCE_LANGUAGES
from streams.settings import load

ENOUGH = {"TOKEN_ISSUER": "https://i/", "TOKEN_AUDIENCE": "herald", "TOKEN_JWKS_URL": "https://i/jwks.json"}


def test_defaults_are_those_of_the_requirements() -> None:
    settings = load(Settings, ENOUGH)
    assert settings.max_listeners_per_session == 500
    assert settings.max_audio_chunks_per_second == 50
    assert (settings.max_control_messages_per_second, settings.max_status_queries_per_second) == (10, 2)
    assert (settings.max_joins_per_minute, settings.max_connects_per_minute) == (10, 20)
    assert settings.max_sessions_per_hour == 50
    assert settings.sources() == SOURCE_LANGUAGES
    assert settings.physical("Sessions") == "herald-Sessions"


def test_sources_of_a_recogniser_that_hears_fewer() -> None:
    assert load(Settings, ENOUGH | {"SOURCE_LANGUAGES": "en-US"}).sources() == ("en-US",)
    assert load(Settings, ENOUGH | {"SOURCE_LANGUAGES": "es-ES,en-US"}).sources() == ("es-ES", "en-US")


def test_clients_are_told_the_limits() -> None:
    limits = load(Settings, ENOUGH | {"MAX_LISTENERS_PER_SESSION": "7"}).limits()
    assert (limits.max_listeners, limits.max_audio_bytes, limits.max_frame_bytes) == (7, 32768, 32768)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TOKEN_ISSUER", ""),
        ("TOKEN_JWKS_URL", "jwks.json"),
        ("MAX_LISTENERS_PER_SESSION", "0"),
        ("SOURCE_LANGUAGES", "en-US,tlh"),
    ],
)
def test_a_wrong_one_is_named(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load(Settings, ENOUGH | {variable: value})
