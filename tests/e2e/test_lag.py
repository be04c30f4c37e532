"""A stage that was away too long: listeners read what was too late to be spoken, and are live again (row S8)."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.whole_stack import (
    WholeStack,
    finished,
    tone_talk,
    wait_for_first_sound,
    words_heard,
    words_shown,
)

SPEECH_S, RESUME_S = 8, 5
"""Instead of 45 and 10."""
AWAY_S = 14.0


@pytest.fixture(scope="module")
def hasty_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeStack]:
    settings = {"LAG_SPEECH_S": str(SPEECH_S), "LAG_RESUME_S": str(RESUME_S)}
    stack = WholeStack(tmp_path_factory.mktemp("hasty"), "tones", settings=settings)
    try:
        yield stack
    finally:
        stack.stop()


def test_what_is_too_late_is_shown_and_not_spoken_and_then_the_listener_is_live(
    hasty_stack: WholeStack, tmp_path: Path
) -> None:
    said = tone_talk(tmp_path / "talk.wav", 17_000, 12, words=5)
    talk = hasty_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es")
    wait_for_first_sound(talk)
    hasty_stack.kill("translate")
    time.sleep(AWAY_S)
    hasty_stack.restart("translate")

    report = finished(talk)
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
    assert report["skipped"] > 0
    heard = words_heard(report, "es")
    left_out = [word for word in said if word not in heard]
    assert heard == [word for word in said if word not in left_out]
    first = said.index(left_out[0])
    assert left_out == said[first : first + len(left_out)]  # one gap
    assert heard[-1] == said[-1]
    late_ms = [clause["at_ms"] - clause["end_ms"] for clause in report["languages"]["es"]["heard"]]
    usual_ms = late_ms[0]  # which is after the decision, for the most part
    assert max(late_ms) < SPEECH_S * 1_000 + usual_ms
    assert max(late_ms[-3:]) < RESUME_S * 1_000 + usual_ms
    assert words_shown(report, "es") == said
