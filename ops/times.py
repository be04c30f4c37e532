"""Moments as people write them. Pure."""

import argparse
import re
from datetime import UTC, datetime
from typing import Final

_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def moment_ms(text: str, now_ms: int) -> int:
    """`90s`, `30m`, `2h`, `1d` ago, or an ISO 8601 time (UTC unless it says otherwise), as Unix milliseconds.

    Raises argparse.ArgumentTypeError for anything else.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return now_ms - round(float(ago[1]) * _SECONDS[ago[2]] * 1000)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time: write 30m, 2h, 1d (ago), or 2026-01-31T12:00"
        raise argparse.ArgumentTypeError(message) from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def shown(at_ms: int) -> str:
    """A moment for people, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
