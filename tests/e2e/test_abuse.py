"""Slow clients are sent away and harm no talk; floods are refused; who has left is in no row. All of it: `abuse`."""

import asyncio
from pathlib import Path

from ops import tokens
from tests.e2e.abuse import HEAD_BOUND_S, LATE_S, come_and_go, flooded, slow, speaker
from tests.e2e.whole_stack import WholeStack, described, finished, tone_talk, wait_for_first_sound, words_heard

SLOW = 100
JOINS = 100
CONNECTS = 100


async def test_slow_clients_are_sent_away_while_a_talk_goes_on(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 16_000, 5, words=5)
    url, token = described(tone_stack).url, await asyncio.to_thread(tokens.token, described(tone_stack), "a-slow-one")
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es")
    try:
        await asyncio.to_thread(wait_for_first_sound, talk)
        async with speaker(url, token) as it:
            slowed = await slow(url, it.session_id, SLOW, 0)
    finally:
        report = await asyncio.to_thread(finished, talk)
    assert slowed["heads"]["dropped"] == SLOW
    assert slowed["heads"]["longest_s"] <= HEAD_BOUND_S + LATE_S
    assert words_heard(report, "es") == said
    assert (report["lost"], report["duplicated"], report["reordered"], report["skipped"]) == (0, 0, 0, 0)


async def test_who_comes_and_goes_leaves_no_row_and_no_count(tone_stack: WholeStack) -> None:
    url, token = described(tone_stack).url, await asyncio.to_thread(tokens.token, described(tone_stack), "a-crowd")
    report = await come_and_go(url, token, tone_stack.environment, JOINS)
    assert report["off"] == [], report
    assert sum(report["joins"].values()) == JOINS


def test_a_flood_of_connects_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    report = flooded(tmp_path, CONNECTS)
    assert report["off"] == [], report
