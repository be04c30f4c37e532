import pytest

from stages.emotion.settings import EmotionSettings
from streams.errors import ConfigurationError
from streams.settings import load


def test_everything_has_a_default() -> None:
    assert load(EmotionSettings, {}) == EmotionSettings("true", "incremental", 20.0)


def test_settings_are_read_by_name() -> None:
    environ = {"ENABLE_EMOTION_DETECTION": "false", "EMOTION_ENGINE": "librosa", "AUDIO_MIN_SNR_DB": "12.5"}
    assert load(EmotionSettings, environ) == EmotionSettings("false", "librosa", 12.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENABLE_EMOTION_DETECTION", "no"),
        ("EMOTION_ENGINE", "opensmile"),
        ("AUDIO_MIN_SNR_DB", "9.9"),
        ("AUDIO_MIN_SNR_DB", "41"),
    ],
)
def test_a_wrong_one_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(EmotionSettings, {name: value})
