"""The error tree. Every error says whether another try may help, and keeps its cause.

    HeraldError
    ├── TransientError        retryable: the same deed may succeed a little later
    │   ├── Throttled         the service asks for less (429, throughput, limits on streams)
    │   ├── Unavailable       5xx, refused or reset connections
    │   ├── TimedOut          no answer within the time limit
    │   └── StreamBroken      a long-lived call ended without our asking
    ├── PermanentError        not retryable: the same deed will fail the same way
    │   ├── Refused           the service understood and said no
    │   ├── BadRecord         bytes that are no record of ours
    │   │   └── NewerVersion  a record or snapshot written by a later release
    │   └── NotFound          the named thing does not exist
    ├── LeaseLost             somebody else owns the shard: stop emitting, calling and checkpointing
    ├── DuplicateWorker       another process runs under this worker id: this one ends
    └── ConfigurationError    a setting is missing or wrong; the program does not start

`Failure` is the same as data: what a stage sees of an error, and what the journal and the dead-letter store keep.
"""

from typing import ClassVar

import msgspec


class Failure(msgspec.Struct, frozen=True):
    """An error as data. `message` never holds audio, tokens, connection ids or transcript text.

    attempts: how often was tried what failed.
    """

    code: str
    message: str
    retryable: bool
    attempts: int = 1


class HeraldError(Exception):
    """The root. `code` names the error in logs, metrics and dead letters."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).__name__

    def as_failure(self) -> Failure:
        """This error as data."""
        return Failure(code=self.code, message=str(self), retryable=self.retryable)


class TransientError(HeraldError):
    """The same deed may succeed a little later."""

    retryable = True


class Throttled(TransientError):
    """The service asks for less."""


class Unavailable(TransientError):
    """The service, or the way to it, is not there now."""


class TimedOut(TransientError):
    """No answer within the time limit; whether the deed was done is unknown."""


class StreamBroken(TransientError):
    """A long-lived call ended without our asking."""


class PermanentError(HeraldError):
    """The same deed will fail the same way."""


class Refused(PermanentError):
    """The service understood and said no."""


class NotFound(PermanentError):
    """The named thing does not exist (any more)."""


class BadRecord(PermanentError):
    """Bytes that are no record of ours."""


class NewerVersion(BadRecord):
    """Written by a later release than this one reads."""


class LeaseLost(HeraldError):
    """Somebody else owns the shard."""


class DuplicateWorker(HeraldError):
    """Another process runs under this worker id.

    EXIT_CODE: of the program that ends for it, so that a supervisor can say so; EX_CONFIG of <sysexits.h>.
    """

    EXIT_CODE: ClassVar[int] = 78


class ConfigurationError(HeraldError):
    """A setting is missing or wrong."""
