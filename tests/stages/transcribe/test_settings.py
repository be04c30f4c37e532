import pytest

from stages.transcribe.settings import TranscribeSettings
from streams.errors import ConfigurationError
from streams.settings import load


def test_the_defaults_are_those_of_row_t2() -> None:
    assert load(TranscribeSettings, {}) == TranscribeSettings()
    assert TranscribeSettings().stability_threshold == 0.85


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("STABILITY_THRESHOLD", "0.69"),
        ("STABILITY_THRESHOLD", "0.96"),
        ("CLAUSE_PAUSE_MS", "99"),
        ("CLAUSE_SPAN_MS", "10001"),
        ("CLAUSE_MIN_WORDS", "0"),
        ("RECOGNISER_IDLE_S", "soon"),
        ("RECOGNISER_ROLLOVER_S", "14400"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load(TranscribeSettings, {variable: text})
