"""A stage's snapshot as bytes: MessagePack of a struct whose field `v` is its major version. Pure."""

from typing import TypeVar

import msgspec

from streams.errors import BadRecord, NewerVersion

State = TypeVar("State", bound=msgspec.Struct)


class _Header(msgspec.Struct):
    v: int = 1


def encode(state: msgspec.Struct) -> bytes:
    """The snapshot's bytes."""
    return msgspec.msgpack.encode(state)


def decode(data: bytes, kind: type[State], version: int) -> State:
    """What `encode` was given, as the struct that this release has for it.

    version: the newest that it reads. Raises NewerVersion, by name, for a later one; BadRecord for what is no snapshot.
    """
    try:
        found = msgspec.msgpack.decode(data, type=_Header).v
        if found > version:
            raise NewerVersion(f"{kind.__name__} has version {found}; this release reads up to {version}")
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise BadRecord(f"{len(data)} bytes are no {kind.__name__}: {type(error).__name__}") from error
