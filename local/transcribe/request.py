"""What a caller asked for: the request's headers, checked, and the headers of the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from local.transcribe.errors import bad_request

PATH = "/stream-transcription"
SAMPLE_RATE_HZ = 16_000
"""The only rate that the engines take; the service takes 8,000 to 48,000 Hz."""

Stability = Literal["high", "medium", "low"]

LANGUAGE_CODES = frozenset(
    {
        *("af-ZA", "ar-AE", "ar-SA", "ca-ES", "cs-CZ", "da-DK", "de-CH", "de-DE", "el-GR", "en-AB", "en-AU", "en-GB"),
        *("en-IE", "en-IN", "en-NZ", "en-US", "en-WL", "en-ZA", "es-ES", "es-US", "eu-ES", "fa-IR", "fi-FI", "fr-CA"),
        *("fr-FR", "gl-ES", "he-IL", "hi-IN", "hr-HR", "id-ID", "it-IT", "ja-JP", "ko-KR", "lv-LV", "ms-MY", "nl-NL"),
        *("no-NO", "pl-PL", "pt-BR", "pt-PT", "ro-RO", "ru-RU", "sk-SK", "so-SO", "sr-RS", "sv-SE", "th-TH", "tl-PH"),
        *("uk-UA", "vi-VN", "zh-CN", "zh-HK", "zh-TW", "zu-ZA"),
    }
)
"""What the service transcribes as a stream ("Supported languages" in the developer guide, 2025)."""

_PREFIX = "x-amzn-transcribe-"
_SESSION_ID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_SERVED = frozenset(
    {
        *("language-code", "sample-rate", "media-encoding", "session-id"),
        *("enable-partial-results-stabilization", "partial-results-stability"),
    }
)


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """One stream's settings. ``stability`` is None when partial results shall not be stabilised."""

    session_id: str
    language_code: str
    stability: Stability | None


def parse(headers: Mapping[str, str], language_codes: frozenset[str], new_session_id: str) -> StreamRequest:
    """Check a request's headers; ``language_codes`` are those of the engine.

    Raises `ServiceError` (``BadRequestException``) for what the service refuses, and for what it offers and the twin
    does not: an option that is silently ignored would make a test pass here and fail there.
    """
    asked = {name[len(_PREFIX) :]: value for name, value in headers.items() if name.startswith(_PREFIX)}
    # The client sends options at their off value too.
    unserved = sorted(name for name in asked.keys() - _SERVED if asked[name].lower() != "false")
    if unserved:
        raise bad_request(f"This local service does not offer: {', '.join(unserved)}.")

    language_code = asked.get("language-code", "")
    if language_code not in LANGUAGE_CODES:
        raise bad_request(f"1 validation error detected: '{language_code}' is not a supported language code.")
    if language_code not in language_codes:
        raise bad_request(f"This local service's recogniser knows only {', '.join(sorted(language_codes))}.")
    if asked.get("media-encoding") != "pcm":
        raise bad_request("MediaEncoding must be pcm; this local service takes no ogg-opus or flac.")
    _check_rate(asked.get("sample-rate", ""))
    session_id = asked.get("session-id", new_session_id)
    if not _SESSION_ID.fullmatch(session_id):
        raise bad_request("SessionId must be a UUID of 36 characters.")
    return StreamRequest(session_id, language_code, _stability(asked))


def answer_headers(request: StreamRequest, request_id: str) -> list[tuple[str, str]]:
    """The headers of a 200, which say the settings again."""
    headers = [
        ("content-type", "application/vnd.amazon.eventstream"),
        ("x-amzn-request-id", request_id),
        (f"{_PREFIX}session-id", request.session_id),
        (f"{_PREFIX}language-code", request.language_code),
        (f"{_PREFIX}sample-rate", str(SAMPLE_RATE_HZ)),
        (f"{_PREFIX}media-encoding", "pcm"),
    ]
    if request.stability is not None:
        headers.append((f"{_PREFIX}enable-partial-results-stabilization", "true"))
        headers.append((f"{_PREFIX}partial-results-stability", request.stability))
    return headers


def _check_rate(text: str) -> None:
    if not text.isdecimal() or not 8_000 <= int(text) <= 48_000:
        raise bad_request("MediaSampleRateHertz must be between 8000 and 48000.")
    if int(text) != SAMPLE_RATE_HZ:
        raise bad_request(f"This local service takes {SAMPLE_RATE_HZ} Hz only.")


def _stability(asked: Mapping[str, str]) -> Stability | None:
    enabled = asked.get("enable-partial-results-stabilization", "false").lower() == "true"
    wanted = asked.get("partial-results-stability")
    if not enabled:
        if wanted is not None:
            raise bad_request("PartialResultsStability needs EnablePartialResultsStabilization.")
        return None
    for stability in get_args(Stability):
        if wanted == stability:
            return stability  # type: ignore[no-any-return]  # get_args is untyped
    if wanted is not None:
        raise bad_request("PartialResultsStability must be high, medium or low.")
    return "high"
