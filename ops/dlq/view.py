"""What a letter's bytes are, without what was said: kinds, ids, times and lengths. Pure."""

from typing import Any, Final

import msgspec

from streams.errors import BadRecord
from streams.records import decode

HIDDEN: Final = frozenset({"pcm", "transcriptText", "text", "ssml", "words", "reason", "connection"})
"""What holds speech or its text, or a client's own text, or points at somebody: given as a length."""
_KNOWN: Final = frozenset({"kind", "v", "sessionId"})


def view(data: bytes) -> dict[str, Any]:
    """A record as one object. Bytes that are no record: `error`, and what of a header can be read."""
    try:
        record = decode(data)
    except BadRecord as error:
        return {"error": f"{error.code}: {error}", "bytes": len(data)} | _header(data)
    fields = msgspec.to_builtins(record, builtin_types=(bytes,))
    return {name: _shown(name, value) for name, value in fields.items()}


def _shown(name: str, value: Any) -> Any:
    if name == "words":
        return {"count": len(value)}
    if name in HIDDEN:
        return {"bytes" if isinstance(value, bytes) else "characters": len(value)}
    return value


def _header(data: bytes) -> dict[str, Any]:
    """kind and version of a map that is no record of this release."""
    try:
        fields = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, ValueError):
        return {}
    if not isinstance(fields, dict):
        return {"is": type(fields).__name__}
    kind, version = fields.get("kind"), fields.get("v")
    found: dict[str, Any] = {}
    if isinstance(kind, str) and kind.isidentifier() and len(kind) <= 40:
        found["kind"] = kind
    if isinstance(version, int):
        found["v"] = version
    return found
