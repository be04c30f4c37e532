"""What can be wrong with a client's message: one enumeration, one mapping to a status (row W19)."""

from enum import StrEnum
from typing import Any, Final

import msgspec

from streams.errors import HeraldError, Throttled, TimedOut, TransientError


class ErrorCode(StrEnum):
    """The codes that clients know."""

    INVALID_AUDIO_FORMAT = "INVALID_AUDIO_FORMAT"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    INVALID_VOLUME = "INVALID_VOLUME"
    UNSUPPORTED_LANGUAGE = "UNSUPPORTED_LANGUAGE"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNAUTHORIZED = "UNAUTHORIZED"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    CONNECTION_NOT_FOUND = "CONNECTION_NOT_FOUND"
    BROADCAST_PAUSED = "BROADCAST_PAUSED"
    BROADCAST_MUTED = "BROADCAST_MUTED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    SESSION_FULL = "SESSION_FULL"
    TIMEOUT = "TIMEOUT"


STATUS: Final[dict[ErrorCode, int]] = {
    ErrorCode.INVALID_AUDIO_FORMAT: 400,
    ErrorCode.INVALID_MESSAGE: 400,
    ErrorCode.INVALID_VOLUME: 400,
    ErrorCode.UNSUPPORTED_LANGUAGE: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.UNAUTHORIZED: 403,
    ErrorCode.SESSION_NOT_FOUND: 404,
    ErrorCode.CONNECTION_NOT_FOUND: 404,
    ErrorCode.BROADCAST_PAUSED: 409,
    ErrorCode.BROADCAST_MUTED: 409,
    ErrorCode.PAYLOAD_TOO_LARGE: 413,
    ErrorCode.RATE_LIMIT_EXCEEDED: 429,
    ErrorCode.INTERNAL_ERROR: 500,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
    ErrorCode.SESSION_FULL: 503,
    ErrorCode.TIMEOUT: 504,
}


class WireError(Exception):
    """A refusal that the client is told. `message` is one plain sentence, without anything that the client sent."""

    def __init__(self, code: ErrorCode, message: str, **details: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details

    @property
    def status(self) -> int:
        """The HTTP status that goes with the code."""
        return STATUS[self.code]


class ErrorMessage(msgspec.Struct, frozen=True, tag_field="type", tag="error", omit_defaults=True):
    """An error as the client gets it."""

    code: ErrorCode
    message: str
    details: dict[str, Any] = {}


def as_wire_error(error: HeraldError) -> WireError:
    """What a client is told of a failure behind the door: nothing of its inside, but whether to try again."""
    if isinstance(error, TimedOut):
        return WireError(ErrorCode.TIMEOUT, "The service took too long; try again.")
    if isinstance(error, Throttled):
        return WireError(ErrorCode.SERVICE_UNAVAILABLE, "The service is busy; try again.")
    if isinstance(error, TransientError):
        return WireError(ErrorCode.SERVICE_UNAVAILABLE, "The service is not available; try again.")
    return WireError(ErrorCode.INTERNAL_ERROR, "Something went wrong here.")


def response(error: WireError) -> dict[str, Any]:
    """The function's response: API Gateway sends the body to the client, and the status too on `$connect`."""
    body = msgspec.json.encode(ErrorMessage(error.code, error.message, error.details)).decode()
    return {"statusCode": error.status, "body": body}
