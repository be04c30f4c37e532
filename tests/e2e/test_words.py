"""Every word, by number: once, in order, to whom it was for, and at the price of one call."""

from pathlib import Path

from tests.e2e.whole_stack import WholeStack, finished, tone_talk, words_heard


def test_each_language_is_translated_once_and_spoken_once(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 1000, 4)
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


def test_fifty_listeners_cost_no_more_calls_than_one(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 2000, 3)
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


def test_captions_only_grow_but_for_their_unstable_tail(tone_stack: WholeStack, tmp_path: Path) -> None:
    tone_talk(tmp_path / "talk.wav", 5000, 4, words=8)

    report = tone_stack.demo("--audio", str(tmp_path / "talk.wav"), "--to", "en")

    assert report["languages"]["en"]["rewrites"] == 0
    assert any(caption["final"] for caption in report["languages"]["en"]["captions"])
