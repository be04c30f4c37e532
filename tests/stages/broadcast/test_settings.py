"""The stage's settings."""

import pytest

from stages.broadcast.settings import BroadcastSettings
from streams.errors import ConfigurationError
from streams.settings import load


def test_defaults_are_the_rows() -> None:
    settings = load(BroadcastSettings, {})
    assert (settings.posts_in_flight, settings.backlog_ms) == (100, 10_000)
    assert settings.listeners_ttl_ms <= 500


@pytest.mark.parametrize("name", ["LISTENERS_TTL_MS", "POSTS_IN_FLIGHT", "POST_TIME_LIMIT_MS", "BACKLOG_MS"])
def test_a_wrong_value_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(BroadcastSettings, {name: "-1"})
