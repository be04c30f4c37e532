from __future__ import annotations

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from local.kinesis import eventstream

_NAMES = st.text("abc:-é", min_size=1, max_size=20)


@given(st.dictionaries(_NAMES, st.text(max_size=50), max_size=4), st.binary(max_size=200))
def test_a_client_reads_what_was_written(headers: dict[str, str], payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(eventstream.message(headers, payload))
    (message,) = list(buffer)
    assert (message.headers, message.payload) == (headers, payload)


def test_events_and_exceptions_name_their_kind() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(eventstream.event("SubscribeToShardEvent", b"{}", "text/x"))
    buffer.add_data(eventstream.exception("ResourceInUseException", b"{}", "text/x"))
    event, exception = list(buffer)
    assert event.headers == {
        ":message-type": "event",
        ":event-type": "SubscribeToShardEvent",
        ":content-type": "text/x",
    }
    assert exception.headers[":exception-type"] == "ResourceInUseException"
    assert exception.to_response_dict()["status_code"] == 400


def test_every_byte_is_under_a_checksum() -> None:
    whole = bytearray(eventstream.event("e", b"payload", "t"))
    for place in range(8, len(whole)):  # before it are the lengths
        damaged = whole.copy()
        damaged[place] ^= 1
        buffer = EventStreamBuffer()
        buffer.add_data(bytes(damaged))
        with pytest.raises(ChecksumMismatch):
            list(buffer)
