"""Whether a chunk may pass, and why not: the checks of row A1, in its order, up to the rate. Pure."""

import base64
import binascii
from typing import Annotated, Any, Final

import msgspec

from gateway.errors import ErrorCode, WireError
from gateway.explaining import explain
from gateway.routes import MAX_AUDIO_BYTES, MAX_MESSAGE_BYTES

_MAX_BASE64_CHARS = 4 * ((MAX_AUDIO_BYTES + 2) // 3)

_LARGEST: Final = 2**53
"""Up to here JSON's numbers are exact everywhere."""
WholeUnixMs = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]
UnixMs = Annotated[float, msgspec.Meta(ge=0, le=_LARGEST)]


class SendAudio(msgspec.Struct, frozen=True, rename="camel"):
    """A chunk as the speaker sends it (row W2).

    audio_data: base64 of PCM16LE, mono, 16 kHz. timestamp: when it was captured, Unix milliseconds. sequence: from 0.
    """

    action: str
    audio_data: str
    session_id: str | None = None
    timestamp: WholeUnixMs | UnixMs | None = None
    sequence: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)] | None = None


class Door(msgspec.Struct, frozen=True):
    """What the Connections table says of a connection; for a listener only the role counts.

    acknowledge: whether the speaker wants an answer to each chunk. audio_count: under which name its chunks are
    counted; empty: its own (`AudioChunk.connection`).
    """

    session_id: str
    role: str
    is_active: bool = False
    is_paused: bool = False
    is_muted: bool = False
    acknowledge: bool = True
    audio_count: str = ""


_decoder = msgspec.json.Decoder(SendAudio)


def parse(body: str) -> SendAudio:
    """The message. Raises WireError: PAYLOAD_TOO_LARGE, or INVALID_MESSAGE for what is no such message."""
    if len(body) > MAX_MESSAGE_BYTES:
        raise _too_large("The message is larger than allowed.", MAX_MESSAGE_BYTES)
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise explain(error, SendAudio) from error


def check_door(door: Door | None) -> Door:
    """Connection known; role speaker; session active; not paused; not muted. Raises WireError."""
    if door is None:
        raise WireError(ErrorCode.CONNECTION_NOT_FOUND, "This connection is not part of a session.")
    if door.role != "speaker":
        raise WireError(ErrorCode.UNAUTHORIZED, "Only a speaker may do this.")
    if not door.is_active:
        raise WireError(ErrorCode.SESSION_NOT_FOUND, "The session has ended.")
    if door.is_paused:
        raise WireError(ErrorCode.BROADCAST_PAUSED, "The broadcast is paused.")
    if door.is_muted:
        raise WireError(ErrorCode.BROADCAST_MUTED, "The broadcast is muted.")
    return door


def check_session(door: Door, message: SendAudio) -> None:
    """Raises WireError(UNAUTHORIZED) for a message that names somebody else's session."""
    if message.session_id is not None and message.session_id != door.session_id:
        raise WireError(ErrorCode.UNAUTHORIZED, "This session is not yours.")


def check_size(message: SendAudio) -> None:
    """Raises WireError(PAYLOAD_TOO_LARGE) for more than MAX_AUDIO_BYTES of audio, before it is decoded."""
    if _decoded_bytes(message.audio_data) > MAX_AUDIO_BYTES:
        raise _too_large("A chunk of audio is larger than allowed.", MAX_AUDIO_BYTES)


def decode_audio(message: SendAudio) -> bytes:
    """The chunk's bytes. Raises WireError(INVALID_AUDIO_FORMAT) for what is no base64."""
    try:
        return base64.b64decode(message.audio_data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError(ErrorCode.INVALID_AUDIO_FORMAT, "audioData is not base64.", reason="base64") from error


def _decoded_bytes(text: str) -> int:
    return len(text) // 4 * 3 - text[-2:].count("=")


def _too_large(message: str, limit: int) -> WireError:
    details: dict[str, Any] = {"limit": limit}
    return WireError(ErrorCode.PAYLOAD_TOO_LARGE, message, **details)
