"""Invocations of our own functions by each other, without waiting for what they do."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from gateway.routes import FunctionName, physical_function_name
from streams.aws import as_error

Invoke = Callable[[msgspec.Struct], Awaitable[None]]


def invoking(functions: Any, prefix: str, name: FunctionName) -> Invoke:
    """Hands a task to the function called so. functions: Lambda's client. What it gives raises HeraldError."""

    async def invoke(task: msgspec.Struct) -> None:
        try:
            await functions.invoke(
                FunctionName=physical_function_name(prefix, name),
                InvocationType="Event",
                Payload=msgspec.json.encode(task),
            )
        except Exception as error:
            raise as_error(error, f"invoking {name}") from error

    return invoke
