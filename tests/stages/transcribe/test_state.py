import msgspec
import pytest

from stages.transcribe.state import OpenUtterance, SpeechState, TranscribeState, decode, encode
from streams.errors import BadRecord, NewerVersion
from streams.media_clock import ClockState
from streams.records import Word
from streams.timeline import Stub, TimelineState

FULL = TranscribeState(
    timeline=TimelineState(
        expected={"c": 4},
        skipped={"c": [1, 2]},
        passed=[2**64 - 1],
        last_unnumbered_ms=7,
        clock=ClockState(1_600, "c", 3, 5, 6),
        waiting=[Stub("c", 1_600, 1, 2, 3, 4, 2**63)],
    ),
    speech=SpeechState(900, [Word("yes", 500, 900)], OpenUtterance("s:500", 3, 1, [Word("yes", 500, 900, 0.5)])),
    covered_ms=800,
    source_language="en-US",
    events=["s:created:1"],
    ended=True,
)


@pytest.mark.parametrize("state", [TranscribeState(), FULL])
def test_a_snapshot_comes_back_as_it_was(state: TranscribeState) -> None:
    assert decode(encode(state)) == state


def test_a_later_release_s_snapshot_is_refused_by_name() -> None:
    newer = msgspec.msgpack.encode(msgspec.to_builtins(FULL) | {"v": 2, "speech": "in another form"})
    with pytest.raises(NewerVersion, match="TranscribeState has version 2"):
        decode(newer)


def test_unknown_fields_are_ignored_and_missing_ones_have_defaults() -> None:
    assert decode(msgspec.msgpack.encode({"v": 1, "mood": "good"})) == TranscribeState()


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode(7), encode(FULL)[:20]])
def test_what_is_no_snapshot_is_named_without_its_bytes(data: bytes) -> None:
    with pytest.raises(BadRecord, match=f"^{len(data)} bytes are no TranscribeState"):
        decode(data)


def test_a_full_snapshot_is_small() -> None:
    words = [Word("something", 100 * i, 100 * i + 100, 0.99) for i in range(300)]
    speech = SpeechState(30_000, words[:16], OpenUtterance("golden-eagle-427:0", 99, 20, words))
    assert len(encode(TranscribeState(speech=speech))) < 16_384
