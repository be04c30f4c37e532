"""Each stage is killed in turn during a talk, and started again: nothing lost, nothing twice, to the word."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.whole_stack import (
    LEASE_S,
    WholeStack,
    finished,
    tone_talk,
    wait_for_first_sound,
    words_heard,
    words_shown,
)
from tests.support.services import running

AWAY_S: Final = 8.0
"""Longer than the talk takes to pile up more sound than a listener's backlog may have."""

FROZEN_S: Final = 5.0


def test_every_stage_is_killed_during_a_talk(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 6000, 10, words=5)
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es,en")
    wait_for_first_sound(talk)

    for part in ("transcribe", "emotion", "translate", "broadcast"):
        tone_stack.kill(part)
        tone_stack.restart(part)

    report = finished(talk)
    assert words_heard(report, "es") == said
    assert words_heard(report, "en") == said
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)


def test_every_engine_is_killed_during_a_talk(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 12_000, 8, words=5)
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es,en")
    wait_for_first_sound(talk)

    for part in ("translate-twin", "polly-twin", "transcribe-twin"):
        tone_stack.kill(part)
        tone_stack.restart(part)

    report = finished(talk)
    for language in ("es", "en"):
        heard = words_heard(report, language)
        assert words_shown(report, language) == said
        assert heard == [word for word in said if word in heard]
        assert heard == said or report["skipped"]  # an engine that comes back slowly opens its breaker, for 60 s
    assert (report["lost"], report["duplicated"], report["reordered"], report["unheard_ms"]) == (0, 0, 0, 0)


def test_a_stage_that_is_frozen_goes_on_where_it_was(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 13_000, 5, words=5)
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es")
    wait_for_first_sound(talk)
    tone_stack.signal("translate", signal.SIGSTOP)
    time.sleep(FROZEN_S)
    tone_stack.signal("translate", signal.SIGCONT)

    assert words_heard(finished(talk), "es") == said


def test_a_stage_frozen_for_twice_its_lease_is_replaced_and_says_nothing_twice_when_it_wakes(
    tone_stack: WholeStack, tmp_path: Path
) -> None:
    """Longer than FROZEN_S, which is more than a lease too, but nobody else was there to take it."""
    said = tone_talk(tmp_path / "talk.wav", 14_000, 9, words=5)
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es")
    wait_for_first_sound(talk)
    tone_stack.signal("translate", signal.SIGSTOP)
    frozen_at = time.monotonic()
    environment = tone_stack.environment | {"HERALD_WORKER_ID": "translate-heir", "LEASE_FAILOVER_S": str(LEASE_S)}
    with running([sys.executable, "-m", "stages.translate"], environment, stderr=subprocess.DEVNULL):
        time.sleep(max(0.0, frozen_at + 2 * LEASE_S - time.monotonic()))
        tone_stack.signal("translate", signal.SIGCONT)
        report = finished(talk)

    assert words_heard(report, "es") == said
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
    assert tone_stack.described()["parts"]["translate"]["state"] == "ready"


@pytest.mark.parametrize("part", ["translate", "broadcast"])
def test_what_piled_up_while_a_stage_was_away_is_all_heard(tone_stack: WholeStack, tmp_path: Path, part: str) -> None:
    said = tone_talk(tmp_path / "talk.wav", 9000, 8, words=5)
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es,en")
    wait_for_first_sound(talk)
    tone_stack.kill(part)
    time.sleep(AWAY_S)
    tone_stack.restart(part)

    report = finished(talk)
    assert words_heard(report, "es") == said
    assert words_heard(report, "en") == said
