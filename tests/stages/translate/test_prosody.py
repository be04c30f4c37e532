"""The mapping from dynamics to SSML: the points of row L3, and monotone between them."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.translate.prosody import ONSETS_PER_BEAT, Prosody, prosody, ssml
from streams.records import NEUTRAL, Dynamics


@pytest.mark.parametrize(("level_db", "gain_db"), [(-60, -20), (-35, -12), (-25, -6), (-15, 0), (-5, 6), (0, 6)])
def test_levels_keep_the_named_points(level_db: float, gain_db: int) -> None:
    assert prosody(Dynamics(level_db=level_db)).gain_db == gain_db


@pytest.mark.parametrize(
    ("beats", "rate"), [(20, 70), (115, 85), (145, 100), (175, 112), (205, 122), (400, 160), (900, 160)]
)
def test_rates_keep_the_named_points(beats: float, rate: int) -> None:
    assert prosody(Dynamics(onsets_per_minute=beats * ONSETS_PER_BEAT)).rate_percent == rate


@pytest.mark.parametrize("onsets", [235.0, 280.0, 332.0])
def test_read_speech_is_spoken_at_about_the_voice_s_own_pace(onsets: float) -> None:
    assert 85 <= prosody(Dynamics(onsets_per_minute=onsets)).rate_percent <= 115


@given(st.floats(-48, -8), st.floats(1, 30))
def test_quieter_is_softer(level_db: float, quieter_db: float) -> None:
    louder = prosody(Dynamics(level_db=level_db))
    softer = prosody(Dynamics(level_db=level_db - quieter_db))
    assert softer.gain_db <= louder.gain_db
    if quieter_db >= 4 and level_db - quieter_db >= -50:
        assert softer.gain_db < louder.gain_db


@given(st.floats(175, 750))
def test_stretched_by_1_3_is_slower(onsets: float) -> None:
    assert (
        prosody(Dynamics(onsets_per_minute=onsets / 1.3)).rate_percent
        < prosody(Dynamics(onsets_per_minute=onsets)).rate_percent
    )


def test_neutral_changes_nothing() -> None:
    assert prosody(NEUTRAL) == Prosody(0, 100)


@given(st.text())
def test_any_text_is_well_formed_ssml(text: str) -> None:
    document = ElementTree.fromstring(ssml(text.encode("utf-8", "replace").decode(), Prosody(-6, 110)))
    (inside,) = document
    assert inside.attrib == {"volume": "-6dB", "rate": "110%"}
    assert len(inside.text or "") == len(text)


def test_markup_in_a_text_is_only_text() -> None:
    assert ssml("a < b & c", Prosody()) == (
        '<speak><prosody volume="+0dB" rate="100%">a &lt; b &amp; c</prosody></speak>'
    )
