from __future__ import annotations

import json

import pytest

from gateway.errors import STATUS, ErrorCode, WireError, as_wire_error, response
from streams.errors import BadRecord, HeraldError, Refused, StreamBroken, Throttled, TimedOut, Unavailable


def test_every_code_has_its_status() -> None:
    by_status: dict[int, set[str]] = {}
    for code in ErrorCode:
        by_status.setdefault(STATUS[code], set()).add(code)
    assert by_status == {
        400: {"INVALID_AUDIO_FORMAT", "INVALID_MESSAGE", "INVALID_VOLUME", "UNSUPPORTED_LANGUAGE"},
        401: {"UNAUTHENTICATED"},
        403: {"UNAUTHORIZED"},
        404: {"SESSION_NOT_FOUND", "CONNECTION_NOT_FOUND"},
        409: {"BROADCAST_PAUSED", "BROADCAST_MUTED"},
        413: {"PAYLOAD_TOO_LARGE"},
        429: {"RATE_LIMIT_EXCEEDED"},
        500: {"INTERNAL_ERROR"},
        503: {"SERVICE_UNAVAILABLE", "SESSION_FULL"},
        504: {"TIMEOUT"},
    }


def test_the_response_has_code_message_details_and_status() -> None:
    answer = response(WireError(ErrorCode.PAYLOAD_TOO_LARGE, "Too much.", limit=5))
    assert answer["statusCode"] == 413
    assert json.loads(answer["body"]) == {
        "type": "error",
        "code": "PAYLOAD_TOO_LARGE",
        "message": "Too much.",
        "details": {"limit": 5},
    }


def test_details_are_left_out_when_there_are_none() -> None:
    assert "details" not in json.loads(response(WireError(ErrorCode.TIMEOUT, "Late."))["body"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimedOut("x"), ErrorCode.TIMEOUT),
        (Throttled("x"), ErrorCode.SERVICE_UNAVAILABLE),
        (Unavailable("x"), ErrorCode.SERVICE_UNAVAILABLE),
        (StreamBroken("x"), ErrorCode.SERVICE_UNAVAILABLE),
        (Refused("x"), ErrorCode.INTERNAL_ERROR),
        (BadRecord("x"), ErrorCode.INTERNAL_ERROR),
    ],
)
def test_a_failure_behind_the_door_says_only_whether_to_try_again(error: HeraldError, code: ErrorCode) -> None:
    told = as_wire_error(error)
    assert told.code is code
    assert "x" not in told.details
