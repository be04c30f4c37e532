"""Streams, shards and their lineage. Pure: no I/O, no clock, no randomness; `now_ms` is passed in.

A stream is a list of shards in the order of their birth. Each open shard owns a range of the 128-bit hash
space, the open ranges tile that space at every moment, and a shard never reopens: a change closes parents
and opens children that name them.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import msgspec

from local.kinesis import errors, sequence
from local.kinesis.limits import RESIZES_PER_DAY, resizes_in_last_day

MAX_HASH_KEY = (1 << 128) - 1
Status = Literal["CREATING", "DELETING", "ACTIVE", "UPDATING"]
FilterType = Literal[
    "AFTER_SHARD_ID", "AT_TRIM_HORIZON", "FROM_TRIM_HORIZON", "AT_LATEST", "AT_TIMESTAMP", "FROM_TIMESTAMP"
]


class Shard(msgspec.Struct, dict=True):
    """One shard. `uid` is the store's key for its records and is unique among living streams."""

    index: int
    uid: int
    stamp_ms: int  # creation as sequence numbers tell it: later than the parents'
    starting_hash_key: str  # decimal, as on the wire: 128 bits do not fit a MessagePack integer
    ending_hash_key: str
    parents: tuple[int, ...]  # none, one (split) or two (merge) shard numbers
    created_ms: int
    closed_ms: int | None = None
    last_counter: int = 0  # of the newest record, durable or not
    last_at_ms: int = 0  # its arrival time, which never runs backwards within a shard

    @cached_property
    def shard_id(self) -> str:
        """As on the wire: `shardId-` and twelve digits."""
        return shard_id(self.index)

    @property
    def parent_ids(self) -> list[str]:
        """The ids of its parents, the one whose range comes first or that was named first in front."""
        return [shard_id(parent) for parent in self.parents]

    @cached_property
    def start(self) -> int:
        """First hash key."""
        return int(self.starting_hash_key)

    @cached_property
    def end(self) -> int:
        """Last hash key, inclusive."""
        return int(self.ending_hash_key)

    @cached_property
    def sequence_base(self) -> int:
        """What all its sequence numbers share."""
        return sequence.shard_base(self.stamp_ms, self.index)

    @property
    def is_open(self) -> bool:
        """Whether it takes records."""
        return self.closed_ms is None

    def sequence_number(self, counter: int) -> str:
        """Of the record with this counter."""
        return sequence.number(self.sequence_base, counter)

    def accept(self, now_ms: int) -> int:
        """Number a new record; its arrival time is `last_at_ms` afterwards."""
        self.last_counter += 1
        self.last_at_ms = max(now_ms, self.last_at_ms)
        return self.last_counter

    def was_open_at(self, at_ms: int) -> bool:
        """At any moment the shards for which this holds tile the hash space."""
        return self.created_ms <= at_ms and (self.closed_ms is None or self.closed_ms > at_ms)

    def locate(self, sequence_number: str, stream: str) -> int:
        """The counter in a sequence number of this shard.

        Raises:
            KinesisError: it is none, or another shard's.
        """
        try:
            parsed = sequence.parse(sequence_number)
        except ValueError:
            parsed = None
        if parsed is not None and parsed.shard_index != self.index:
            raise errors.invalid_argument(
                f"Invalid StartingSequenceNumber. It encodes {shard_id(parsed.shard_index)}, "
                f"while it was used in a call to a shard with {self.shard_id}"
            )
        if parsed is None or parsed.stamp_ms != self.stamp_ms:
            raise errors.invalid_argument(
                f"StartingSequenceNumber {sequence_number} used in GetShardIterator on shard {self.shard_id} "
                f"in stream {stream} under account {errors.ACCOUNT_ID} is invalid because it did not come "
                "from this stream."
            )
        return parsed.counter


class Split(msgspec.Struct, tag=True, frozen=True):
    """Cut a shard in two at a hash key (decimal), which begins the second child."""

    index: int
    at: str


class Merge(msgspec.Struct, tag=True, frozen=True):
    """Join two adjacent shards."""

    index: int
    adjacent: int


class Resize(msgspec.Struct, tag=True, frozen=True):
    """Cut the hash space into so many equal shards."""

    target: int


Change = Split | Merge | Resize


class Consumer(msgspec.Struct):
    """A registered consumer of enhanced fan-out."""

    name: str
    created_ms: int
    active_at_ms: int  # CREATING before it
    tags: dict[str, str] = {}


class Stream(msgspec.Struct, dict=True):
    """One stream. What a call has asked for and is not yet true waits in `pending` until `until_ms`."""

    name: str
    created_ms: int
    shards: list[Shard] = []
    status: Status = "ACTIVE"
    until_ms: int = 0
    pending: Change | None = None
    retention_hours: int = 24
    mode: Literal["PROVISIONED", "ON_DEMAND"] = "PROVISIONED"
    key_id: str | None = None  # the KMS key's name while encrypted
    tags: dict[str, str] = {}
    shard_metrics: list[str] = []
    resizes_ms: list[int] = []
    consumers: dict[str, Consumer] = {}

    @property
    def arn(self) -> str:
        """Its Amazon resource name."""
        return stream_arn(self.name)

    @cached_property
    def _routing(self) -> tuple[list[int], list[Shard]]:
        shards = sorted((shard for shard in self.shards if shard.is_open), key=lambda shard: shard.start)
        return [shard.start for shard in shards], shards

    @property
    def open_shards(self) -> list[Shard]:
        """In the order of the hash space."""
        return self._routing[1]

    def route(self, hash_key: int) -> Shard:
        """The open shard that owns a hash key."""
        starts, shards = self._routing
        return shards[bisect.bisect_right(starts, hash_key) - 1]

    def shard(self, name: str) -> Shard:
        """By its id, open or closed.

        Raises:
            KinesisError: there is none.
        """
        digits = name.removeprefix("shardId-")
        if digits.isascii() and digits.isdigit() and int(digits) < len(self.shards):
            return self.shards[int(digits)]
        raise errors.shard_not_found(self.name, name)

    def children(self, parent: Shard) -> list[Shard]:
        """The shards that a closed shard's records go on in."""
        return [shard for shard in self.shards if parent.index in shard.parents]

    def live_shards(self, now_ms: int, hour_ms: int) -> list[Shard]:
        """All but those that closed longer ago than the retention period."""
        horizon_ms = now_ms - self.retention_hours * hour_ms
        return [shard for shard in self.shards if shard.closed_ms is None or shard.closed_ms >= horizon_ms]

    def filter_shards(
        self, kind: FilterType | None, after: str | None, at_ms: int, now_ms: int, hour_ms: int
    ) -> list[Shard]:
        """The shards that ListShards' filter asks for, by number."""
        live = self.live_shards(now_ms, hour_ms)
        match kind:
            case "AFTER_SHARD_ID":
                first = self.shard(after or "").index
                return [shard for shard in live if shard.index > first]
            case "AT_LATEST":
                return [shard for shard in live if shard.is_open]
            case "AT_TRIM_HORIZON":
                horizon_ms = max(self.created_ms, now_ms - self.retention_hours * hour_ms)
                return [shard for shard in live if shard.was_open_at(horizon_ms)]
            case "AT_TIMESTAMP":
                return [shard for shard in live if shard.was_open_at(max(at_ms, self.created_ms))]
            case "FROM_TIMESTAMP":
                return [shard for shard in live if shard.closed_ms is None or shard.closed_ms >= at_ms]
            case _:
                return live

    def populate(self, count: int, uids: Iterator[int]) -> None:
        """Open the first `count` shards, of equal ranges."""
        for start, end in even_ranges(count):
            self._open(start, end, (), uids, self.created_ms)
        self._topology_changed()

    def check(self, change: Change, now_ms: int, *, limited: bool = True) -> None:
        """Refuse a change that the service would refuse; `limited` applies the account's limits too.

        Raises:
            KinesisError: with the service's code.
        """
        match change:
            case Split():
                self._check_split(change)
            case Merge():
                self._check_merge(change)
            case Resize():
                self._check_resize(change, now_ms, limited=limited)

    def apply(self, change: Change, now_ms: int, uids: Iterator[int]) -> None:
        """Make a checked change true."""
        match change:
            case Split():
                self._split(self.shards[change.index], int(change.at), now_ms, uids)
            case Merge():
                self._merge(self.shards[change.index], self.shards[change.adjacent], now_ms, uids)
            case Resize():
                self._resize(change.target, now_ms, uids)
        self._topology_changed()

    def _topology_changed(self) -> None:
        self.__dict__.pop("_routing", None)

    def _open(self, start: int, end: int, parents: tuple[int, ...], uids: Iterator[int], now_ms: int) -> Shard:
        stamp_ms = max([now_ms, *(self.shards[parent].stamp_ms + 1 for parent in parents)])
        shard = Shard(
            index=len(self.shards),
            uid=next(uids),
            stamp_ms=stamp_ms,
            starting_hash_key=str(start),
            ending_hash_key=str(end),
            parents=parents,
            created_ms=max([now_ms, *(self.shards[parent].closed_ms or 0 for parent in parents)]),
        )
        self.shards.append(shard)
        return shard

    def _close(self, shard: Shard, now_ms: int) -> None:
        shard.closed_ms = max(now_ms, shard.created_ms, shard.last_at_ms)

    def _open_shard_named(self, index: int) -> Shard:
        shard = self.shards[index]
        if not shard.is_open:
            raise errors.invalid_argument(
                f"Shard {shard.shard_id} in stream {self.name} under account {errors.ACCOUNT_ID} has already "
                "been merged or split, and thus is not eligible for merging or splitting."
            )
        return shard

    def _check_split(self, change: Split) -> None:
        shard, at = self._open_shard_named(change.index), int(change.at)
        # The service wants one key at least on the left and two on the right.
        if not shard.start + 1 < at < shard.end:
            raise errors.invalid_argument(
                f"NewStartingHashKey {change.at} used in SplitShard() on shard {shard.shard_id} in stream "
                f"{self.name} under account {errors.ACCOUNT_ID} is not both greater than one plus the shard's "
                f"StartingHashKey {shard.start} and less than the shard's EndingHashKey {shard.end}."
            )

    def _check_merge(self, change: Merge) -> None:
        one, other = self._open_shard_named(change.index), self._open_shard_named(change.adjacent)
        if one.end + 1 != other.start and other.end + 1 != one.start:
            raise errors.invalid_argument(
                f"Shards {one.shard_id} and {other.shard_id} in stream {self.name} under account "
                f"{errors.ACCOUNT_ID} are not an adjacent pair of shards eligible for merging"
            )

    def _check_resize(self, change: Resize, now_ms: int, *, limited: bool) -> None:
        current, target = len(self.open_shards), change.target
        counts = f"Current open shard count: {current} Target shard count: {target}"
        if target == current:
            raise errors.invalid_argument(f"Target shard count is the current open shard count. {counts}")
        if target > 2 * current:
            raise errors.limit_exceeded(
                f"UpdateShardCount cannot scale up over double your current open shard count. {counts}"
            )
        if 2 * target < current:
            raise errors.limit_exceeded(
                f"UpdateShardCount cannot scale down below half your current open shard count. {counts}"
            )
        if limited and len(resizes_in_last_day(self.resizes_ms, now_ms)) >= RESIZES_PER_DAY:
            raise errors.limit_exceeded(
                f"UpdateShardCount: request limit exceeded: {RESIZES_PER_DAY} per rolling 24 hours for stream "
                f"{self.name} under account {errors.ACCOUNT_ID}."
            )

    def _split(self, shard: Shard, at: int, now_ms: int, uids: Iterator[int]) -> None:
        self._close(shard, now_ms)
        self._open(shard.start, at - 1, (shard.index,), uids, now_ms)
        self._open(at, shard.end, (shard.index,), uids, now_ms)

    def _merge(self, one: Shard, other: Shard, now_ms: int, uids: Iterator[int]) -> Shard:
        self._close(one, now_ms)
        self._close(other, now_ms)
        start, end = min(one.start, other.start), max(one.end, other.end)
        return self._open(start, end, (one.index, other.index), uids, now_ms)

    def _resize(self, target: int, now_ms: int, uids: Iterator[int]) -> None:
        """Split at every border of the target that is none yet, then merge what lies between two borders.

        Every step is one that SplitShard or MergeShards could have made, so every child names its parents.
        """
        ranges = list(even_ranges(target))
        for start, _ in ranges:
            shard = self.route(start)
            if shard.start != start:
                self._split(shard, start, now_ms, uids)
                self._topology_changed()
        for start, end in ranges:
            inside = [shard for shard in self.open_shards if start <= shard.start and shard.end <= end]
            merged = inside[0]
            for shard in inside[1:]:
                merged = self._merge(merged, shard, now_ms, uids)
            self._topology_changed()


def even_ranges(count: int) -> Iterator[tuple[int, int]]:
    """The hash space in `count` equal ranges, ends inclusive."""
    borders = [part * (MAX_HASH_KEY + 1) // count for part in range(count + 1)]
    return ((start, end - 1) for start, end in itertools.pairwise(borders))


def hash_key(partition_key: str) -> int:
    """Where a partition key lies in the hash space: MD5, as the service documents it."""
    digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big")


def shard_id(index: int) -> str:
    """As on the wire: `shardId-` and twelve digits."""
    return f"shardId-{index:012d}"


def stream_arn(name: str) -> str:
    """A stream's Amazon resource name."""
    return f"arn:aws:kinesis:{errors.REGION}:{errors.ACCOUNT_ID}:stream/{name}"
