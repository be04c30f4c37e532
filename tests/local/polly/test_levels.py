from __future__ import annotations

from itertools import pairwise

from local.polly import levels, sound


def test_volumes_rise_and_leave_room() -> None:
    named = [levels.VOLUMES_DB[name] for name in ("x-soft", "soft", "medium", "loud", "x-loud")]
    assert all(b - a >= 4 for a, b in pairwise(gain for gain in named if gain is not None))
    assert levels.VOLUMES_DB["silent"] is None
    assert levels.VOLUMES_DB["x-loud"] == 9.0
    assert -8 + sound.NOMINAL_GAIN_DB + 9.0 < 0, "x-loud must not need the limiter"


def test_rates_and_pitches_rise() -> None:
    rates = [levels.RATES[name] for name in ("x-slow", "slow", "medium", "fast", "x-fast")]
    assert rates == sorted(set(rates))
    pitches = [levels.PITCHES_PERCENT[name] for name in ("x-low", "low", "medium", "high", "x-high")]
    assert pitches == sorted(set(pitches))


def test_breaks_rise() -> None:
    breaks = [levels.BREAKS_MS[name] for name in ("none", "weak", "strong", "x-strong")]
    assert breaks == sorted(set(breaks))
    assert breaks[-1] < levels.MAX_BREAK_MS


def test_emphasis() -> None:
    strong, none, reduced = (levels.EMPHASIS[name] for name in ("strong", "none", "reduced"))
    assert strong[0] > none[0] > reduced[0]
    assert strong[1] < none[1] < reduced[1]
