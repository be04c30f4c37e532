from itertools import pairwise
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ops.picture import TICKS_MAX, passage, ticks_ms, waveform
from ops.report import Emotion, Said

SAID = [Said("u", 250, 750, "<b> & more", Emotion(0.5, 1.0, 0.5))]


def test_the_waveform_marks_what_was_said() -> None:
    root = ET.fromstring(waveform(np.full(16_000, 8_000, np.int16), SAID))
    band = root.find("rect")
    assert band is not None
    assert (band.get("x"), band.get("width")) == ("250.0", "500.0")
    assert band.findtext("title") == "<b> & more"


def test_silence_and_nothing_can_be_drawn() -> None:
    ET.fromstring(waveform(np.zeros(0, np.int16), []))
    ET.fromstring(passage([]))


def test_a_bar_is_as_long_as_its_hops() -> None:
    moments = {"captured": 0, "admitted": 100, "audioWritten": 150}
    root = ET.fromstring(passage([("es 0.0 s", moments)]))
    bars = root.findall("rect")
    assert [bar.get("class") for bar in bars] == ["stream", "own"]
    assert [float(bar.get("width", "0")) for bar in bars] == [666.7, 333.3]


@pytest.mark.parametrize("longest_ms", [1, 7, 999, 1000, 2185, 5000, 5999, 6000, 59_000, 1_000_000])
def test_ticks_are_few_round_and_even(longest_ms: int) -> None:
    ticks = ticks_ms(longest_ms)
    assert ticks[0] == 0
    assert 2 <= len(ticks) <= TICKS_MAX
    assert all(tick <= longest_ms for tick in ticks)
    steps = {after - before for before, after in pairwise(ticks)}
    assert len(steps) == 1
    assert str(steps.pop())[0] in "125"


def test_the_axis_has_its_unit_and_places() -> None:
    root = ET.fromstring(passage([("es 0.0 s", {"captured": 0, "admitted": 2000, "audioWritten": 4000})]))
    scale = {text.text: float(text.get("x", "-1")) for text in root.findall("text") if text.get("class") == "scale"}
    assert scale == {"0 s": 0.0, "1 s": 250.0, "2 s": 500.0, "3 s": 750.0, "4 s": 1000.0}
    assert len([line for line in root.findall("line") if line.get("class") == "tick"]) == 5
