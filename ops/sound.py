"""A listener's sound as one recording."""

from collections.abc import Sequence

import numpy as np

from ops.audio_files import SAMPLE_RATE_HZ, Pcm
from ops.listener import ClauseHeard


def placed(heard: Sequence[ClauseHeard], started_ms: int) -> tuple[Pcm, list[int]]:
    """What a listener heard: each clause when it had come and the one before was over. And where each begins (ms).

    started_ms: the media clock's zero (Unix milliseconds).
    """
    pieces: list[Pcm] = []
    starts: list[int] = []
    at = 0
    for clause in heard:
        sound = np.frombuffer(clause.pcm, "<i2").astype(np.int16)
        due = max(0, clause.at_unix_ms - started_ms) * SAMPLE_RATE_HZ // 1000
        if due > at:
            pieces.append(np.zeros(due - at, np.int16))
            at = due
        starts.append(at * 1000 // SAMPLE_RATE_HZ)
        pieces.append(sound)
        at += len(sound)
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.int16)), starts
