"""Invocations of our functions by each other. That the gateway takes them is shown by its own tests."""

from typing import Any

import msgspec
import pytest

from gateway.invoking import invoking
from streams.errors import Unavailable


class Task(msgspec.Struct, rename="camel"):
    session_id: str


class Functions:
    """Lambda's client: what it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self._error = error

    async def invoke(self, **arguments: Any) -> None:
        if self._error is not None:
            raise self._error
        self.asked.append(arguments)


async def test_a_task_is_handed_over_and_not_waited_for() -> None:
    functions = Functions()
    await invoking(functions, "herald", "notify")(Task("golden-eagle-427"))
    assert functions.asked == [
        {
            "FunctionName": "herald-notify",
            "InvocationType": "Event",
            "Payload": b'{"sessionId":"golden-eagle-427"}',
        }
    ]


async def test_a_function_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(Unavailable, match="invoking status"):
        await invoking(Functions(ConnectionRefusedError()), "herald", "status")(Task("s"))
