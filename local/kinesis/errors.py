"""Errors as the service words them: a code, a message, an HTTP status."""

from __future__ import annotations

ACCOUNT_ID = "000000000000"
REGION = "us-east-1"


class KinesisError(Exception):
    """An answer of the service that is an error.

    `code` is the `__type` on the wire, `status` the HTTP status (400 for the caller's errors, 500 for ours).
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def stream_not_found(name: str) -> KinesisError:
    """No such stream, or one that is still being created."""
    return KinesisError("ResourceNotFoundException", f"Stream {name} under account {ACCOUNT_ID} not found.")


def shard_not_found(stream: str, shard_id: str) -> KinesisError:
    """No such shard in the stream, or one whose records have all expired."""
    return KinesisError(
        "ResourceNotFoundException",
        f"Could not find shard {shard_id} in stream {stream} under account {ACCOUNT_ID}.",
    )


def consumer_not_found(consumer: str) -> KinesisError:
    """No such registered consumer."""
    return KinesisError("ResourceNotFoundException", f"Consumer {consumer}, under account {ACCOUNT_ID} not found.")


def in_use(message: str) -> KinesisError:
    """The stream, shard or consumer is not in a state that allows the call."""
    return KinesisError("ResourceInUseException", message)


def not_active(stream: str, status: str) -> KinesisError:
    """The stream is being created, changed or deleted."""
    return in_use(f"Stream {stream} under account {ACCOUNT_ID} not ACTIVE, instead in state {status}")


def invalid_argument(message: str) -> KinesisError:
    """The arguments are well formed and still make no sense."""
    return KinesisError("InvalidArgumentException", message)


def validation(message: str) -> KinesisError:
    """The arguments break a constraint of the service's model."""
    return KinesisError("ValidationException", message)


def limit_exceeded(message: str) -> KinesisError:
    """A limit of the account or of a control call."""
    return KinesisError("LimitExceededException", message)


def throughput_exceeded(stream: str, shard_id: str) -> KinesisError:
    """A shard's write or read limit."""
    return KinesisError("ProvisionedThroughputExceededException", rate_message(stream, shard_id))


def rate_message(stream: str, shard_id: str) -> str:
    """The text of a throughput error, which PutRecords repeats for each refused record."""
    return f"Rate exceeded for shard {shard_id} in stream {stream} under account {ACCOUNT_ID}."
