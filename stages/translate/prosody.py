"""How speech is to be spoken, so that it keeps the speaker's dynamics (row L3). Pure.

A smooth mapping through the points that row L3 names: in the middle of each of its bands stands that band's value, and
between the points lines run, so that a little quieter or slower is always spoken a little softer or slower. Row L3
counts a beat per word or so: its medium is 130 to 160 a minute. The emotion stage hears every syllable: read speech at
a normal pace has 280 onsets in a minute of speech. So onsets are brought to L3's scale first.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

import msgspec

from streams.records import Dynamics

GAIN_POINTS: Final = ((-50.0, -20.0), (-35.0, -12.0), (-25.0, -6.0), (-15.0, 0.0), (-5.0, 6.0))
"""Level in dBFS to gain in dB: x-soft is -12 (below -30), soft -6 (to -20), medium 0 (to -10), x-loud 6 (above)."""
ONSETS_PER_BEAT: Final = 1.9
"""280 onsets a minute, the mean of the recordings in `tests/recordings` (235 to 332), to L3's medium, 147."""
RATE_POINTS: Final = ((70.0, 70.0), (115.0, 85.0), (145.0, 100.0), (175.0, 112.0), (205.0, 122.0), (400.0, 160.0))
"""Beats per minute to rate in percent: x-slow 70 (under 100), slow 85 (130), medium 100 (160), fast 112 (190), x-fast
122 and more (above): gentler than the words of the SSML guide, because a listener must still follow."""


class Prosody(msgspec.Struct, frozen=True):
    """gain_db against the voice's own level; rate_percent of its own rate, within the 20 to 200 that Polly takes."""

    gain_db: int = 0
    rate_percent: int = 100


def prosody(dynamics: Dynamics) -> Prosody:
    """The prosody for speech said like this; what was not measured changes nothing."""
    gain_db = 0.0 if dynamics.level_db is None else _between(GAIN_POINTS, dynamics.level_db)
    rate = 100.0
    if dynamics.onsets_per_minute is not None:
        rate = _between(RATE_POINTS, dynamics.onsets_per_minute / ONSETS_PER_BEAT)
    return Prosody(round(gain_db), round(rate))


def ssml(text: str, how: Prosody) -> str:
    """The text as SSML. Control characters, which XML cannot hold, become spaces. Pitch is left to the voice: neural
    voices refuse it.
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return (
        f'<speak><prosody volume="{how.gain_db:+d}dB" rate="{how.rate_percent}%">{escape(printable)}</prosody></speak>'
    )


def _between(points: Sequence[tuple[float, float]], x: float) -> float:
    """On the line through the points, flat beyond the first and the last."""
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return points[-1][1]
