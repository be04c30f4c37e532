"""The framing of AWS event streams (``application/vnd.amazon.eventstream``), bytes in and messages out.

A message is: total length and headers' length (uint32 each, big endian), their CRC-32, the headers, the payload, and
the CRC-32 of all before it. A header is: name (uint8 length), type (uint8), value. Pure, and apart from the client's
own codec, so that the two check each other.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Mapping
from dataclasses import dataclass

MAX_MESSAGE_BYTES = 256 * 1024
"""Well above an audio event of 32 KiB, signed and wrapped; a length beyond it is garbage, not a message."""

_PRELUDE = struct.Struct("!III")
_CRC = struct.Struct("!I")
_OVERHEAD_BYTES = _PRELUDE.size + _CRC.size
_FIXED = {2: struct.Struct("!b"), 3: struct.Struct("!h"), 4: struct.Struct("!i"), 5: struct.Struct("!q")}
_TIMESTAMP = struct.Struct("!q")
_LENGTH = struct.Struct("!H")


class FrameError(Exception):
    """The bytes are no event stream. The stream can't be read on from here."""


class Timestamp(int):
    """Unix milliseconds, a header type of its own on the wire."""


HeaderValue = bool | int | bytes | str | Timestamp


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its headers by name, and its payload."""

    headers: Mapping[str, HeaderValue]
    payload: bytes


def encode(headers: Mapping[str, HeaderValue], payload: bytes = b"") -> bytes:
    """One message's bytes."""
    encoded = encode_headers(headers)
    lengths = struct.pack("!II", len(encoded) + len(payload) + _OVERHEAD_BYTES, len(encoded))
    whole = lengths + _CRC.pack(crc32(lengths)) + encoded + payload
    return whole + _CRC.pack(crc32(whole))


def encode_headers(headers: Mapping[str, HeaderValue]) -> bytes:
    """Headers alone, as a signature of them needs. Plain integers are written as 32 bits."""
    out = bytearray()
    for name, value in headers.items():
        out.append(len(name))
        out += name.encode()
        match value:
            case bool():
                out.append(0 if value else 1)
            case Timestamp():
                out += b"\x08" + _TIMESTAMP.pack(value)
            case int():
                out += b"\x04" + _FIXED[4].pack(value)
            case bytes():
                out += b"\x06" + _LENGTH.pack(len(value)) + value
            case str():
                text = value.encode()
                out += b"\x07" + _LENGTH.pack(len(text)) + text
    return bytes(out)


class Decoder:
    """Takes bytes in any pieces and gives whole messages back. Holds at most one message that is not whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete. Raises `FrameError`; what came before it in ``data`` is lost."""
        buffer = self._buffer
        buffer += data
        messages, at = [], 0
        while len(buffer) - at >= _PRELUDE.size:
            total, headers_length, prelude_crc = _PRELUDE.unpack_from(buffer, at)
            if crc32(memoryview(buffer)[at : at + 8]) != prelude_crc:
                raise FrameError("the prelude's checksum does not match")
            if total > MAX_MESSAGE_BYTES or headers_length > total - _OVERHEAD_BYTES:
                raise FrameError(f"a message of {total} bytes with {headers_length} bytes of headers")
            if len(buffer) - at < total:
                break
            messages.append(_decode(bytes(memoryview(buffer)[at : at + total]), headers_length))
            at += total
        del buffer[:at]
        return messages

    @property
    def pending(self) -> bool:
        """Whether part of a message has come and not its end."""
        return bool(self._buffer)


def decode(data: bytes) -> Message:
    """Exactly one message. Raises `FrameError` when it is less or more."""
    decoder = Decoder()
    messages = decoder.feed(data)
    if len(messages) != 1 or decoder.pending:
        raise FrameError("not exactly one message")
    return messages[0]


def _decode(whole: bytes, headers_length: int) -> Message:
    if crc32(memoryview(whole)[: -_CRC.size]) != _CRC.unpack_from(whole, len(whole) - _CRC.size)[0]:
        raise FrameError("the message's checksum does not match")
    payload_at = _PRELUDE.size + headers_length
    try:
        headers = _decode_headers(whole, _PRELUDE.size, payload_at)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise FrameError("the headers cannot be read") from error
    return Message(headers, whole[payload_at : -_CRC.size])


def _decode_headers(whole: bytes, at: int, end: int) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    while at < end:
        name_end = at + 1 + whole[at]
        name = whole[at + 1 : name_end].decode()
        kind, at = whole[name_end], name_end + 1
        value: HeaderValue
        if kind in (0, 1):
            value = kind == 0
        elif kind in _FIXED:
            value = _FIXED[kind].unpack_from(whole, at)[0]
            at += _FIXED[kind].size
        elif kind == 8:
            value = Timestamp(_TIMESTAMP.unpack_from(whole, at)[0])
            at += _TIMESTAMP.size
        elif kind in (6, 7):
            value_at = at + _LENGTH.size
            at = value_at + _LENGTH.unpack_from(whole, at)[0]
            value = whole[value_at:at] if kind == 6 else whole[value_at:at].decode()
        elif kind == 9:
            value, at = whole[at : at + 16], at + 16
        else:
            raise FrameError(f"a header of unknown type {kind}")
        if name in headers:
            raise FrameError("a header twice")
        headers[name] = value
    if at != end:
        raise FrameError("a header runs over the headers' end")
    return headers
