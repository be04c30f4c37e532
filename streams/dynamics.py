"""How a span of speech was said, from the emotion frames that overlap it (rows E3, E4). Pure.

Emotion joins by the media clock: a frame counts by how much of its speech lies in the span.
"""

import math
from collections.abc import Iterable
from typing import Final

from streams.records import NEUTRAL, Dynamics, EmotionFrame

MIN_VOICED_MS: Final = 200
"""With less speech than a syllable or two, a rate of onsets says nothing."""
MS_PER_MINUTE: Final = 60_000


def dynamics(frames: Iterable[EmotionFrame], start_ms: int, end_ms: int) -> Dynamics:
    """The dynamics of the span [start_ms, end_ms) of the media clock; NEUTRAL where no frame has speech in it.

    volume, rate and energy are means, and level_db is the mean power, weighted by each frame's speech in the span
    (its voiced_ms, in proportion to the overlap). onsets_per_minute: onsets in the span per minute of speech in it;
    None below MIN_VOICED_MS. Frames must not overlap each other; their order does not matter.
    """
    voiced_ms = volume = rate = energy = power = 0.0
    onsets = 0
    for frame in frames:
        overlap_ms = min(end_ms, frame.end_ms) - max(start_ms, frame.start_ms)
        if overlap_ms <= 0 or frame.voiced_ms <= 0:
            continue
        weight = frame.voiced_ms * overlap_ms / (frame.end_ms - frame.start_ms)
        voiced_ms += weight
        volume += weight * frame.volume
        rate += weight * frame.rate
        energy += weight * frame.energy
        power += weight * 10.0 ** (frame.level_db / 10.0)
        onsets += sum(start_ms <= onset_ms < end_ms for onset_ms in frame.onsets_ms)
    if voiced_ms == 0.0:
        return NEUTRAL
    return Dynamics(
        volume=volume / voiced_ms,
        rate=rate / voiced_ms,
        energy=energy / voiced_ms,
        level_db=10.0 * math.log10(power / voiced_ms) if power > 0.0 else None,
        onsets_per_minute=onsets * MS_PER_MINUTE / voiced_ms if voiced_ms >= MIN_VOICED_MS else None,
    )
