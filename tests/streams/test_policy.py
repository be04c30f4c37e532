"""Row S5: full jitter, and a breaker that opens, waits, probes and closes."""

import pytest

from streams.policy import BASE_MS, CAP_MS, FAILURES_TO_OPEN, OPEN_MS, Breaker, backoff_ms


@pytest.mark.parametrize(
    ("failures", "longest_ms"), [(1, BASE_MS), (2, 200), (3, 400), (5, 1_600), (6, CAP_MS), (500, CAP_MS)]
)
def test_backoff_doubles_up_to_the_cap_and_spreads_over_the_whole_span(failures: int, longest_ms: int) -> None:
    assert backoff_ms(failures, lambda: 0.0) == 0
    assert backoff_ms(failures, lambda: 0.5) == longest_ms / 2


def test_the_breaker_opens_after_five_failures_in_a_row_only() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed(0)
    breaker.succeeded()
    for _ in range(FAILURES_TO_OPEN - 1):
        breaker.failed(0)
    assert not breaker.is_open()
    breaker.failed(0)
    assert breaker.is_open()
    assert not breaker.may_call(OPEN_MS - 1)


def test_half_open_lets_one_probe_through_whose_success_closes() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(1_000)
    assert breaker.retry_at_ms() == 1_000 + OPEN_MS
    assert breaker.may_call(1_000 + OPEN_MS)
    assert not breaker.may_call(1_000 + OPEN_MS)
    breaker.succeeded()
    assert not breaker.is_open()
    assert breaker.may_call(0)


def test_a_failed_probe_opens_again_for_the_whole_time() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(0)
    assert breaker.may_call(OPEN_MS)
    breaker.failed(OPEN_MS)
    assert not breaker.may_call(2 * OPEN_MS - 1)
    assert breaker.may_call(2 * OPEN_MS)


def test_an_abandoned_probe_frees_its_place() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(0)
    assert breaker.may_call(OPEN_MS)
    breaker.abandoned()
    assert breaker.may_call(OPEN_MS)


def test_calls_that_fail_together_are_one_sign() -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker.failed(now_ms=100, called_ms=90)
    assert not breaker.is_open()
    for n in range(1, FAILURES_TO_OPEN):
        breaker.failed(now_ms=100 + n, called_ms=100 + n)
    assert breaker.is_open()


def test_an_open_breaker_lets_reading_go_on_when_a_probe_may_go() -> None:
    breaker = Breaker(failures_to_open=1, open_ms=1_000)
    assert not breaker.stops_reading(0)
    breaker.failed(0)
    assert breaker.stops_reading(999)
    assert not breaker.stops_reading(1_000)  # nobody may be left to probe but what the next input brings
    assert breaker.may_call(1_000)
    assert breaker.stops_reading(1_000)
    breaker.succeeded()
    assert not breaker.stops_reading(1_001)


def test_its_state_as_a_number() -> None:
    breaker = Breaker(failures_to_open=1, open_ms=100)
    assert breaker.state(0) == 0
    breaker.failed(0)
    assert (breaker.state(99), breaker.state(100)) == (2, 1)
    breaker.succeeded()
    assert breaker.state(100) == 0
