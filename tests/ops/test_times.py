import argparse

import pytest

from ops.times import moment_ms, shown

NOW_MS = 1_767_225_600_000


@pytest.mark.parametrize(
    ("text", "ago_s"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2d", 172_800), ("2025-12-31T23:00", 3600)]
)
def test_a_moment(text: str, ago_s: int) -> None:
    assert moment_ms(text, NOW_MS) == NOW_MS - ago_s * 1000


def test_a_moment_with_its_own_zone() -> None:
    assert moment_ms("2026-01-01T02:00:00+02:00", NOW_MS) == NOW_MS


@pytest.mark.parametrize("text", ["", "yesterday", "-5m", "5"])
def test_no_moment(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="write 30m"):
        moment_ms(text, NOW_MS)


def test_for_people() -> None:
    assert shown(NOW_MS + 999) == "2026-01-01 00:00:00"
