from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local import sigv4
from local.sigv4 import Verified
from local.transcribe.audio import MAX_CHUNK_BYTES, AudioReader
from local.transcribe.errors import ServiceError
from local.transcribe.eventstream import Timestamp, encode, encode_headers

SECRET = "a secret"
VERIFIED = Verified("AKIDLOCAL", "us-east-1", "transcribe", "00" * 32)
NOW_S = 1_780_000_000.0


class Sender:
    """Signs chunks one after another, as a client does."""

    def __init__(self, secret: str = SECRET) -> None:
        self._secret = secret
        self._prior = bytes(32)

    def frame(self, payload: bytes, at_s: float = NOW_S) -> bytes:
        date = Timestamp(int(at_s * 1000))
        headers = encode_headers({":date": date})
        self._prior = sigv4.chunk_signature(
            self._secret, "us-east-1", "transcribe", date, self._prior, headers, payload
        )
        return encode({":date": date, ":chunk-signature": self._prior}, payload)

    def audio(self, pcm: bytes, at_s: float = NOW_S) -> bytes:
        headers = {":message-type": "event", ":event-type": "AudioEvent", ":content-type": "application/octet-stream"}
        return self.frame(encode(headers, pcm), at_s)


def reader() -> AudioReader:
    return AudioReader(VERIFIED, SECRET)


def refused(data: bytes) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        reader().feed(data, NOW_S)
    return caught.value


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.lists(st.integers(1, 300), min_size=1, max_size=3))
def test_audio_comes_out_as_whole_samples_in_any_pieces(chunks: list[bytes], sizes: list[int]) -> None:
    sender, audio = Sender(), reader()
    data = b"".join(sender.audio(chunk) for chunk in chunks) + sender.frame(b"")
    heard, at, ended = b"", 0, False
    for size in itertools.cycle(sizes):
        batch = audio.feed(data[at : at + size], NOW_S)
        assert len(batch.pcm) % 2 == 0
        heard, at, ended = heard + batch.pcm, at + size, batch.ended
        if at >= len(data):
            break
    whole = b"".join(chunks)
    assert heard == whole[: len(whole) & ~1]
    assert ended
    assert audio.frames == len(chunks) + 1


@pytest.mark.parametrize("last", [Sender().frame(b""), Sender().audio(b""), None], ids=["frame", "event", "body"])
def test_three_ways_to_end(last: bytes | None) -> None:
    assert reader().feed(last, NOW_S).ended


def test_audio_after_its_end_is_refused() -> None:
    sender = Sender()
    assert "after its end" in refused(sender.audio(b"") + sender.audio(b"ab")).message


def test_a_chunk_with_another_secret_or_out_of_turn_is_refused() -> None:
    assert "signature" in refused(Sender("another").audio(b"ab")).message
    sender = Sender()
    sender.audio(b"lost")
    assert "signature" in refused(sender.audio(b"ab")).message


@pytest.mark.parametrize("late_s", [-301, 301])
def test_a_chunk_of_another_time_is_refused(late_s: int) -> None:
    assert "expired" in refused(Sender().audio(b"ab", NOW_S + late_s)).message


def test_what_is_no_signed_audio_event_is_refused() -> None:
    assert "not signed" in refused(encode({}, b"ab")).message
    assert "no AudioEvent" in refused(Sender().frame(encode({":event-type": "Other"}, b"ab"))).message
    assert refused(Sender().frame(b"no message")).code == "SerializationException"
    assert refused(b"no event stream at all").code == "SerializationException"


def test_the_largest_chunk() -> None:
    sender = Sender()
    assert len(reader().feed(sender.audio(bytes(MAX_CHUNK_BYTES)), NOW_S).pcm) == MAX_CHUNK_BYTES
    assert "too big" in refused(Sender().audio(bytes(MAX_CHUNK_BYTES + 1))).message
