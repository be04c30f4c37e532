"""Messages of `application/vnd.amazon.eventstream`, the framing of SubscribeToShard. Pure.

A message is: total length and headers' length (4 bytes each), CRC-32 of those, headers, payload, CRC-32 of all
before. A header is a length-prefixed name, the type 7 (string) and a value with a 2-byte length.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

_STRING = 7
_PRELUDE_BYTES = 12
_OVERHEAD_BYTES = _PRELUDE_BYTES + 4


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message; header names up to 255 bytes, values up to 65,535."""
    encoded = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack(">II", _OVERHEAD_BYTES + len(encoded) + len(payload), len(encoded))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(kind: str, payload: bytes, content_type: str) -> bytes:
    """An event of a call's answer."""
    return message({":message-type": "event", ":event-type": kind, ":content-type": content_type}, payload)


def exception(code: str, payload: bytes, content_type: str) -> bytes:
    """An error that the service models, in the middle of a stream; the stream ends after it."""
    return message({":message-type": "exception", ":exception-type": code, ":content-type": content_type}, payload)


def _header(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack(">BH", _STRING, len(value)) + value
