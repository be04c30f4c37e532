"""Our codec against the client's own, and against bytes that are no event stream."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from amazon_transcribe.eventstream import EventStreamBuffer, EventStreamMessageSerializer
from hypothesis import given
from hypothesis import strategies as st

from local.transcribe.eventstream import MAX_MESSAGE_BYTES, Decoder, FrameError, Message, Timestamp, decode, encode

NAMES = st.text("abc:-", min_size=1, max_size=20)
VALUES = st.one_of(st.booleans(), st.integers(-(2**31), 2**31 - 1), st.binary(max_size=50), st.text(max_size=20))
HEADERS = st.dictionaries(NAMES, VALUES, max_size=5)


@given(headers=HEADERS, payload=st.binary(max_size=300))
def test_the_client_reads_what_we_write(headers: dict[str, Any], payload: bytes) -> None:
    theirs: Any = EventStreamBuffer()  # type: ignore[no-untyped-call]  # the client has no types
    theirs.add_data(encode(headers, payload))
    message = next(theirs)
    assert (message.headers, message.payload) == (headers, payload)


@given(headers=HEADERS, payload=st.binary(max_size=300))
def test_we_read_what_the_client_writes(headers: dict[str, Any], payload: bytes) -> None:
    written = EventStreamMessageSerializer().serialize(headers, payload)
    assert decode(written) == Message(headers, payload)
    assert encode(headers, payload) == written


def test_a_timestamp_keeps_its_type() -> None:
    at = datetime(2026, 3, 4, tzinfo=UTC)
    written = EventStreamMessageSerializer().serialize({":date": at}, b"")
    date = decode(written).headers[":date"]
    assert isinstance(date, Timestamp)
    assert date == int(at.timestamp() * 1000)
    assert encode({":date": date}) == written


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_messages_in_any_pieces(sizes: list[int]) -> None:
    sent = [Message({"n": i}, bytes(i * 7)) for i in range(5)]
    data = b"".join(encode(message.headers, message.payload) for message in sent)
    decoder, received, at, turn = Decoder(), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        received += decoder.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    assert received == sent
    assert not decoder.pending


@given(at=st.integers(0, 60), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(at: int, bit: int) -> None:
    data = bytearray(encode({":event-type": "AudioEvent", "n": 5}, b"some payload here"))
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(FrameError):
        decode(bytes(data))


def test_a_length_that_cannot_be_is_refused_before_it_is_waited_for() -> None:
    message = encode({}, bytes(MAX_MESSAGE_BYTES))
    with pytest.raises(FrameError, match="bytes"):
        Decoder().feed(message[:12])


@pytest.mark.parametrize("data", [b"", encode({}) * 2, encode({})[:-1]])
def test_exactly_one_message_is_wanted(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode(data)


@pytest.mark.parametrize(
    "headers",
    [b"\x01a", b"\x01a\x07\x00\x09x", b"\x01a\x63", b"\x01a\x00\x01a\x00", b"\x05a", b"\x01\xff\x00"],
    ids=["no type", "short value", "unknown type", "twice", "short name", "no UTF-8"],
)
def test_headers_that_cannot_be_read(headers: bytes) -> None:
    class Raw(EventStreamMessageSerializer):
        def encode_headers(self, _: object) -> bytes:
            return headers

    with pytest.raises(FrameError):
        decode(Raw().serialize({}, b""))
