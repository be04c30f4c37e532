from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import WireError
from ingest.admission import Door, check_door, check_session, check_size, decode_audio, parse

OPEN = Door("golden-eagle-427", "speaker", is_active=True)


def _message(pcm: bytes = b"\0\0", **more: object) -> str:
    return json.dumps({"action": "sendAudio", "audioData": base64.b64encode(pcm).decode(), **more})


def _code(error: pytest.ExceptionInfo[WireError]) -> str:
    return error.value.code


def test_an_open_door() -> None:
    assert check_door(OPEN) is OPEN
    check_session(OPEN, parse(_message()))
    check_session(OPEN, parse(_message(sessionId="golden-eagle-427")))


@pytest.mark.parametrize(
    ("door", "code"),
    [
        (None, "CONNECTION_NOT_FOUND"),
        (Door("s", "listener"), "UNAUTHORIZED"),
        (msgspec.structs.replace(OPEN, is_active=False), "SESSION_NOT_FOUND"),
        (msgspec.structs.replace(OPEN, is_paused=True), "BROADCAST_PAUSED"),
        (msgspec.structs.replace(OPEN, is_muted=True), "BROADCAST_MUTED"),
        (Door("s", "listener", is_paused=True), "UNAUTHORIZED"),
        (Door("s", "speaker", is_active=False, is_paused=True), "SESSION_NOT_FOUND"),
        (Door("s", "speaker", is_active=True, is_paused=True, is_muted=True), "BROADCAST_PAUSED"),
    ],
)
def test_shut_doors_in_the_order_of_the_checks(door: Door | None, code: str) -> None:
    with pytest.raises(WireError) as refused:
        check_door(door)
    assert _code(refused) == code


def test_another_s_session() -> None:
    with pytest.raises(WireError) as refused:
        check_session(OPEN, parse(_message(sessionId="silver-otter-100")))
    assert (_code(refused), refused.value.status) == ("UNAUTHORIZED", 403)


def test_a_whole_message() -> None:
    message = parse(_message(b"\1\0", sequence=7, timestamp=1_700_000_000_000, later="field"))
    assert (message.sequence, message.timestamp, decode_audio(message)) == (7, 1_700_000_000_000, b"\1\0")
    assert parse(_message(timestamp=1.7e12)).timestamp == 1.7e12


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no json",
        "[]",
        '{"action":"sendAudio"}',
        '{"action":"sendAudio","audioData":5}',
        _message(sequence=-1),
        _message(sequence="1"),
        _message(timestamp=-5),
        '{"action":"sendAudio","audioData":"\ud800"}',
    ],
)
def test_what_is_no_message(body: str) -> None:
    with pytest.raises(WireError) as refused:
        parse(body)
    assert _code(refused) == "INVALID_MESSAGE"


def test_sizes() -> None:
    check_size(parse(_message(bytes(32 * 1024))))
    for size in (32 * 1024 + 1, 32 * 1024 + 2, 33 * 1024):
        with pytest.raises(WireError) as refused:
            check_size(parse(_message(bytes(size))))
        assert refused.value.status == 413
    with pytest.raises(WireError) as refused:
        parse(_message(bytes(100 * 1024)))
    assert refused.value.status == 413


@pytest.mark.parametrize("text", ["A", "AAA", "####", "AA=A", "AAAA\n", "é" * 4])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(WireError) as refused:
        decode_audio(parse(json.dumps({"action": "sendAudio", "audioData": text})))
    assert _code(refused) == "INVALID_AUDIO_FORMAT"
    assert refused.value.details == {"reason": "base64"}


_NUMBERS = ["1e300", "1e30", "1e16", "9007199254740993", "-1", "-0.5", "NaN", "Infinity", "-Infinity", "1e999"]


@pytest.mark.parametrize("number", [*_NUMBERS, "1" * 400])
@pytest.mark.parametrize("field", ["timestamp", "sequence"])
def test_numbers_out_of_this_world(field: str, number: str) -> None:
    with pytest.raises(WireError) as refused:
        parse(f'{{"action":"sendAudio","audioData":"","{field}":{number}}}')
    assert _code(refused) == "INVALID_MESSAGE"


@given(number=st.floats() | st.integers(-(2**70), 2**70))
def test_a_timestamp_that_is_taken_fits_a_record(number: float) -> None:
    if not 0 <= number <= 2**53:
        with pytest.raises(WireError) as refused:
            parse(_message(timestamp=number))
        assert _code(refused) == "INVALID_MESSAGE"
    else:
        timestamp = parse(_message(timestamp=number)).timestamp
        assert timestamp == number
        msgspec.msgpack.encode(int(timestamp))


@pytest.mark.parametrize("number", ["0", "12.5", "1700000000000", "1.7e12", "9007199254740992", "null"])
def test_numbers_that_a_clock_may_show(number: str) -> None:
    parse(f'{{"action":"sendAudio","audioData":"","timestamp":{number}}}')
