"""Snapshots as bytes: taken back by the same release and later ones, refused by name by an earlier one."""

import msgspec
import pytest

from streams.errors import BadRecord, NewerVersion
from streams.state import decode, encode


class ExampleState(msgspec.Struct):
    v: int = 1
    horizon_ms: int = 0


def test_what_was_encoded_comes_back_and_unknown_fields_are_ignored() -> None:
    assert decode(encode(ExampleState(horizon_ms=7)), ExampleState, 1) == ExampleState(horizon_ms=7)
    later = msgspec.msgpack.encode({"v": 1, "horizon_ms": 7, "somethingNew": True})
    assert decode(later, ExampleState, 1) == ExampleState(horizon_ms=7)


def test_a_later_major_version_is_refused_by_name_whatever_its_fields_are() -> None:
    data = msgspec.msgpack.encode({"v": 2, "horizon_ms": "changed"})
    with pytest.raises(NewerVersion, match="ExampleState has version 2; this release reads up to 1"):
        decode(data, ExampleState, 1)


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode({"horizon_ms": "text"})])
def test_rubbish_is_no_snapshot(data: bytes) -> None:
    with pytest.raises(BadRecord, match=f"{len(data)} bytes are no ExampleState"):
        decode(data, ExampleState, 1)
