import numpy as np

from ops.listener import ClauseHeard
from ops.sound import placed


def clause(at_unix_ms: int, ms: int) -> ClauseHeard:
    return ClauseHeard("u", 0, 0, "x", 0, 0, at_unix_ms, 16_000, {0: np.ones(16 * ms, "<i2").tobytes()}, 1)


def test_speech_begins_when_it_came_and_the_one_before_is_over() -> None:
    pcm, starts = placed([clause(1_100, 500), clause(1_200, 100), clause(2_000, 100)], 1_000)
    assert starts == [100, 600, 1_000]
    assert len(pcm) == 16 * 1_100
    assert not pcm[:1600].any()
    assert pcm[1600:9600].all()


def test_nothing_heard_is_no_sound() -> None:
    assert len(placed([], 0)[0]) == 0
