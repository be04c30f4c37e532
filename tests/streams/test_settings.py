"""Row X5: settings are checked at start, and the message names the variable and what it wants."""

from typing import Annotated, Literal

import msgspec
import pytest

from streams.errors import ConfigurationError
from streams.settings import load


class Example(msgspec.Struct, frozen=True):
    region: str
    stability_threshold: Annotated[float, msgspec.Meta(ge=0.7, le=0.95)] = 0.85
    engine: Literal["incremental", "librosa"] = "incremental"
    enabled: bool = True


def test_defaults_hold_where_nothing_or_nothing_but_emptiness_is_set() -> None:
    assert load(Example, {"REGION": "eu", "ENGINE": ""}) == Example(region="eu")


def test_values_are_converted() -> None:
    got = load(Example, {"REGION": "eu", "STABILITY_THRESHOLD": "0.9", "ENABLED": "false"})
    assert got == Example(region="eu", stability_threshold=0.9, enabled=False)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, ["REGION", "not set", "string"]),
        ({"REGION": "eu", "STABILITY_THRESHOLD": "0.99"}, ["STABILITY_THRESHOLD", "0.7", "0.95"]),
        ({"REGION": "eu", "STABILITY_THRESHOLD": "much"}, ["STABILITY_THRESHOLD", "number"]),
        ({"REGION": "eu", "ENGINE": "magic"}, ["ENGINE", "incremental", "librosa"]),
        ({"REGION": "eu", "ENABLED": "perhaps"}, ["ENABLED", "boolean"]),
    ],
)
def test_a_wrong_variable_is_named_with_what_it_wants(environ: dict[str, str], words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(Example, environ)
    for word in words:
        assert word in str(caught.value)


def test_the_value_itself_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(Example, {"REGION": "eu", "STABILITY_THRESHOLD": "hunter2"})
    assert "hunter2" not in str(caught.value)
