from __future__ import annotations

import pytest

from local.transcribe.errors import ServiceError
from local.transcribe.request import LANGUAGE_CODES, StreamRequest, answer_headers, parse

SESSION = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
GIVEN = {"language-code": "en-US", "sample-rate": "16000", "media-encoding": "pcm"}


def parsed(changed: dict[str, str | None], language_codes: frozenset[str] = LANGUAGE_CODES) -> StreamRequest:
    asked = {**GIVEN, **changed}
    headers = {f"x-amzn-transcribe-{name}": value for name, value in asked.items() if value is not None}
    return parse({**headers, "user-agent": "a test"}, language_codes, SESSION)


def test_the_least_that_is_needed() -> None:
    assert parsed({}) == StreamRequest(SESSION, "en-US", None)


@pytest.mark.parametrize(
    ("wanted", "stability"), [(None, "high"), ("high", "high"), ("medium", "medium"), ("low", "low")]
)
def test_stabilisation(wanted: str | None, stability: str) -> None:
    asked = {"enable-partial-results-stabilization": "True", "partial-results-stability": wanted}
    assert parsed(asked).stability == stability


def test_options_at_their_off_value_are_no_wish() -> None:
    assert parsed({"show-speaker-label": "False", "enable-channel-identification": "false"}).language_code == "en-US"


@pytest.mark.parametrize("code", ["es-ES", "fr-FR", "de-DE", "it-IT", "pt-BR", "ja-JP", "ko-KR", "zh-CN", "ar-SA"])
def test_source_languages_that_herald_offers(code: str) -> None:
    assert parsed({"language-code": code}).language_code == code


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"language-code": None}, "language code"),
        ({"language-code": "en"}, "'en' is not a supported language code"),
        ({"media-encoding": "flac"}, "pcm"),
        ({"media-encoding": None}, "pcm"),
        ({"sample-rate": "4000"}, "between 8000 and 48000"),
        ({"sample-rate": "8000"}, "16000 Hz only"),
        ({"sample-rate": "fast"}, "between 8000 and 48000"),
        ({"session-id": "mine"}, "UUID"),
        ({"partial-results-stability": "high"}, "EnablePartialResultsStabilization"),
        (
            {"enable-partial-results-stabilization": "true", "partial-results-stability": "utmost"},
            "high, medium or low",
        ),
        ({"vocabulary-name": "names"}, "vocabulary-name"),
        ({"show-speaker-label": "true"}, "show-speaker-label"),
    ],
)
def test_what_is_refused_says_why(changed: dict[str, str | None], says: str) -> None:
    with pytest.raises(ServiceError, match=says) as caught:
        parsed(changed)
    assert caught.value.code == "BadRequestException"


def test_a_language_that_the_engine_does_not_know() -> None:
    with pytest.raises(ServiceError, match="knows only en-US"):
        parsed({"language-code": "es-ES"}, frozenset({"en-US"}))


def test_the_answer_says_the_settings_again() -> None:
    plain = dict(answer_headers(parsed({}), "a request"))
    assert plain["x-amzn-transcribe-language-code"] == "en-US"
    assert plain["x-amzn-transcribe-session-id"] == SESSION
    assert plain["x-amzn-request-id"] == "a request"
    assert "x-amzn-transcribe-partial-results-stability" not in plain
    stabilised = dict(answer_headers(StreamRequest(SESSION, "en-US", "low"), "a request"))
    assert stabilised["x-amzn-transcribe-partial-results-stability"] == "low"
