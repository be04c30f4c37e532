"""Kinesis as `streams` uses it, in memory, on the twin's own model of shards."""

import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from local.kinesis import model
from tests.simulation.loop import PROCESS, START_S, Process, SimulatedLoop
from tests.simulation.network import Network, service_error

ITERATOR_MS = 300_000
THROTTLED = "ProvisionedThroughputExceededException"


class Kept(NamedTuple):
    """A record in a shard; its counter is its index plus 1."""

    at_ms: int
    key: str
    data: bytes
    sequence: str


class SimulatedKinesis:
    """All streams, and the calls of aiobotocore's client. on_put: told of each record that becomes durable;
    on_start: of each writing that begins."""

    def __init__(self, loop: SimulatedLoop, network: Network, rng: random.Random) -> None:
        self._loop = loop
        self._network = network
        self._random = rng
        self._uids = itertools.count(1)
        self.streams: dict[str, model.Stream] = {}
        self.kept: dict[int, list[Kept]] = {}
        self.refusing = 0.0
        self.expired: set[int] = set()
        self.putting: Process | None = None
        """Who puts, for `on_put`."""
        self.on_start: Callable[[str, list[str], Process], None] = lambda stream, keys, process: None
        self.on_put: Callable[[str, model.Shard, Kept], None] = lambda stream, shard, kept: None

    def now_ms(self) -> int:
        return int((START_S + self._loop.time()) * 1000)

    # --- the operator's and the producer's hands -----------------------------------------------------------------

    def create(self, name: str, shards: int) -> None:
        stream = model.Stream(name, self.now_ms())
        stream.populate(shards, self._uids)
        self.streams[name] = stream
        self._keep_lists(stream)

    def change(self, name: str, change: model.Change) -> None:
        """Split or merge."""
        stream = self.streams[name]
        stream.apply(change, self.now_ms(), self._uids)
        self._keep_lists(stream)

    def expire(self, name: str, may: Callable[[model.Shard], bool] = lambda shard: True) -> None:
        """Let the retention of all closed shards be over that `may`."""
        self.expired |= {shard.uid for shard in self.streams[name].shards if not shard.is_open and may(shard)}

    def _keep_lists(self, stream: model.Stream) -> None:
        for shard in stream.shards:
            self.kept.setdefault(shard.uid, [])

    def put(self, name: str, key: str, data: bytes) -> tuple[model.Shard, Kept]:
        stream = self.streams[name]
        shard = stream.route(model.hash_key(key))
        kept = Kept(0, key, data, shard.sequence_number(shard.accept(self.now_ms())))
        kept = kept._replace(at_ms=shard.last_at_ms)
        self.kept[shard.uid].append(kept)
        self.on_put(name, shard, kept)
        return shard, kept

    # --- calls ---------------------------------------------------------------------------------------------------

    def shards_of(self, name: str, key: str) -> list[model.Shard]:
        """All that hold or have held a key."""
        place = model.hash_key(key)
        return [shard for shard in self.streams[name].shards if shard.start <= place <= shard.end]

    async def list_shards(self, **arguments: Any) -> Any:
        def effect() -> dict[str, Any]:
            stream = self.streams[arguments["StreamName"]]
            return {"Shards": [_description(shard) for shard in stream.shards if shard.uid not in self.expired]}

        return await self._call("ListShards", arguments["StreamName"], effect, "LimitExceededException")

    async def get_shard_iterator(self, **arguments: Any) -> Any:
        def effect() -> dict[str, Any]:
            stream = self.streams[arguments["StreamName"]]
            shard = stream.shard(arguments["ShardId"])
            if shard.uid in self.expired:
                raise service_error("GetShardIterator", "ResourceNotFoundException")
            match arguments["ShardIteratorType"]:
                case "TRIM_HORIZON":
                    counter = 1
                case "AT_SEQUENCE_NUMBER":
                    counter = shard.locate(arguments["StartingSequenceNumber"], stream.name)
                case "AFTER_SEQUENCE_NUMBER":
                    counter = shard.locate(arguments["StartingSequenceNumber"], stream.name) + 1
                case "AT_TIMESTAMP":
                    at_ms = arguments["Timestamp"].timestamp() * 1000
                    rows = self.kept[shard.uid]
                    counter = next((n for n, kept in enumerate(rows, 1) if kept.at_ms >= at_ms), len(rows) + 1)
                case kind:
                    raise AssertionError(kind)
            return {"ShardIterator": f"{stream.name}/{shard.index}/{counter}/{self.now_ms()}"}

        return await self._call("GetShardIterator", arguments["StreamName"], effect)

    async def get_records(self, **arguments: Any) -> Any:
        return await self._call(
            "GetRecords",
            arguments["ShardIterator"].partition("/")[0],
            lambda: self._read(arguments["ShardIterator"], arguments.get("Limit", 10_000)),
        )

    def _read(self, iterator: str, limit: int) -> dict[str, Any]:
        name, index, start, made_ms = iterator.split("/")
        now_ms = self.now_ms()
        if now_ms - int(made_ms) > ITERATOR_MS:
            raise service_error("GetRecords", "ExpiredIteratorException")
        shard = self.streams[name].shards[int(index)]
        rows, counter = self.kept[shard.uid], int(start)
        if self._random.random() < 0.3:  # a page may always be short, or empty
            limit = min(limit, self._random.randrange(4))
        page = rows[counter - 1 : counter - 1 + limit]
        counter += len(page)
        left = counter <= len(rows)
        answer: dict[str, Any] = {
            "Records": [
                {
                    "SequenceNumber": kept.sequence,
                    "PartitionKey": kept.key,
                    "Data": kept.data,
                    "ApproximateArrivalTimestamp": datetime.fromtimestamp(kept.at_ms / 1000, UTC),
                }
                for kept in page
            ],
            "MillisBehindLatest": max(1, now_ms - rows[counter - 1].at_ms) if left else 0,
        }
        if shard.is_open or left:
            answer["NextShardIterator"] = f"{name}/{index}/{counter}/{now_ms}"
        return answer

    async def put_records(self, **arguments: Any) -> Any:
        process = PROCESS.get()
        assert process is not None
        self.on_start(arguments["StreamName"], [row["PartitionKey"] for row in arguments["Records"]], process)

        def effect() -> dict[str, Any]:
            rows = []
            self.putting = process
            for row in arguments["Records"]:
                if self.refusing and self._random.random() < self.refusing:
                    if self._random.random() < 0.2:  # it is written, and will be written again
                        self.put(arguments["StreamName"], row["PartitionKey"], row["Data"])
                    rows.append({"ErrorCode": THROTTLED, "ErrorMessage": ""})
                    self._network.faults["a record refused"] += 1
                    continue
                shard, kept = self.put(arguments["StreamName"], row["PartitionKey"], row["Data"])
                rows.append({"ShardId": shard.shard_id, "SequenceNumber": kept.sequence})
            return {"Records": rows}

        return await self._call("PutRecords", arguments["StreamName"], effect)

    async def _call(
        self, operation: str, stream: str, effect: Callable[[], Any], throttle_code: str = THROTTLED
    ) -> Any:
        return await self._network.call(f"{operation} {stream}", effect, throttle_code)


def _description(shard: model.Shard) -> dict[str, Any]:
    row: dict[str, Any] = {
        "ShardId": shard.shard_id,
        "HashKeyRange": {"StartingHashKey": shard.starting_hash_key, "EndingHashKey": shard.ending_hash_key},
        "SequenceNumberRange": {"StartingSequenceNumber": shard.sequence_number(0)},
    }
    if not shard.is_open:
        row["SequenceNumberRange"]["EndingSequenceNumber"] = shard.sequence_number(shard.last_counter)
    for name, parent in zip(("ParentShardId", "AdjacentParentShardId"), shard.parent_ids, strict=False):
        row[name] = parent
    return row
