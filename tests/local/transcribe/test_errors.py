from __future__ import annotations

import pytest

from local.transcribe.errors import STATUS, ServiceError, bad_request, internal_failure, limit_exceeded


@pytest.mark.parametrize(("code", "status"), STATUS.items())
def test_a_code_has_its_status(code: str, status: int) -> None:
    assert ServiceError(code, "why").status == status


def test_an_unknown_code_is_the_callers_fault_and_a_status_can_be_given() -> None:
    assert ServiceError("OtherException", "why").status == 400
    assert ServiceError("OtherException", "why", 418).status == 418


def test_shorthands() -> None:
    made = [bad_request("a"), limit_exceeded("b"), internal_failure("c")]
    assert [(error.code, error.message, error.status) for error in made] == [
        ("BadRequestException", "a", 400),
        ("LimitExceededException", "b", 429),
        ("InternalFailureException", "c", 500),
    ]
