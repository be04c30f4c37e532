from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.lambdas import InvocationFailed
from gateway.routes import FUNCTIONS, FunctionSpec
from local.gateway import functions as module
from local.gateway.functions import FunctionFailed, Functions, load

SPEC = FunctionSpec("control", "somewhere.handler", 512, 10)


class Body:
    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.contexts: list[Any] = []
        self.opened = self.closed = 0

    async def handle(self, event: dict[str, Any], context: Any) -> Any:
        self.contexts.append(context)
        if self.errors:
            raise self.errors.pop(0)
        return event

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.closed += 1

    def functions(self, spec: FunctionSpec = SPEC) -> Functions:
        return Functions({spec.name: (spec, self.handle)}, self.open, self.close)


async def test_an_invocation_has_a_context() -> None:
    body = Body()
    assert await body.functions().invoke("control", {"a": 1}, "r1") == {"a": 1}
    [context] = body.contexts
    assert (context.function_name, context.aws_request_id, context.memory_limit_in_mb) == ("control", "r1", "512")
    assert 9_000 < context.get_remaining_time_in_millis() <= 10_000


@pytest.mark.parametrize("error", [RuntimeError("secret"), InvocationFailed("x")])
async def test_what_it_raises_is_not_repeated(error: Exception) -> None:
    with pytest.raises(FunctionFailed) as failed:
        await Body(error).functions().invoke("control", {}, "r")
    assert "secret" not in str(failed.value)
    assert failed.value.__suppress_context__


async def test_it_is_ended_at_its_time_limit() -> None:
    async def for_ever(event: dict[str, Any], context: Any) -> Any:
        await asyncio.Event().wait()

    spec = SPEC._replace(time_limit_s=0)
    with pytest.raises(FunctionFailed, match="time limit"):
        await Functions({"control": (spec, for_ever)}, Body().open, Body().close).invoke("control", {}, "r")


async def test_asynchronous_ones_are_made_three_times_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASYNC_RETRIES_S", (0.0, 0.0))
    for failures, calls in ((1, 2), (2, 3), (5, 3)):
        body = Body(*[RuntimeError()] * failures)
        functions = body.functions()
        functions.invoke_later("control", {}, "r")
        await functions.close(5)
        assert len(body.contexts) == calls
    with pytest.raises(KeyError):
        Body().functions().invoke_later("nobody", {}, "r")


async def test_closing_ends_what_does_not_end() -> None:
    body = Body()
    functions = body.functions()
    await functions.open()
    task = functions.keep(asyncio.Event().wait())
    await functions.close(0.01)
    assert task.cancelled()
    assert (body.opened, body.closed) == (1, 1)


def test_the_project_s_own_are_found() -> None:
    functions = load(FUNCTIONS)
    assert all(spec.name in functions for spec in FUNCTIONS)
    assert "nobody" not in functions
