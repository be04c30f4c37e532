"""Delivery over a real management API and a real table."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest

from stages.broadcast.delivery import Delivery
from stages.broadcast.listeners import Listeners
from stages.broadcast.requests import Deliver, Delivered, Queued
from stages.broadcast.settings import BroadcastSettings
from streams.aws import Clients
from streams.errors import NotFound
from tests.stages.broadcast.speech import SESSION, caption, event, speech
from tests.support.listeners import make_connections_table, put_connection
from tests.support.management_api import ManagementApi, management_api
from tests.support.services import CREDENTIALS, dynamodb

QUICK = BroadcastSettings(listeners_ttl_ms=0, post_time_limit_ms=300, backlog_ms=1_000)
_numbers = count()


@pytest.fixture(scope="module")
def dynamodb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dynamodb(tmp_path_factory.mktemp("dynamodb")) as url:
        yield url


class Bench:
    """A delivery between its table and its gateway."""

    def __init__(self, api: ManagementApi, clients: Clients) -> None:
        self.api = api
        self._clients = clients
        self.table = ""
        self.queued: list[object] = []

    async def open(self, settings: BroadcastSettings = QUICK) -> None:
        self.dynamo = await self._clients.get("dynamodb")
        self.table = await make_connections_table(self.dynamo, f"t{next(_numbers)}")
        self.listeners = Listeners(self.dynamo, self.table, settings.listeners_ttl_ms)
        client = await self._clients.get("apigatewaymanagementapi")
        self.delivery = Delivery(client, self.listeners, settings)

    async def join(self, *connections: str, language: str = "es", returned: bool = False) -> None:
        for connection in connections:
            await put_connection(self.dynamo, self.table, connection, SESSION, language, returned=returned)

    async def deliver(self, record: Any) -> Delivered:
        return await self.delivery.perform(SESSION, Deliver(record, 7), self._note)

    def _note(self, value: Any) -> None:
        self.queued.append(value)

    async def deliver_all(self, records: list[Any]) -> list[Delivered]:
        """As the stage does: the next when the one before is queued."""
        tasks = []
        for record in records:
            before = len(self.queued)
            tasks.append(asyncio.create_task(self.deliver(record)))
            while len(self.queued) == before:
                await asyncio.sleep(0.001)
        return await asyncio.gather(*tasks)

    def heard(self, connection: str) -> list[tuple[int, int]]:
        return [(m["clause"], m["part"]) for m in self.api.received[connection] if m["type"] == "translatedAudio"]


@pytest.fixture
async def bench(dynamodb_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async with management_api() as api:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", api.url)
        async with Clients() as clients:
            made = Bench(api, clients)
            await made.open()
            yield made
            await made.delivery.close()


async def test_all_listeners_of_the_language_hear_it_in_order(bench: Bench) -> None:
    await bench.join("a=", "b=")
    await bench.join("c=", language="ca")
    results = await bench.deliver_all([speech(clause) for clause in range(4)])
    assert [result.reached for result in results] == [2, 2, 2, 2]
    assert all(result.posted_ms > 0 for result in results)
    assert bench.heard("a=") == bench.heard("b=") == [(clause, part) for clause in range(4) for part in range(2)]
    assert bench.heard("c=") == []
    assert max(bench.api.sizes) < 32 * 1024
    assert bench.delivery.lanes() == 0
    assert bench.queued == [Queued()] * 4


async def test_events_go_to_all_languages(bench: Bench) -> None:
    await bench.join("a=")
    await bench.join("c=", language="ca")
    assert (await bench.deliver(event("ended"))).reached == 2
    assert bench.api.received["c="][0]["type"] == "sessionEnded"
    assert (await bench.deliver(event("created"))).reached == 0


async def test_nobody_listens(bench: Bench) -> None:
    assert await bench.deliver(speech()) == Delivered()


async def test_a_gone_connection_is_removed(bench: Bench) -> None:
    await bench.join("a=", "b=")
    bench.api.gone.add("a=")
    result = await bench.deliver(speech())
    assert (result.reached, result.gone) == (1, 1)
    assert (await bench.listeners.find(SESSION, "es")).connections == ["b="]
    assert (await bench.deliver(speech(1))).gone == 0


async def test_others_are_tried_again_at_once_twice_and_then_for_as_long_as_it_may_wait(bench: Bench) -> None:
    await bench.join("a=")
    for failures in (2, 3):
        bench.api.broken["a="] = failures
        assert (await bench.deliver(speech(failures, ms=100))).reached == 1
    assert bench.heard("a=") == [(2, 0), (3, 0)]
    bench.api.broken["a="] = 1_000
    result = await bench.deliver(speech(4, ms=100))
    assert (result.reached, result.failed) == (0, 1)
    assert 4 <= 1_000 - bench.api.broken["a="] <= 6  # within 1 s
    bench.api.broken["a="] = 0
    assert (await bench.deliver(speech(5, ms=100))).reached == 1


async def test_a_stuck_listener_delays_no_other_and_nothing_for_ever(bench: Bench) -> None:
    await bench.join("stuck=", "well=")
    bench.api.stuck.add("stuck=")
    results = await bench.deliver_all([speech(clause, ms=600) for clause in range(6)])
    assert bench.heard("well=") == [(clause, 0) for clause in range(6)]
    assert all(result.reached == 1 and result.failed + result.dropped == 1 for result in results)
    assert any(result.dropped for result in results)
    assert bench.delivery.lanes() == 0


async def test_a_slow_listener_gets_whole_clauses_only(bench: Bench) -> None:
    await bench.open(BroadcastSettings(listeners_ttl_ms=0, post_time_limit_ms=10_000, backlog_ms=10_000))
    await bench.join("slow=", "well=")
    bench.api.held["slow="] = asyncio.Event()
    delivering = asyncio.create_task(bench.deliver_all([speech(clause, ms=4_000) for clause in range(5)]))
    while len(bench.queued) < 5:
        await asyncio.sleep(0.01)
    bench.api.held["slow="].set()
    results = await delivering
    assert bench.heard("well=") == [(clause, part) for clause in range(5) for part in range(6)]
    assert bench.heard("slow=") == [(clause, part) for clause in (0, 3, 4) for part in range(6)]
    assert [result.dropped for result in results] == [0, 1, 1, 0, 0]


async def test_posts_in_flight_are_bounded(bench: Bench) -> None:
    await bench.open(BroadcastSettings(listeners_ttl_ms=0, posts_in_flight=5))
    await bench.join(*(f"l{i}" for i in range(40)))
    bench.api.delay_s = {f"l{i}": 0.01 for i in range(40)}
    assert (await bench.deliver(caption())).reached == 40
    assert bench.api.most_in_flight == 5


async def test_a_cancelled_delivery_leaves_nothing_queued(bench: Bench) -> None:
    await bench.join("stuck=")
    bench.api.stuck.add("stuck=")
    tasks = [asyncio.create_task(bench.deliver(speech(clause, ms=100))) for clause in range(3)]
    while len(bench.queued) < 3:
        await asyncio.sleep(0.001)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    bench.api.stuck.clear()
    while bench.delivery.lanes():
        await asyncio.sleep(0.01)
    assert len(bench.heard("stuck=")) <= 1  # what was under way may go on


async def test_who_comes_back_is_shown_once_what_it_missed(bench: Bench) -> None:
    await bench.join("a=")
    for utterance in range(3):
        await bench.deliver(caption(utterance=utterance))
    await bench.join("new=")
    await bench.join("back=", returned=True)
    for utterance in (3, 4):
        await bench.deliver(caption(utterance=utterance))
    ids = {name: [m["utteranceId"] for m in bench.api.received[name]] for name in ("a=", "new=", "back=")}
    assert len(set(ids["a="])) == 5
    assert ids["back="] == ids["a="]
    assert ids["new="] == ids["a="][3:]
    assert bench.delivery.lanes() == 0


async def test_an_unknown_table_is_an_error_of_the_call(bench: Bench) -> None:
    bench.listeners._table = "no-such-table"
    with pytest.raises(NotFound):
        await bench.deliver(speech())


async def test_five_hundred_listeners_in_pages(bench: Bench) -> None:
    await bench.open(BroadcastSettings(listeners_ttl_ms=0, post_time_limit_ms=10_000, backlog_ms=60_000))
    names = [f"connection-{i:03}" for i in range(500)]
    await asyncio.gather(*(bench.join(*names[start::20]) for start in range(20)))
    assert sorted((await bench.listeners.find(SESSION, "es")).connections) == names
    assert (await bench.deliver(caption())).reached == 500


async def test_a_session_whose_listeners_are_all_slow_delays_no_other(bench: Bench) -> None:
    await bench.open(BroadcastSettings(listeners_ttl_ms=0, posts_in_flight=5))
    slow = [f"slow{i}" for i in range(60)]
    await asyncio.gather(*(bench.join(name) for name in slow))
    await put_connection(bench.dynamo, bench.table, "well=", "calm-fox-123", "es")
    bench.api.delay_s = dict.fromkeys(slow, 0.4)
    delivering = asyncio.create_task(bench.deliver(caption()))
    while bench.api.most_in_flight < 5:
        await asyncio.sleep(0.001)
    began = asyncio.get_running_loop().time()
    result = await bench.delivery.perform("calm-fox-123", Deliver(caption(), 7), bench._note)
    took_s = asyncio.get_running_loop().time() - began
    assert result.reached == 1
    assert not delivering.done()
    assert took_s < 2  # one post of the others; in the order of asking it would be all of them, 5 s
    assert (await delivering).reached == 60


async def test_listeners_that_are_slow_leave_most_slots_to_the_others(bench: Bench) -> None:
    await bench.open(BroadcastSettings(listeners_ttl_ms=0, posts_in_flight=5))
    slow = [f"slow{i}" for i in range(5)]
    await bench.join(*slow)
    bench.api.delay_s = dict.fromkeys(slow, 0.6)
    await bench.deliver(caption(0))
    bench.api.most_in_flight = 0
    assert (await bench.deliver(caption(1))).reached == 5
    assert bench.api.most_in_flight == 1
