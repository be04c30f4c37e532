from xml.etree import ElementTree as ET

import numpy as np

from ops.picture import passage, waveform
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
