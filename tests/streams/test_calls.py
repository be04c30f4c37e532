"""Row S5 as done: attempts, rounds, lanes, time limits, long-lived calls, and a breaker that holds calls back."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
import pytest

from streams import calls as calls_module
from streams.breakers import note_breakers
from streams.calls import Calls
from streams.errors import Failure, HeraldError, Refused, StreamBroken, Throttled, Unavailable
from streams.fence import LOOK_EVERY_S
from streams.policy import FAILURES_TO_OPEN, ROUNDS, Breaker
from streams.stage import Call, Replies, Reply, Request
from streams.telemetry import Log, Metrics


class Answer(msgspec.Struct, frozen=True, tag=True):
    text: str


class Ask(Request, frozen=True):
    dependency: ClassVar[str] = "oracle"
    text: str = ""


class AskOnce(Ask, frozen=True):
    attempts: ClassVar[int] = 1


class AskSoon(Ask, frozen=True):
    attempts: ClassVar[int] = 1
    time_limit_s: ClassVar[float] = 0.05


class Listen(Ask, frozen=True):
    long_lived: ClassVar[bool] = True
    time_limit_s: ClassVar[float] = 0.05


class Oracle:
    name = "oracle"

    def __init__(self, errors: list[HeraldError] | None = None) -> None:
        self.errors = errors or []
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.after_first_word: Callable[[], Any] | None = None

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Any:
        assert isinstance(request, Ask)
        self.asked.append(request.text)
        if isinstance(request, Listen) and request.text != "silence":
            replies(Answer("first word"))
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return Answer(request.text)

    async def close(self) -> None:
        return


class Desk:
    """Calls with somewhere for the replies to go."""

    def __init__(self, oracle: Oracle, may_go: Callable[[], bool] = lambda: True) -> None:
        self.metrics = Metrics("test")
        self.replies: list[tuple[str, Reply]] = []
        self.breakers: dict[str, Breaker] = {"oracle": Breaker(open_ms=100)}
        self._news = asyncio.Event()
        self.calls = Calls([oracle], self.breakers, self._take, Log("test"), self.metrics, may_go)

    def _take(self, session_id: str, reply: Reply) -> None:
        self.replies.append((session_id, reply))
        self._news.set()

    async def after(self, number: int) -> list[Reply]:
        async with asyncio.timeout(10):
            while len(self.replies) < number:
                self._news.clear()
                await self._news.wait()
        return [reply for _, reply in self.replies]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "backoff_ms", lambda failures, uniform: 0.0)
    monkeypatch.setattr(calls_module, "BREAKER_POLL_S", 0.01)


async def test_a_value_is_the_last_reply() -> None:
    desk = Desk(Oracle())
    desk.calls.start("s", Call("1", Ask("hello")))
    (reply,) = await desk.after(1)
    assert (reply.call_id, reply.value, reply.failure, reply.last) == ("1", Answer("hello"), None, True)
    assert 0 < reply.called_ms <= reply.answered_ms


async def test_transient_errors_are_tried_again_and_permanent_ones_are_not() -> None:
    oracle = Oracle([Unavailable("x"), Unavailable("x")])
    desk = Desk(oracle)
    desk.calls.start("s", Call("1", Ask("hello")))
    (reply,) = await desk.after(1)
    assert reply.value == Answer("hello")
    assert len(oracle.asked) == 3
    oracle.errors = [Refused("no")]
    desk.calls.start("s", Call("2", Ask("hello")))
    _, refused = await desk.after(2)
    assert refused.failure == Refused("no").as_failure()
    assert len(oracle.asked) == 4


async def test_a_call_that_fails_while_others_succeed_is_given_up_after_its_rounds() -> None:
    oracle = Oracle([Unavailable("x")] * 100)
    desk = Desk(oracle)
    desk.breakers["oracle"] = Breaker(failures_to_open=1_000)  # others succeed: it never opens
    desk.calls.start("s", Call("1", Ask("poison")))
    (reply,) = await desk.after(1)
    assert reply.failure == Failure("Unavailable", "x", True, attempts=ROUNDS * Ask.attempts)
    assert len(oracle.asked) == ROUNDS * Ask.attempts


async def test_a_service_that_answers_nobody_is_waited_for() -> None:
    oracle = Oracle([Unavailable("x")] * (FAILURES_TO_OPEN + 7))
    desk = Desk(oracle)
    desk.calls.start("s", Call("1", Ask("hello")))
    (reply,) = await desk.after(1)
    assert reply.value == Answer("hello")
    assert not desk.breakers["oracle"].is_open()


async def test_an_open_breaker_holds_guarded_calls_back() -> None:
    oracle = Oracle([Unavailable("x")] * FAILURES_TO_OPEN)
    desk = Desk(oracle)
    desk.calls.start("s", Call("1", Ask("first")))
    async with asyncio.timeout(5):
        while not desk.breakers["oracle"].is_open():
            await asyncio.sleep(0)
    asked = len(oracle.asked)
    desk.calls.start("s", Call("2", Ask("second")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(oracle.asked) == asked
    assert {reply.call_id for reply in await desk.after(2)} == {"1", "2"}


async def test_a_lane_keeps_order_and_calls_without_one_do_not_wait() -> None:
    oracle = Oracle()
    oracle.gate.clear()
    desk = Desk(oracle)
    for number in range(3):
        desk.calls.start("s", Call(f"lane{number}", Ask(f"lane{number}"), lane="audio"))
    desk.calls.start("s", Call("free", Ask("free")))
    desk.calls.start("t", Call("other", Ask("other"), lane="audio"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert oracle.asked == ["lane0", "free", "other"]
    oracle.gate.set()
    replies = await desk.after(5)
    assert [reply.call_id for reply in replies if reply.call_id.startswith("lane")] == ["lane0", "lane1", "lane2"]


async def test_no_answer_within_the_limit_is_a_failure() -> None:
    oracle = Oracle()
    oracle.gate.clear()
    desk = Desk(oracle)
    desk.calls.start("s", Call("1", AskSoon("hello")))
    (reply,) = await desk.after(1)
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.retryable) == ("TimedOut", True)


async def test_a_long_lived_call_is_limited_to_its_first_reply_only_and_not_repeated_after_it() -> None:
    oracle = Oracle([StreamBroken("ended")])
    oracle.gate.clear()
    desk = Desk(oracle)
    desk.calls.start("s", Call("1", Listen("talk")))
    (first,) = await desk.after(1)
    assert (first.value, first.last) == (Answer("first word"), False)
    await asyncio.sleep(2 * Listen.time_limit_s)  # far beyond the limit: nothing may happen
    assert len(desk.replies) == 1
    oracle.gate.set()
    _, last = await desk.after(2)
    assert last.failure == StreamBroken("ended").as_failure()
    assert oracle.asked == ["talk"]


async def test_a_bug_in_an_adapter_is_a_failure_that_says_where_and_repeats_nothing() -> None:
    class Broken(Oracle):
        async def perform(self, session_id: str, request: Request, replies: Replies) -> Any:
            raise KeyError("what was said")

    desk = Desk(Broken())
    desk.calls.start("s", Call("1", Ask("hello")))
    (reply,) = await desk.after(1)
    assert reply.failure is not None
    assert reply.failure.code == "AdapterError"
    assert "KeyError" in reply.failure.message
    assert "said" not in reply.failure.message


async def test_cancelled_calls_never_answer() -> None:
    oracle = Oracle()
    oracle.gate.clear()
    desk = Desk(oracle)
    desk.calls.start("s", Call("1", Ask("hello"), lane="audio"))
    desk.calls.start("s", Call("2", Ask("hello"), lane="audio"))
    desk.calls.start("t", Call("3", AskOnce("hello")))
    await asyncio.sleep(0)
    desk.calls.cancel("s")
    oracle.gate.set()
    await desk.after(1)
    await desk.calls.close()
    assert [(session_id, reply.call_id) for session_id, reply in desk.replies] == [("t", "3")]


async def test_a_long_lived_call_that_comes_to_life_closes_the_breaker_at_once() -> None:
    oracle = Oracle()
    oracle.gate.clear()
    desk = Desk(oracle)
    for _ in range(FAILURES_TO_OPEN):
        desk.breakers["oracle"].failed(0)
    desk.calls.start("s", Call("1", Listen("hello")))
    (reply,) = await desk.after(1)
    assert not reply.last
    assert not desk.breakers["oracle"].is_open()
    await desk.calls.close()


async def test_a_full_service_holds_back_who_asks_for_a_stream_and_nobody_else() -> None:
    oracle = Oracle([Throttled("x")] * 20)
    desk = Desk(oracle)
    desk.calls.start("s", Call("1", Listen("silence")))
    (reply,) = await desk.after(1)
    assert reply.failure == Failure("Throttled", "x", True, attempts=ROUNDS * Listen.attempts)
    assert not desk.breakers["oracle"].is_open()


async def test_no_call_begins_while_the_lease_is_not_certain_neither_a_first_nor_a_further_try() -> None:
    oracle = Oracle([Unavailable("x")])
    is_certain = False
    desk = Desk(oracle, may_go=lambda: is_certain)
    desk.calls.start("s", Call("1", Ask("hello")))
    await asyncio.sleep(3 * LOOK_EVERY_S)
    assert oracle.asked == []
    is_certain = True
    while not oracle.asked:
        await asyncio.sleep(0)
    is_certain = False
    await asyncio.sleep(3 * LOOK_EVERY_S)
    assert oracle.asked == ["hello"]
    is_certain = True
    (reply,) = await desk.after(1)
    assert (reply.value, oracle.asked) == (Answer("hello"), ["hello", "hello"])


async def test_what_became_of_calls_is_counted_by_dependency(capsys: pytest.CaptureFixture[str]) -> None:
    oracle = Oracle([Throttled("x"), Unavailable("x"), *([Unavailable("x")] * (FAILURES_TO_OPEN - 2))])
    desk = Desk(oracle)
    desk.calls.start("s", Call("1", Ask("hello")))
    await desk.after(1)
    note_breakers(desk.breakers, desk.metrics, 0)
    desk.metrics.flush()
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines() if "_aws" in line]
    assert {name: value for name, value in line.items() if name.startswith(("Oracle", "Circuit"))} == {
        "OracleCallErrors": FAILURES_TO_OPEN,
        "OracleCallThrottles": 1,
        "OracleCallRetries": FAILURES_TO_OPEN,
        "OracleBreakerOpened": 1,
        "OracleBreakerClosed": 1,
        "OracleBreakerState": [0],
        "CircuitBreakerOpened": 1,
        "CircuitBreakerClosed": 1,
    }


async def test_a_call_that_had_no_answer_in_time_is_counted_apart(capsys: pytest.CaptureFixture[str]) -> None:
    oracle = Oracle()
    oracle.gate.clear()
    desk = Desk(oracle)
    desk.calls.start("s", Call("1", AskSoon("hello")))
    await desk.after(1)
    desk.metrics.flush()
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["OracleCallTimeouts"] == 1
