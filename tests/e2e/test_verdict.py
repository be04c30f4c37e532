"""A talk that did not come through is a failure of the demo, said in a sentence."""

import json

from ops.paths import PROJECT
from tests.e2e.whole_stack import DEMO_WITHIN_S, WholeStack


def test_speech_that_nobody_recognised_is_no_success(tone_stack: WholeStack) -> None:
    recording = PROJECT / "tests" / "recordings" / "sentence-3.wav"
    demo = tone_stack.start_demo("--to", "es", "--audio", str(recording))  # a recogniser of tones knows no speech
    out, err = demo.communicate(timeout=DEMO_WITHIN_S)

    assert demo.returncode == 1
    assert "nothing was recognised" in err
    report = json.loads(out)
    assert report["said"] == []
    assert report["unheard_ms"] == report["audible_ms"] > 1_000
    assert report["not_told"] == 0
