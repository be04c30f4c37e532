"""The ordered writer and shards as data, on the real twin with its faults."""

import asyncio
import time
from collections import defaultdict
from typing import Any

import aiohttp
import pytest

from streams.errors import NotFound, Throttled
from streams.fence import LOOK_EVERY_S
from streams.kinesis import MAX_HASH, OrderedWriter, Page, get_iterator, get_page, hash_of, list_shards
from tests.streams.conftest import make_stream


async def set_faults(url: str, *faults: dict[str, Any]) -> None:
    async with aiohttp.ClientSession() as http:
        await http.put(f"{url}/_herald/faults", json=list(faults))


async def patient_page(kinesis: Any, shard_id: str, iterator: str) -> Page:
    """A page, however many others read the shard: they share 5 reads per second."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await get_page(kinesis, shard_id, iterator)
            except Throttled:
                await asyncio.sleep(0.25)


async def read_all(kinesis: Any, stream: str) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = defaultdict(list)
    for shard in await list_shards(kinesis, stream):
        iterator: str | None = await get_iterator(kinesis, stream, shard.shard_id, ShardIteratorType="TRIM_HORIZON")
        behind = 1
        while iterator is not None and behind:
            page = await patient_page(kinesis, shard.shard_id, iterator)
            for stored in page.records:
                found[stored.key].append(stored.data)
            iterator, behind = page.iterator, page.behind_ms
    return found


async def test_each_key_s_records_are_in_the_order_of_put(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix, 2)
    writer = OrderedWriter(kinesis, stream)
    puts = [writer.put(f"k{n % 7}", b"%d" % n) for n in range(200)]
    places = await asyncio.gather(*puts)
    assert len(set(places)) == 200
    found = await read_all(kinesis, stream)
    assert found == {f"k{k}": [b"%d" % n for n in range(k, 200, 7)] for k in range(7)}
    await writer.close()


async def test_partial_failures_are_sent_again_in_order_and_once(kinesis: Any, kinesis_url: str, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix, 2)
    writer = OrderedWriter(kinesis, stream)
    await set_faults(kinesis_url, {"kind": "partial", "operation": "PutRecords", "probability": 0.5, "count": 20})
    try:
        await asyncio.gather(*[writer.put(f"k{n % 5}", b"%d" % n) for n in range(100)])
    finally:
        await set_faults(kinesis_url)
    assert await read_all(kinesis, stream) == {f"k{k}": [b"%d" % n for n in range(k, 100, 5)] for k in range(5)}
    await writer.close()


async def test_a_record_whose_owner_may_not_write_waits_and_can_be_withdrawn(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream)
    may_go = False
    kept, withdrawn = (writer.put(key, b"x", lambda: may_go) for key in ("kept", "withdrawn"))
    await asyncio.sleep(3 * LOOK_EVERY_S)
    assert not kept.done()
    withdrawn.cancel()
    may_go = True
    await kept
    assert await read_all(kinesis, stream) == {"kept": [b"x"]}
    await writer.close()


async def test_a_throttled_stream_is_tried_again_until_it_takes_the_record(
    kinesis: Any, kinesis_url: str, prefix: str
) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream)
    await set_faults(kinesis_url, {"kind": "throttle", "operation": "PutRecords", "count": 3})
    try:
        await writer.put("k", b"x")
    finally:
        await set_faults(kinesis_url)
    assert await read_all(kinesis, stream) == {"k": [b"x"]}
    await writer.close()


async def test_bounded_attempts_end_with_the_error(kinesis: Any, kinesis_url: str, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream, attempts=2)
    await set_faults(kinesis_url, {"kind": "throttle", "operation": "PutRecords", "count": 2})
    try:
        with pytest.raises(Throttled):
            await writer.put("k", b"x")
    finally:
        await set_faults(kinesis_url)
    await writer.put("k", b"y")
    assert await read_all(kinesis, stream) == {"k": [b"y"]}
    await writer.close()


async def test_what_waits_behind_a_record_that_is_given_up_is_given_up_with_it(
    kinesis: Any, kinesis_url: str, prefix: str
) -> None:
    stream = await make_stream(kinesis, prefix, 1)
    writer = OrderedWriter(kinesis, stream, attempts=2, in_flight=1)
    await set_faults(kinesis_url, {"kind": "throttle", "operation": "PutRecords", "count": 2})
    try:
        first = writer.put("s", b"1")
        await asyncio.sleep(0)  # it is on its way when the others come
        behind = [writer.put("s", b"2"), writer.put("s", b"3")]
        other = writer.put("another", b"4")
        results = await asyncio.gather(first, *behind, other, return_exceptions=True)
        assert [type(result) for result in results[:3]] == [Throttled] * 3
        await asyncio.gather(*[writer.put("s", data) for data in (b"1", b"2", b"3")])
    finally:
        await set_faults(kinesis_url)
    assert await read_all(kinesis, stream) == {"s": [b"1", b"2", b"3"], "another": [b"4"]}
    await writer.close()


class Watched:
    """The client, with the records of each request, and a gate before it."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.gate = asyncio.Event()
        self.requests: list[list[bytes]] = []

    async def put_records(self, **arguments: Any) -> Any:
        self.requests.append([row["Data"] for row in arguments["Records"]])
        await self.gate.wait()
        return await self._client.put_records(**arguments)


async def test_records_that_may_go_together_share_a_request_with_others_of_their_key(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix, 2)
    client = Watched(kinesis)
    writer = OrderedWriter(client, stream)
    first = writer.put("s", b"0", together=True)
    while not client.requests:
        await asyncio.sleep(0)
    behind = [writer.put("s", b"%d" % number, together=number != 4) for number in range(1, 7)]
    other = writer.put("t", b"t")
    client.gate.set()
    places = await asyncio.gather(first, *behind, other)
    assert client.requests == [[b"0"], [b"t"], [b"1", b"2", b"3"], [b"4"], [b"5", b"6"]]
    assert sorted(places[:-1]) == places[:-1]
    assert await read_all(kinesis, stream) == {"s": [b"%d" % number for number in range(7)], "t": [b"t"]}
    await writer.close()


async def test_after_a_request_of_several_the_next_waits_and_takes_more(kinesis: Any, prefix: str) -> None:
    client = Watched(kinesis)
    client.gate.set()
    writer = OrderedWriter(client, await make_stream(kinesis, prefix), pace_s=2.0)
    began_s = time.monotonic()
    for number in range(3):
        await writer.put("lone", b"%d" % number)
    await asyncio.gather(*(writer.put(key, b"") for key in "ab"))
    assert time.monotonic() - began_s < 6.0  # a lone one holds up nobody: else it were three paces
    paced = [writer.put("c", b"")]
    await asyncio.sleep(0.1)
    assert len(client.requests) == 4
    await asyncio.gather(*paced, writer.put("d", b""))
    assert client.requests[3:] == [[b"", b""], [b"", b""]]
    await writer.close()


async def test_of_records_that_went_together_each_that_failed_is_sent_again_before_what_waits(
    kinesis: Any, kinesis_url: str, prefix: str
) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream)
    await set_faults(kinesis_url, {"kind": "partial", "operation": "PutRecords", "count": 2})
    try:
        puts = [writer.put("s", b"%d" % number, together=True) for number in range(20)]
        await asyncio.sleep(0)
        behind = writer.put("s", b"behind")
        await asyncio.gather(*puts, behind)
    finally:
        await set_faults(kinesis_url)
    (found,) = (await read_all(kinesis, stream)).values()
    assert sorted(found[:-1]) == sorted(b"%d" % number for number in range(20))
    assert found[-1] == b"behind"
    await writer.close()


async def test_what_went_together_is_given_up_with_all_that_waits_behind_it(
    kinesis: Any, kinesis_url: str, prefix: str
) -> None:
    stream = await make_stream(kinesis, prefix)
    writer = OrderedWriter(kinesis, stream, attempts=1)
    await set_faults(kinesis_url, {"kind": "throttle", "operation": "PutRecords", "count": 1})
    try:
        puts = [writer.put("s", b"%d" % number, together=True) for number in range(3)]
        withdrawn = writer.put("s", b"withdrawn", together=True)
        withdrawn.cancel()
        await asyncio.sleep(0)
        puts.append(writer.put("s", b"behind", together=True))
        results = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(result) for result in results] == [Throttled] * 4
        await writer.put("s", b"next")
    finally:
        await set_faults(kinesis_url)
    assert await read_all(kinesis, stream) == {"s": [b"next"]}
    await writer.close()


async def test_a_missing_stream_is_an_error_that_no_retry_mends(kinesis: Any) -> None:
    writer = OrderedWriter(kinesis, "nothing-of-that-name")
    with pytest.raises(NotFound):
        await writer.put("k", b"x")
    with pytest.raises(NotFound):
        await list_shards(kinesis, "nothing-of-that-name")
    await writer.close()


async def test_shards_know_their_range_and_lineage(kinesis: Any, prefix: str) -> None:
    stream = await make_stream(kinesis, prefix)
    await kinesis.split_shard(StreamName=stream, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    await kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 0.05})
    parent, left, right = await list_shards(kinesis, stream)
    assert (parent.is_open, left.is_open, right.is_open) == (False, True, True)
    assert left.parents == right.parents == (parent.shard_id,)
    assert (left.start_hash, right.end_hash) == (0, MAX_HASH)
    assert left.overlaps(parent)
    assert not left.overlaps(right)
    for key in ("golden-eagle-427", "a", "b", "c"):
        assert parent.holds(key)
        assert left.holds(key) != right.holds(key)
        assert left.holds(key) == (hash_of(key) < 2**127)


class Unruly:
    """A client that fails in a way that nobody foresaw, once, and holds back until told."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.sent: list[bytes] = []

    async def put_records(self, **arguments: Any) -> dict[str, Any]:
        await self.gate.wait()
        rows = [row["Data"] for row in arguments["Records"]]
        if b"unforeseen" in rows:
            raise LookupError
        self.sent += rows
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in rows]}


async def test_an_error_that_nobody_foresaw_reaches_who_waits_and_frees_the_key() -> None:
    client = Unruly()
    client.gate.set()
    writer = OrderedWriter(client, "stream")
    with pytest.raises(LookupError):
        await writer.put("k", b"unforeseen")
    await writer.put("k", b"next")
    assert client.sent == [b"next"]
    await writer.close()


async def test_what_was_withdrawn_before_it_was_sent_is_not_sent() -> None:
    client = Unruly()
    writer = OrderedWriter(client, "stream")
    first = writer.put("k", b"first")
    await asyncio.sleep(0)
    second, third = writer.put("k", b"second"), writer.put("k", b"third")
    second.cancel()
    client.gate.set()
    await asyncio.gather(first, third)
    assert client.sent == [b"first", b"third"]
    await writer.close()
