"""The snapshot."""

import msgspec
import pytest

from stages.translate.state import Text, TranslateState, Utterance, decode, encode
from streams.errors import BadRecord, NewerVersion
from streams.records import Word


def test_what_is_put_in_comes_out() -> None:
    state = TranslateState(
        horizon_ms=5,
        recent=[Word("a", 0, 1)],
        utterances={"u": Utterance(3, 2, {"es": Text("hola", 4)})},
        spoken={"es": 7},
        events=["e"],
    )
    assert decode(encode(state)) == state


def test_a_later_version_is_refused_by_name() -> None:
    with pytest.raises(NewerVersion, match="version 2"):
        decode(msgspec.msgpack.encode({"v": 2, "horizon_ms": "changed"}))


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode([1]), msgspec.msgpack.encode({"spoken": 1})])
def test_other_bytes_are_no_snapshot(data: bytes) -> None:
    with pytest.raises(BadRecord):
        decode(data)
