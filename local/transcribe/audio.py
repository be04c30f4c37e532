"""Audio events out of a request's body: unwrapped, and every chunk's signature checked against the one before."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from local import sigv4
from local.transcribe import eventstream
from local.transcribe.errors import ServiceError, bad_request

MAX_CHUNK_BYTES: Final = 32 * 1024
"""The most audio that one event may carry; the service answers more with a BadRequestException."""
_MAX_SKEW_MS = int(sigv4.MAX_SKEW.total_seconds() * 1000)


@dataclass(slots=True)
class Batch:
    """What some bytes of a body held: PCM in whole samples, how many frames, and whether the audio is over."""

    pcm: bytes
    frames: int
    ended: bool


class AudioReader:
    """Reads one stream's body. The request's own signature is the first link of the chain."""

    def __init__(self, verified: sigv4.Verified, secret: str) -> None:
        self._verified = verified
        self._secret = secret
        self._prior = bytes.fromhex(verified.signature)
        self._decoder = eventstream.Decoder()
        self._odd = b""
        self.frames = 0
        """Signed frames read so far."""

    def feed(self, data: bytes | None, now_s: float) -> Batch:
        """Read more of the body; None is its end. ``now_s`` is Unix time.

        Raises `ServiceError`: ``SerializationException`` for what is no event stream, ``BadRequestException`` for a
        chunk that is not signed by the caller, is too large, or is no audio event.
        """
        if data is None:
            return Batch(b"", 0, ended=True)
        try:
            messages = self._decoder.feed(data)
            parts, ended = [self._odd], False
            for message in messages:
                if ended:
                    raise bad_request("Audio was sent after its end.")
                chunk = self._unwrap(message, now_s)
                ended = not chunk
                parts.append(chunk)
        except eventstream.FrameError as error:
            raise ServiceError("SerializationException", f"The stream could not be read: {error}.") from error
        self.frames += len(messages)
        pcm = b"".join(parts)
        whole = len(pcm) & ~1
        self._odd = pcm[whole:]
        return Batch(pcm[:whole], len(messages), ended)

    def _unwrap(self, message: eventstream.Message, now_s: float) -> bytes:
        """The audio in one signed frame; empty when it says that there is no more."""
        signature = message.headers.get(":chunk-signature")
        date = message.headers.get(":date")
        if not isinstance(signature, bytes) or not isinstance(date, eventstream.Timestamp):
            raise bad_request("A frame of the stream is not signed.")
        if abs(now_s * 1000 - date) > _MAX_SKEW_MS:
            raise bad_request("Signature expired: a frame's date is more than 5 minutes from now.")
        expected = sigv4.chunk_signature(
            self._secret,
            self._verified.region,
            self._verified.service,
            date,
            self._prior,
            eventstream.encode_headers({":date": date}),
            message.payload,
        )
        if not hmac.compare_digest(expected, signature):
            raise bad_request(
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method."
            )
        self._prior = expected
        if not message.payload:
            return b""
        event = eventstream.decode(message.payload)
        if event.headers.get(":event-type") != "AudioEvent":
            raise bad_request("A frame of the stream is no AudioEvent.")
        if len(event.payload) > MAX_CHUNK_BYTES:
            raise bad_request(f"Your audio chunk is too big; the limit is {MAX_CHUNK_BYTES} bytes.")
        return event.payload
