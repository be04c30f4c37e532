"""Real speech through the whole stack: nothing lost, words as good as the recogniser's own, also when it is killed."""

import itertools
from pathlib import Path
from typing import Any

from local.transcribe import recognise
from tests.e2e.whole_stack import WholeStack, finished, wait_for_first_sound
from tests.support.wer import recordings, word_errors

GAP_S = 1.0
POINTS = 0.03
"""How much worse than the recogniser alone the finals may be."""


def test_recordings_come_through_whole_in_order_and_as_well_recognised_as_without_us(speech_stack: WholeStack) -> None:
    spoken = recordings()
    streams = speech_stack.recogniser_streams()
    talk = speech_stack.start_demo("--to", "es,ca", "--audio", *(str(one.path) for one in spoken))
    alone = sum(
        word_errors(one.words, [word.text for word in recognise.recognise_file(recognise.read_wav(one.path))])
        for one in spoken
    )
    report = finished(talk)

    assert report["chunks"]["acknowledged"] == report["chunks"]["sent"]
    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
    assert speech_stack.recogniser_streams() - streams >= 2
    said = [word for one in spoken for word in one.words]
    heard = " ".join(utterance["text"] for utterance in report["said"]).split()
    assert word_errors(said, heard) / len(said) <= alone / len(said) + POINTS
    assert {"pipeline_own", "end_to_end", "recognition", "translation", "synthesis"} <= set(report["hops_ms"])
    page = Path(report["page"]).read_text()
    assert "<svg" in page
    assert "data:audio/wav" in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_killed_recogniser_stage_goes_on_where_it_was(speech_stack: WholeStack) -> None:
    spoken = recordings()[:6]
    talk = speech_stack.start_demo("--to", "es", "--gap", str(GAP_S), "--audio", *(str(one.path) for one in spoken))
    wait_for_first_sound(talk)
    speech_stack.kill("transcribe")
    speech_stack.restart("transcribe")
    report = finished(talk)

    assert (report["lost"], report["duplicated"], report["reordered"]) == (0, 0, 0)
    assert report["chunks"]["acknowledged"] == report["chunks"]["sent"]
    spans = [(one["start_ms"], one["end_ms"]) for one in report["said"]]
    assert all(end_ms <= start_ms for (_, end_ms), (start_ms, _) in itertools.pairwise(spans))
    start_ms = 0
    for audio in report["audio"]:
        end_ms = start_ms + audio["duration_ms"]
        assert covered_ms(report, start_ms, end_ms) > 0.5 * audio["duration_ms"], audio["file"]
        start_ms = end_ms + round(GAP_S * 1000)


def covered_ms(report: dict[str, Any], start_ms: int, end_ms: int) -> int:
    """How much of a span of the talk lies in utterances."""
    return sum(max(0, min(end_ms, one["end_ms"]) - max(start_ms, one["start_ms"])) for one in report["said"])
