"""What is wrong with a message, and what would be right, in one sentence (row W19). Pure.

It is said by the names of our own fields and what these take; nothing of what was sent is in it.
"""

import re
from typing import Any, Final

from msgspec import inspect

from gateway.errors import ErrorCode, WireError

VOLUMES: Final = frozenset({"volumeLevel", "state.volume"})
"""Fields whose faults have a code of their own."""

_PATH: Final = re.compile(r" - at `\$((?:\.\w+)+)")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")


def explain(error: Exception, kind: type[Any], what: str = "message") -> WireError:
    """The refusal of what is no `kind`. error: msgspec's; what: how the sentence calls the whole of it."""
    said = str(error)
    path = [name for found in _PATH.findall(said) for name in found.split(".")[1:]]
    missing = _MISSING.findall(said)
    field = ".".join([*path, *missing])
    expected = _expected(inspect.type_info(kind), [*path, *missing])
    if not field or expected is None:
        return WireError(ErrorCode.INVALID_MESSAGE, f"The {what} must be a JSON object.")
    code = ErrorCode.INVALID_VOLUME if field in VOLUMES else ErrorCode.INVALID_MESSAGE
    if missing:
        return WireError(code, f"{field} is missing; it must be {expected}.", field=field)
    return WireError(code, f"{field} must be {expected}.", field=field)


def _expected(kind: inspect.Type, path: list[str]) -> str | None:
    """What the field at a path takes; None if there is no such field."""
    for name in path:
        fields = kind.fields if isinstance(kind, inspect.StructType) else ()
        found = next((field.type for field in fields if field.encode_name == name), None)
        if found is None:
            return None
        kind = found
    return _described(kind)


def _described(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata(extra_json_schema={"description": str(description)}):
            return description
        case inspect.Metadata(type=inner):
            return _described(inner)
        case inspect.UnionType(types=types):
            members = [one for one in types if not isinstance(one, inspect.NoneType)]
            numbers = [one for one in members if isinstance(one, inspect.FloatType)]
            return _described((numbers or members)[0])
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(sorted(map(str, values)))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=least, le=most):
            return "a whole number" + _range(least, most)
        case inspect.FloatType(ge=least, le=most):
            return "a number" + _range(least, most)
        case inspect.StrType(min_length=least, max_length=most) if most is not None:
            return f"text of {least or 0} to {most} characters"
        case inspect.StrType():
            return "text"
    return "an object"


def _range(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return "" if least is None else f" of at least {least}"
