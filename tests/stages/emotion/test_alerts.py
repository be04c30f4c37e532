"""Row W15: at most one warning per code in 60 s, and one message when it is over."""

import random
from itertools import pairwise

import pytest

from stages.emotion.alerts import EVERY_MS, Alerts
from stages.emotion.quality import Code

T0 = 1_700_000_000_000
NOISE: Code = "AUDIO_LOW_SNR"
CLIPPING: Code = "AUDIO_CLIPPING"


class Told:
    """What the speaker was told, as (seconds since T0, code, active)."""

    def __init__(self, alerts: Alerts | None = None) -> None:
        self.alerts = alerts or Alerts()
        self.messages: list[tuple[float, str, bool]] = []

    def at(self, at_s: float, code: Code | None = None, *, active: bool = True) -> None:
        if code is not None:
            self.alerts.on_change(code, active=active)
        at_ms = T0 + round(at_s * 1000)
        self.messages += [((one.at_ms - T0) / 1000, one.code, one.active) for one in self.alerts.due(at_ms)]


def test_it_is_told_when_it_begins_and_when_it_is_over() -> None:
    told = Told()
    told.at(0, NOISE)
    told.at(1)
    told.at(5, NOISE, active=False)
    told.at(6)
    assert told.messages == [(0, NOISE, True), (5, NOISE, False)]


def test_one_that_comes_again_too_soon_waits_and_is_told_if_it_is_still_so() -> None:
    told = Told()
    told.at(0, NOISE)
    told.at(5, NOISE, active=False)
    told.at(10, NOISE)
    told.at(59.9)
    told.at(60)
    told.at(61)
    assert told.messages == [(0, NOISE, True), (5, NOISE, False), (60, NOISE, True)]


def test_one_that_comes_again_too_soon_and_goes_is_not_told() -> None:
    told = Told()
    told.at(0, NOISE)
    told.at(5, NOISE, active=False)
    told.at(10, NOISE)
    told.at(20, NOISE, active=False)
    told.at(100)
    assert told.messages == [(0, NOISE, True), (5, NOISE, False)]


def test_codes_do_not_hold_each_other_back() -> None:
    told = Told()
    told.at(0, NOISE)
    told.at(1, CLIPPING)
    told.at(2, NOISE, active=False)
    assert told.messages == [(0, NOISE, True), (1, CLIPPING, True), (2, NOISE, False)]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_the_rate_holds_and_the_last_word_is_true(seed: int) -> None:
    """With restarts in between: a snapshot keeps all that it takes."""
    dice = random.Random(seed)
    told, active = Told(), False
    at_s = 0.0
    for _ in range(400):
        at_s += dice.uniform(0.1, 15)
        if dice.random() < 0.5:
            active = not active
            told.at(at_s, NOISE, active=active)
        else:
            told.at(at_s)
        if dice.random() < 0.1:
            told.alerts = Alerts(told.alerts.state())
    warned = [moment for moment, _, is_active in told.messages if is_active]
    assert all(after - before >= EVERY_MS / 1000 for before, after in pairwise(warned))
    assert [is_active for _, _, is_active in told.messages] == [n % 2 == 0 for n in range(len(told.messages))]
    told.at(at_s + 61)
    assert (bool(told.messages) and told.messages[-1][2]) is active
