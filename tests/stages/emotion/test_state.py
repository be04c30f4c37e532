import msgspec
import pytest

from stages.emotion.quality import QualityState
from stages.emotion.spans import Heard
from stages.emotion.state import EmotionState, decode, encode
from streams.errors import BadRecord, NewerVersion
from streams.media_clock import ClockState
from streams.timeline import TimelineState

FULL = EmotionState(
    timeline=TimelineState(expected={"c": 4}, last_unnumbered_ms=7, clock=ClockState(1_600, "c", 3, 5, 6)),
    measured_to=8_000,
    heard=[Heard(1_600, 0.1, 0.01, 0.2)],
    quality=QualityState(["AUDIO_ECHO"], {"AUDIO_ECHO": 5_000, "AUDIO_SILENCE": 900}),
    ended=True,
)


@pytest.mark.parametrize("state", [EmotionState(), FULL])
def test_a_snapshot_comes_back_as_it_was(state: EmotionState) -> None:
    assert decode(encode(state)) == state


def test_a_later_release_s_snapshot_is_refused_by_name() -> None:
    newer = msgspec.msgpack.encode(msgspec.to_builtins(FULL) | {"v": 2, "heard": "in another form"})
    with pytest.raises(NewerVersion, match="EmotionState has version 2"):
        decode(newer)


def test_unknown_fields_are_ignored_and_missing_ones_have_defaults() -> None:
    assert decode(msgspec.msgpack.encode({"v": 1, "mood": "good"})) == EmotionState()


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode(7), encode(FULL)[:20]])
def test_what_is_no_snapshot_is_named_without_its_bytes(data: bytes) -> None:
    with pytest.raises(BadRecord, match=f"^{len(data)} bytes are no EmotionState"):
        decode(data)
