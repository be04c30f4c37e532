from __future__ import annotations

import pytest

from local.kinesis.limits import DAY_MS, MIB, Bucket, ShardLimits, resizes_in_last_day


def test_a_bucket_gives_a_seconds_worth_and_fills_again() -> None:
    bucket = Bucket(10, 0)
    for _ in range(10):
        assert bucket.has(1, 0)
        bucket.take(1)
    assert [bucket.has(1, now_ms) for now_ms in (0, 99, 100)] == [False, False, True]
    assert bucket.has(10, 1_100)
    bucket.take(10)
    assert not bucket.has(1, 500)  # a clock that runs back gives nothing


def test_a_large_amount_passes_when_full_and_leaves_a_debt() -> None:
    bucket = Bucket(2, 0)
    assert bucket.has(10, 0)
    bucket.take(10)
    assert bucket.wait_ms(0) == 4_001
    assert bucket.wait_ms(4_000) == 0


def test_a_shard_takes_a_thousand_records_or_a_mebibyte_a_second() -> None:
    limits = ShardLimits(1.0, 0)
    assert sum(limits.admit_write(10, 0) for _ in range(1_500)) == 1_000
    limits = ShardLimits(1.0, 0)
    assert sum(limits.admit_write(MIB // 4, 0) for _ in range(10)) == 4
    assert limits.admit_write(MIB // 4, 250)


def test_a_record_of_the_greatest_size_fits_an_idle_shard() -> None:
    assert ShardLimits(1.0, 0).admit_write(MIB + 256, 0)


def test_a_refused_record_costs_nothing() -> None:
    limits = ShardLimits(1.0, 0)
    assert limits.admit_write(MIB - 100, 0)
    assert not limits.admit_write(1_000, 0)
    assert limits.admit_write(100, 0)


def test_a_shard_answers_five_reads_a_second() -> None:
    limits = ShardLimits(1.0, 0)
    assert [limits.admit_read(0) for _ in range(6)] == [True] * 5 + [False]
    assert limits.admit_read(200)


def test_ten_megabytes_silence_a_shard_for_four_seconds_more() -> None:
    limits = ShardLimits(1.0, 0)
    assert limits.admit_read(0)
    limits.charge_read(10 * MIB)
    assert not limits.admit_read(3_900)
    assert limits.admit_read(4_100)


def test_limits_scale() -> None:
    limits = ShardLimits(0.1, 0)
    assert sum(limits.admit_write(10, 0) for _ in range(500)) == 100


@pytest.mark.parametrize(("now_ms", "expected"), [(DAY_MS, [1, DAY_MS]), (DAY_MS + 1, [DAY_MS]), (2 * DAY_MS, [])])
def test_resizes_of_a_rolling_day(now_ms: int, expected: list[int]) -> None:
    assert resizes_in_last_day([1, DAY_MS], now_ms) == expected
