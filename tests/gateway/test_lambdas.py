from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gateway.errors import ErrorCode, WireError
from gateway.lambdas import Function, Handle, InvocationFailed, now_ms
from streams.aws import as_error
from streams.errors import ConfigurationError, TimedOut
from streams.telemetry import Log, Metrics

EVENT = {"requestContext": {"routeKey": "heartbeat"}}
SECRET = "what-the-client-sent"


class Body:
    """A function that does what it is told."""

    def __init__(self, error: Exception | None = None, fails_to_open: int = 0) -> None:
        self.error = error
        self.fails_to_open = fails_to_open
        self.opened = self.closed = 0
        self.loops: set[int] = set()

    async def open(self, stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
        self.opened += 1
        if self.opened <= self.fails_to_open:
            raise ConfigurationError("TOKEN_ISSUER is not set")
        stack.callback(self._close)

        async def handle(event: dict[str, Any], context: Any) -> Any:
            self.loops.add(id(asyncio.get_running_loop()))
            if self.error is not None:
                raise self.error
            return {"statusCode": 200}

        return handle

    def _close(self) -> None:
        self.closed += 1


async def test_it_is_opened_once_for_many_at_once() -> None:
    body = Body()
    function = Function("test", body.open)
    await function.open()
    assert await asyncio.gather(*(function.handle(EVENT, None) for _ in range(5))) == [{"statusCode": 200}] * 5
    await function.close()
    assert (body.opened, body.closed) == (1, 1)
    await function.handle(EVENT, None)
    assert body.opened == 2
    await function.close()


def test_lambda_s_entry_keeps_its_loop() -> None:
    body = Body()
    function = Function("test", body.open)
    assert [function.run(EVENT, None) for _ in range(3)] == [{"statusCode": 200}] * 3
    assert (body.opened, len(body.loops)) == (1, 1)
    assert function._loop is not None
    function._loop.run_until_complete(function.close())
    function._loop.close()


async def test_a_failure_to_open_is_tried_again() -> None:
    function = Function("test", Body(fails_to_open=1).open)
    assert (await function.handle(EVENT, None))["statusCode"] == 500
    assert (await function.handle(EVENT, None))["statusCode"] == 200
    await function.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WireError(ErrorCode.SESSION_FULL, "Full."), "SESSION_FULL"),
        (TimedOut("reading"), "TIMEOUT"),
        (RuntimeError(SECRET), "INTERNAL_ERROR"),
    ],
)
async def test_errors_are_answered_and_logged_without_what_they_hold(
    error: Exception, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    function = Function("test", Body(error).open)
    answer = await function.handle(EVENT, None)
    assert json.loads(answer["body"])["code"] == code
    logged = caplog.text + repr([vars(record) for record in caplog.records])
    assert code in logged
    assert SECRET not in logged + answer["body"]


async def test_of_a_service_s_error_only_its_code_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    answer = {"Error": {"Code": "ValidationException", "Message": SECRET}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    error = ClientError(answer, "UpdateItem")
    function = Function("test", Body(as_error(error, "reading a row")).open)
    told = await function.handle(EVENT, None)
    logged = caplog.text + repr([vars(record) for record in caplog.records])
    assert "ValidationException" in logged
    assert "reading a row" in logged
    assert SECRET not in logged + told["body"]


async def test_where_nobody_waits_lambda_is_to_try_again() -> None:
    function = Function("test", Body(RuntimeError(SECRET)).open, answers=False)
    with pytest.raises(InvocationFailed) as failed:
        await function.handle({}, None)
    assert SECRET not in repr(failed.value)
    assert failed.value.__suppress_context__


def test_the_clock_is_in_milliseconds() -> None:
    assert 1_600_000_000_000 < now_ms() < 4_000_000_000_000
