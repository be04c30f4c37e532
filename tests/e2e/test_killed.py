"""Each stage is killed in turn during a talk, and started again: nothing lost, nothing twice, to the word."""

import time
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.whole_stack import WholeStack, finished, tone_talk, wait_for_first_sound, words_heard

AWAY_S: Final = 8.0
"""Longer than the talk takes to pile up more sound than a listener's backlog may have."""


def test_every_stage_is_killed_during_a_talk(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 6000, 10, words=5)
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es,en")
    wait_for_first_sound(talk)

    for part in ("transcribe", "emotion", "translate", "broadcast"):
        tone_stack.kill(part)
        restart = tone_stack.herald("restart", part)
        out, err = restart.communicate(timeout=60)
        assert restart.returncode == 0, out + err

    report = finished(talk)
    assert words_heard(report, "es") == said
    assert words_heard(report, "en") == said
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)


@pytest.mark.parametrize("part", ["translate", "broadcast"])
def test_what_piled_up_while_a_stage_was_away_is_all_heard(tone_stack: WholeStack, tmp_path: Path, part: str) -> None:
    said = tone_talk(tmp_path / "talk.wav", 9000, 8, words=5)
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es,en")
    wait_for_first_sound(talk)
    tone_stack.kill(part)
    time.sleep(AWAY_S)
    restart = tone_stack.herald("restart", part)
    restart.communicate(timeout=60)

    report = finished(talk)
    assert words_heard(report, "es") == said
    assert words_heard(report, "en") == said
