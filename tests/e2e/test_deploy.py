"""Every stage is deployed anew while speakers speak: no word is lost, and none is late for long."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from streams.resources import STAGES
from tests.e2e.whole_stack import LOOK_EVERY_S, WholeStack, finished, tone_talk, wait_for_first_sound, words_heard

LATER_MS = 3_000
"""How much later than else a word may be heard, for a moment."""


def test_a_rolling_restart_of_all_stages_loses_no_word_and_delays_none_for_long(
    tone_stack: WholeStack, tmp_path: Path
) -> None:
    said = tone_talk(tmp_path / "talk.wav", 14_000, 12, words=6)
    before = {spec.name: part(tone_stack, spec.name) for spec in STAGES}
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es,en")
    wait_for_first_sound(talk)
    for spec in STAGES:
        tone_stack.restart(spec.name)

    report = finished(talk)
    assert words_heard(report, "es") == said
    assert words_heard(report, "en") == said
    assert (report["lost"], report["duplicated"], report["reordered"], report["skipped"]) == (0, 0, 0, 0)
    assert report["unheard_ms"] == 0
    delay_ms = report["hops_ms"]["end_to_end"]
    assert delay_ms["max"] - delay_ms["p50"] <= LATER_MS, delay_ms
    for name, old in before.items():
        new = part(tone_stack, name)
        assert new["state"] == "ready"
        assert new["pid"] != old["pid"]


def test_a_successor_that_does_not_come_up_harms_nobody(tone_stack: WholeStack) -> None:
    old = part(tone_stack, "emotion")
    asked = tone_stack.herald("restart", "emotion")
    while (new := part(tone_stack, "emotion"))["pid"] == old["pid"]:
        assert asked.poll() is None
        time.sleep(LOOK_EVERY_S)
    os.kill(new["pid"], signal.SIGKILL)
    _, said = asked.communicate(timeout=60)

    assert asked.returncode == 1
    assert "emotion was ended by SIGKILL before it was ready" in said
    assert part(tone_stack, "emotion") == old
    os.kill(old["pid"], 0)


def part(stack: WholeStack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.described()["parts"][name]
    return found
