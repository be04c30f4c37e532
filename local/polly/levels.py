"""What SSML's words mean in numbers, where the service's guide gives none: how loud is `loud`?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

VOLUMES_DB: Final[Mapping[str, float | None]] = {
    "silent": None,
    "x-soft": -12.0,
    "soft": -6.0,
    "medium": 0.0,
    "default": 0.0,
    "loud": 4.5,
    "x-loud": 9.0,
}
"""Gain per named volume: even steps for softer, as much as `sound.NOMINAL_GAIN_DB` leaves room for louder."""
RATES: Final[Mapping[str, float]] = {
    "x-slow": 0.5,
    "slow": 0.75,
    "medium": 1.0,
    "default": 1.0,
    "fast": 1.25,
    "x-fast": 1.5,
}
PITCHES_PERCENT: Final[Mapping[str, float]] = {
    "x-low": -30.0,
    "low": -15.0,
    "medium": 0.0,
    "default": 0.0,
    "high": 20.0,
    "x-high": 40.0,
}
EMPHASIS: Final[Mapping[str, tuple[float, float]]] = {
    "strong": (3.0, 0.8),
    "moderate": (1.5, 0.9),
    "reduced": (-3.0, 1.15),
    "none": (0.0, 1.0),
}
"""Gain in dB and factor on the rate: strong is louder and slower, reduced softer and faster."""
COMMA_MS: Final = 250.0
SENTENCE_MS: Final = 500.0
PARAGRAPH_MS: Final = 900.0
BREAKS_MS: Final[Mapping[str, float]] = {
    "none": 0.0,
    "x-weak": 0.0,
    "weak": COMMA_MS,
    "medium": COMMA_MS,
    "strong": SENTENCE_MS,
    "x-strong": PARAGRAPH_MS,
}
MAX_BREAK_MS: Final = 10_000.0
"""The guide: `10s` at most."""
