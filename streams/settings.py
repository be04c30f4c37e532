"""Configuration: one frozen struct per program, read from the environment once, checked at start (row X5).

A field `stability_threshold: Annotated[float, Meta(ge=0.7, le=0.95)] = 0.85` is read from `STABILITY_THRESHOLD`. The
field's type and its bounds are the check; a default makes the variable optional; an empty one counts as unset.
"""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from streams.errors import ConfigurationError

Settings = TypeVar("Settings", bound=msgspec.Struct)


def load(cls: type[Settings], environ: Mapping[str, str]) -> Settings:
    """The program's settings.

    Raises ConfigurationError, naming the variable and what it wants, for the first one that is missing or wrong. The
    value is not repeated: it may be a secret.
    """
    values: dict[str, str] = {}
    for field in msgspec.structs.fields(cls):
        variable = field.encode_name.upper()
        text = environ.get(variable, "")
        if text != "":
            values[field.encode_name] = text
        elif field.required:
            raise ConfigurationError(f"{variable} is not set; it wants {_wants(field)}")
    for field in msgspec.structs.fields(cls):
        if field.encode_name in values:
            try:
                msgspec.convert(values[field.encode_name], field.type, strict=False)
            except msgspec.ValidationError as error:
                message = f"{field.encode_name.upper()} is wrong: {error}; it wants {_wants(field)}"
                raise ConfigurationError(message) from error
    return msgspec.convert(values, cls, strict=False)


def _wants(field: msgspec.structs.FieldInfo) -> str:
    schema = msgspec.json.schema(field.type)
    words = [str(schema.get("type", schema.get("enum", "a value")))]
    if "minimum" in schema or "maximum" in schema:
        words.append(f"from {schema.get('minimum', '-∞')} to {schema.get('maximum', '∞')}")
    if "pattern" in schema:
        words.append(f"like {schema['pattern']}")
    return " ".join(words)
