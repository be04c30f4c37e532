"""The breaker of a stage's output stream (row S5), on the real twin with its faults."""

import asyncio
import json
import time
from typing import Any

import pytest

from streams.breakers import OUTPUT, Guard
from streams.kinesis import OrderedWriter
from streams.policy import FAILURES_TO_OPEN, Breaker
from streams.telemetry import Log, Metrics
from tests.streams.conftest import make_stream
from tests.streams.test_kinesis import read_all, set_faults

OPEN_MS = 400
FAILS = {"kind": "error", "operation": "PutRecords", "code": "InternalFailure"}


class Counting:
    """The client, with the times at which it was asked to put."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked_s: list[float] = []

    async def put_records(self, **arguments: Any) -> Any:
        self.asked_s.append(time.monotonic())
        return await self._client.put_records(**arguments)


def guard() -> Guard:
    return Guard(OUTPUT, Breaker(open_ms=OPEN_MS), Log("stage"), Metrics("stage"))


async def test_a_stream_that_takes_nothing_opens_the_breaker_and_a_probe_that_it_takes_closes_it(
    kinesis: Any,
    kinesis_url: str,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "stage")
    stream, client, mine = await make_stream(kinesis, prefix), Counting(kinesis), guard()
    writer = OrderedWriter(client, stream, guard=mine)
    await set_faults(kinesis_url, {**FAILS, "count": FAILURES_TO_OPEN + 1})
    try:
        first = writer.put("k", b"1")
        while not mine.breaker.is_open():
            await asyncio.sleep(0.01)
        assert mine.breaker.stops_reading(time.time_ns() // 1_000_000)
        asked = len(client.asked_s)
        await asyncio.gather(first, writer.put("k", b"2"), writer.put("l", b"3"))
    finally:
        await set_faults(kinesis_url)
    assert asked == FAILURES_TO_OPEN
    failed_probe_s, probe_s = client.asked_s[asked : asked + 2]
    assert min(failed_probe_s - client.asked_s[asked - 1], probe_s - failed_probe_s) >= OPEN_MS / 1000
    assert not mine.breaker.is_open()
    assert await read_all(kinesis, stream) == {"k": [b"1", b"2"], "l": [b"3"]}
    assert [record.getMessage() for record in caplog.records] == [
        "open: it is not called until a probe succeeds",
        "closed: it answers again",
    ]
    mine.metrics.flush()
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "_aws" in line]
    assert (line["OutputBreakerOpened"], line["OutputBreakerClosed"]) == (1, 1)
    await writer.close()


async def test_records_that_are_refused_among_others_open_no_breaker(
    kinesis: Any, kinesis_url: str, prefix: str
) -> None:
    stream, mine = await make_stream(kinesis, prefix), guard()
    writer = OrderedWriter(kinesis, stream, guard=mine)
    await set_faults(kinesis_url, {"kind": "partial", "operation": "PutRecords", "count": 2 * FAILURES_TO_OPEN})
    try:
        await asyncio.gather(*(writer.put(key, b"x") for key in "abcdefgh"))
    finally:
        await set_faults(kinesis_url)
    assert not mine.breaker.is_open()
    await writer.close()


async def test_a_probe_that_is_withdrawn_leaves_the_next_one_free() -> None:
    mine = guard()
    for _ in range(FAILURES_TO_OPEN):
        mine.failed("Unavailable", time.time_ns() // 1_000_000)

    class Silent:
        async def put_records(self, **_: Any) -> Any:
            await asyncio.Event().wait()

    writer = OrderedWriter(Silent(), "stream", guard=mine)
    put = writer.put("k", b"x")
    await asyncio.sleep(OPEN_MS / 1000 + 0.3)
    assert not mine.may_call()  # the probe is on its way
    put.cancel()
    await writer.close()
    assert mine.may_call()
