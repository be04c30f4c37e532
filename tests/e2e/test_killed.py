"""Each stage is killed in turn during a talk, and started again: nothing lost, nothing twice, to the word."""

from pathlib import Path

from tests.e2e.whole_stack import WholeStack, finished, tone_talk, words_heard


def test_every_stage_is_killed_during_a_talk(tone_stack: WholeStack, tmp_path: Path) -> None:
    said = tone_talk(tmp_path / "talk.wav", 6000, 14, words=2)
    talk = tone_stack.start_demo("--audio", str(tmp_path / "talk.wav"), "--to", "es,en")
    assert talk.stderr is not None
    for line in talk.stderr:  # until the talk is under way
        if line.startswith("first sound"):
            break

    for part in ("transcribe", "emotion", "translate", "broadcast"):
        tone_stack.kill(part)
        restart = tone_stack.herald("restart", part)
        out, err = restart.communicate(timeout=60)
        assert restart.returncode == 0, out + err

    report = finished(talk)
    assert words_heard(report, "es") == said
    assert words_heard(report, "en") == said
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
