"""Every word, by number: once, in order, to whom it was for, and at the price of one call."""

import asyncio
from pathlib import Path

import aiohttp

from local import tones
from ops import tokens
from ops.audio_files import read
from ops.listener import Listener
from ops.speaker import Speaker
from tests.e2e.conftest import ROLLOVER_S
from tests.e2e.whole_stack import WholeStack, described, finished, tone_talk, words_heard

LONG_WORDS = 112
"""Of 297 ms, with 60 ms between: 40 s."""


def test_each_language_is_translated_once_and_spoken_once_and_its_captions_only_grow(
    tone_stack: WholeStack, tmp_path: Path
) -> None:
    said = tone_talk(tmp_path / "talk.wav", 1000, 4, words=8)
    translated = tone_stack.calls("translate-twin", "TranslateText")
    spoken = tone_stack.calls("polly-twin", "SynthesizeSpeech")

    report = tone_stack.demo("--audio", str(tmp_path / "talk.wav"), "--to", "es,ca,fr,en")

    for language in ("es", "ca", "fr", "en"):
        assert words_heard(report, language) == said
    clauses = len(report["languages"]["es"]["heard"])
    assert tone_stack.calls("translate-twin", "TranslateText") - translated == 3 * clauses
    assert tone_stack.calls("polly-twin", "SynthesizeSpeech") - spoken == 4 * clauses
    assert tone_stack.pairs() == {"en-es", "en-ca", "en-fr"}  # a language without a listener costs nothing
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
    assert report["chunks"]["sent"] == report["chunks"]["acknowledged"]
    for language in ("en", "es"):
        assert report["languages"][language]["rewrites"] == 0
        assert any(caption["final"] for caption in report["languages"][language]["captions"])
    assert report["languages"]["es"]["tail_rewrites"] == 0  # only the speaker's own language has a tail to rewrite


def test_fifty_listeners_cost_no_more_calls_than_one(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 2000, 3, words=2)
    translated = tone_stack.calls("translate-twin", "TranslateText")
    spoken = tone_stack.calls("polly-twin", "SynthesizeSpeech")

    report = tone_stack.demo("--audio", str(tmp_path / "talk.wav"), "--to", "es", "--listeners", "50")

    assert words_heard(report, "es") == said
    assert report["lost"] == 0
    clauses = len(report["languages"]["es"]["heard"])
    assert tone_stack.calls("translate-twin", "TranslateText") - translated == clauses
    assert tone_stack.calls("polly-twin", "SynthesizeSpeech") - spoken == clauses


def test_two_speakers_at_once_are_not_heard_by_each_others_listeners(tone_stack: WholeStack, tmp_path: Path) -> None:
    first_said = tone_talk(tmp_path / "first.wav", 3000, 4)
    second_said = tone_talk(tmp_path / "second.wav", 4000, 4)

    first = tone_stack.start_demo("--audio", str(tmp_path / "first.wav"), "--to", "es")
    second = tone_stack.start_demo("--audio", str(tmp_path / "second.wav"), "--to", "es")

    assert words_heard(finished(first), "es") == first_said
    assert words_heard(finished(second), "es") == second_said


def test_speech_without_a_pause_is_heard_to_the_word(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 10_000, 1, words=LONG_WORDS)
    streams = tone_stack.recogniser_streams()

    report = tone_stack.demo("--audio", str(tmp_path / "talk.wav"), "--to", "es")

    assert words_heard(report, "es") == said
    assert tone_stack.recogniser_streams() - streams >= 40 // ROLLOVER_S  # replaced in the midst of speech
    assert report["hops_ms"]["recognition"]["max"] < 5_000  # which no word waited for
    assert (report["lost"], report["duplicated"], report["reordered"], report["unheard_ms"]) == (0, 0, 0, 0)


async def test_listeners_come_and_go_during_a_talk(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 11_000, 6)
    stack = described(tone_stack)
    token = await asyncio.to_thread(tokens.token, stack, "somebody")
    early_heard = asyncio.Event()
    late_heard = asyncio.Event()
    async with aiohttp.ClientSession() as session, await Speaker.create(session, stack.url, token) as speaker:
        constant = await Listener.join(session, stack.url, speaker.session_id, "es", lambda: None)
        leaving = await Listener.join(session, stack.url, speaker.session_id, "es", early_heard.set)
        async with constant:
            speaking = asyncio.create_task(speaker.speak(read(tmp_path / "talk.wav").pcm))
            async with leaving:
                await early_heard.wait()
            late = await Listener.join(session, stack.url, speaker.session_id, "es", late_heard.set)
            async with late:
                await speaking
                await speaker.answers()
                await speaker.end()
                await asyncio.gather(constant.ended.wait(), late.ended.wait())

    def words(listener: Listener) -> list[int]:
        return [number for clause in listener.ear.heard for number in tones.numbers_in(clause.text.lower())]

    assert constant.told
    assert late.told
    assert words(constant) == said
    assert words(leaving) == said[: len(words(leaving))]
    assert words(late) == said[-len(words(late)) :]
    assert len(words(late)) >= 10
    assert not set(words(leaving)[:3]) & set(words(late))
