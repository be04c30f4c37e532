"""Rate limits of a shard, as token buckets. The clock is passed in.

Sources of the numbers: Amazon Kinesis Data Streams Developer Guide, "Quotas and limits".
"""

from __future__ import annotations

from collections.abc import Sequence

MIB = 1 << 20
WRITE_BYTES_PER_S = 1 * MIB
WRITE_RECORDS_PER_S = 1_000
READ_BYTES_PER_S = 2 * MIB
READ_CALLS_PER_S = 5
GET_RECORDS_MAX_BYTES = 10 * MIB
GET_RECORDS_MAX_RECORDS = 10_000
PUT_RECORDS_MAX_BYTES = 5 * MIB
RESIZES_PER_DAY = 10
DAY_MS = 24 * 3_600_000
CONSUMERS_PER_STREAM = 20
SHARDS_PER_ACCOUNT = 20_000  # us-east-1
TAGS_PER_STREAM = 50


class Bucket:
    """Tokens that come back at a steady rate, one second's worth at the most.

    An amount above one second's worth passes when the bucket is full and leaves a debt, which is how a
    GetRecords of 10 MB silences a shard for the next seconds.
    """

    __slots__ = ("_capacity", "_tokens", "_updated_ms")

    def __init__(self, per_second: float, now_ms: int) -> None:
        self._capacity = per_second
        self._tokens = per_second
        self._updated_ms = now_ms

    def _refill(self, now_ms: int) -> None:
        if now_ms > self._updated_ms:
            gained = self._capacity * (now_ms - self._updated_ms) / 1000
            self._tokens = min(self._capacity, self._tokens + gained)
            self._updated_ms = now_ms

    def has(self, amount: float, now_ms: int) -> bool:
        """Whether `amount` may be taken now."""
        self._refill(now_ms)
        return self._tokens >= min(amount, self._capacity)

    def take(self, amount: float) -> None:
        """Take `amount`, into debt if need be. Ask `has` first."""
        self._tokens -= amount

    def wait_ms(self, now_ms: int) -> int:
        """Time until the debt is paid; 0 when there is none."""
        self._refill(now_ms)
        return 0 if self._tokens >= 0 else int(-self._tokens / self._capacity * 1000) + 1


class ShardLimits:
    """The four buckets of one shard; `scale` multiplies every rate."""

    __slots__ = ("_read_bytes", "_read_calls", "_write_bytes", "_write_records")

    def __init__(self, scale: float, now_ms: int) -> None:
        self._write_bytes = Bucket(WRITE_BYTES_PER_S * scale, now_ms)
        self._write_records = Bucket(WRITE_RECORDS_PER_S * scale, now_ms)
        self._read_bytes = Bucket(READ_BYTES_PER_S * scale, now_ms)
        self._read_calls = Bucket(READ_CALLS_PER_S * scale, now_ms)

    def admit_write(self, size_bytes: int, now_ms: int) -> bool:
        """Take one record of `size_bytes` (data and key) if both write limits allow it."""
        if not (self._write_records.has(1, now_ms) and self._write_bytes.has(size_bytes, now_ms)):
            return False
        self._write_records.take(1)
        self._write_bytes.take(size_bytes)
        return True

    def admit_read(self, now_ms: int) -> bool:
        """Take one GetRecords call if the call limit and what earlier calls returned allow it."""
        if self._read_bytes.wait_ms(now_ms) or not self._read_calls.has(1, now_ms):
            return False
        self._read_calls.take(1)
        return True

    def charge_read(self, size_bytes: int) -> None:
        """Account for what a GetRecords call has returned."""
        self._read_bytes.take(size_bytes)


def resizes_in_last_day(resizes_ms: Sequence[int], now_ms: int) -> list[int]:
    """The UpdateShardCount calls of the rolling 24 hours before `now_ms`."""
    return [at_ms for at_ms in resizes_ms if at_ms > now_ms - DAY_MS]
