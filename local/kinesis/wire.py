"""The two encodings of the service, JSON 1.1 and CBOR, and how errors look in them. Pure.

A handler returns dicts, lists, text, numbers, bytes and `Timestamp`s. On the wire, bytes are base64 in JSON
and byte strings in CBOR; a timestamp is Unix seconds in JSON and, tagged, Unix *milliseconds* in CBOR, which
is what the AWS SDK for Java reads and writes (CBOR itself has seconds there).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import cbor2
import msgspec

from local.kinesis.errors import KinesisError, validation

JSON = "application/x-amz-json-1.1"
CBOR = "application/x-amz-cbor-1.1"
EVENT_STREAM = "application/vnd.amazon.eventstream"
_EPOCH_TAG = 1

Answer = Mapping[str, Any]
_Request = TypeVar("_Request", bound=msgspec.Struct)


class Timestamp:
    """A moment, in Unix milliseconds."""

    __slots__ = ("ms",)

    def __init__(self, ms: int) -> None:
        self.ms = ms


def encoding_of(content_type: str | None) -> str | None:
    """The encoding that a Content-Type names; None when the service does not speak it."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind in (CBOR, "application/cbor"):
        return CBOR
    return JSON if kind in (JSON, "application/json") else None


def decode(body: bytes, kind: type[_Request], encoding: str) -> _Request:
    """Read and validate a request.

    Raises:
        KinesisError: SerializationException when it cannot be read or a member is of the wrong type,
            ValidationException when a member breaks its constraint.
    """
    try:
        if encoding == JSON:
            return msgspec.json.decode(body or b"{}", type=kind)
        return msgspec.convert(_parse(body, encoding), type=kind)
    except msgspec.ValidationError as error:
        raise _constraint_error(str(error), _parse(body, encoding)) from None
    except (msgspec.DecodeError, cbor2.CBORDecodeError, UnicodeDecodeError):
        raise KinesisError("SerializationException", "The request cannot be read.") from None


def _milliseconds(value: float, _immutable: bool) -> float:
    return value / 1000


def _parse(body: bytes, encoding: str) -> Any:
    if encoding == JSON:
        return msgspec.json.decode(body or b"{}")
    return cbor2.loads(body, semantic_decoders={_EPOCH_TAG: _milliseconds}) if body else {}


def encode(answer: Answer, encoding: str) -> bytes:
    """Write an answer."""
    return _json_encoder.encode(answer) if encoding == JSON else cbor2.dumps(answer, encoders={Timestamp: _tagged})


def encode_error(error: KinesisError, encoding: str) -> bytes:
    """Write an error as the service does."""
    return encode({"__type": error.code, "message": error.message}, encoding)


def _seconds(value: object) -> float:
    if isinstance(value, Timestamp):
        return value.ms / 1000
    raise TypeError(f"no place on the wire for {type(value).__name__}")


def _tagged(encoder: cbor2.CBOREncoder, value: Timestamp) -> None:
    encoder.encode(cbor2.CBORTag(_EPOCH_TAG, value.ms))


_json_encoder = msgspec.json.Encoder(enc_hook=_seconds)

# What msgspec says of a broken constraint, and how the service says it.
_PATH = re.compile(r" - at `(?:key in )?\$(.*)`$")
_CONSTRAINTS = (
    (re.compile(r"of length <= (\d+)"), "Member must have length less than or equal to {}"),
    (re.compile(r"of length >= (\d+)"), "Member must have length greater than or equal to {}"),
    (re.compile(r"matching regex '\^?(.*?)\$?'$"), "Member must satisfy regular expression pattern: {}"),
    (re.compile(r"Expected `int` <= (\d+)"), "Member must have value less than or equal to {}"),
    (re.compile(r"Expected `int` >= (\d+)"), "Member must have value greater than or equal to {}"),
    (re.compile(r"Invalid enum value"), "Member must satisfy enum value set"),
)
_MISSING = re.compile(r"missing required field `(\w+)`")


def _constraint_error(message: str, request: Any) -> KinesisError:
    at = _PATH.search(message)
    path = at[1] if at else ""
    text = _PATH.sub("", message)
    if missing := _MISSING.search(text):
        return _validation(f"{path}.{missing[1]}", "null", "Member must not be null")
    for pattern, wording in _CONSTRAINTS:
        if found := pattern.search(text):
            value = _value_at(request, path)
            return _validation(path, value, wording.format(*found.groups()))
    return KinesisError("SerializationException", f"{_member(path)}: {text}")


def _validation(path: str, value: str, constraint: str) -> KinesisError:
    return validation(
        f"1 validation error detected: Value {value} at '{_member(path)}' failed to satisfy constraint: {constraint}"
    )


def _member(path: str) -> str:
    """`.Records[0].Data` as the service spells it: `records.1.member.data`."""
    parts = []
    for name, index in re.findall(r"\.(\w+)|\[(\d+|\.\.\.)\]", path):
        parts.append(
            name[:1].lower() + name[1:] if name else f"{int(index) + 1}.member" if index.isdigit() else "member"
        )
    return ".".join(parts)


def _value_at(request: Any, path: str) -> str:
    """The offending value in quotes; nothing of a record's data or key, which may be anybody's words."""
    value = request
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        if name in ("Records", "Data", "PartitionKey"):
            return "(not shown)"
        value = value.get(name) if isinstance(value, dict) and name else value
        value = value[int(index)] if isinstance(value, list) and index else value
    return f"'{value}'"
