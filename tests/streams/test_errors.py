"""The error tree: whether another try may help is decided once, per class."""

import pytest

from streams import errors


@pytest.mark.parametrize("kind", [errors.Throttled, errors.Unavailable, errors.TimedOut, errors.StreamBroken])
def test_transient_errors_are_retryable(kind: type[errors.HeraldError]) -> None:
    assert kind("x").as_failure() == errors.Failure(kind.__name__, "x", retryable=True)


@pytest.mark.parametrize(
    "kind",
    [
        errors.Refused,
        errors.NotFound,
        errors.BadRecord,
        errors.NewerVersion,
        errors.LeaseLost,
        errors.ConfigurationError,
    ],
)
def test_the_others_are_not(kind: type[errors.HeraldError]) -> None:
    assert kind("x").as_failure() == errors.Failure(kind.__name__, "x", retryable=False)


def test_a_service_s_own_code_is_kept() -> None:
    assert errors.Throttled("x", code="LimitExceededException").code == "LimitExceededException"
