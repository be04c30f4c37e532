"""The errors that Transcribe Streaming models, as the twin raises them."""

from __future__ import annotations

STATUS = {
    "BadRequestException": 400,
    "SerializationException": 400,
    "UnrecognizedClientException": 403,
    "AccessDeniedException": 403,
    "UnknownOperationException": 404,
    "ConflictException": 409,
    "LimitExceededException": 429,
    "ThrottlingException": 429,
    "InternalFailureException": 500,
    "ServiceUnavailableException": 503,
}
"""HTTP status by code. The API reference has those that are modelled; the others are common to all services."""


class ServiceError(Exception):
    """An answer that the service gives instead of a transcript, before the stream (as HTTP) or in it (as an event)."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = STATUS.get(code, 400) if status is None else status


def bad_request(message: str) -> ServiceError:
    """The caller sent what can't be served."""
    return ServiceError("BadRequestException", message)


def limit_exceeded(message: str) -> ServiceError:
    """The caller, or the twin, is at a limit."""
    return ServiceError("LimitExceededException", message)


def internal_failure(message: str) -> ServiceError:
    """The twin's fault; the stream is over."""
    return ServiceError("InternalFailureException", message)
