from __future__ import annotations

from local.kinesis.log import Logs, ShardLog, Stored


def _record(counter: int, size: int = 10) -> Stored:
    return Stored(counter, counter, "", bytes(size))


def _from(log: ShardLog, counter: int) -> list[int] | None:
    found = log.newest_from(counter)
    return None if found is None else [record.counter for record in found[0][found[1] :]]


def test_a_tail_is_read_from_any_counter_it_holds() -> None:
    log = ShardLog(0)
    for counter in (1, 2, 5, 6):  # 3 and 4: a commit that failed
        log.append(_record(counter))
    assert log.visible == 6
    assert _from(log, 0) is None  # nothing says that there is none before 1
    assert [_from(log, counter) for counter in (1, 3, 5, 6, 7)] == [[1, 2, 5, 6], [5, 6], [5, 6], [6], []]


def test_an_empty_tail_knows_nothing() -> None:
    assert ShardLog(9).newest_from(9) is None


def test_a_log_forgets_from_the_front() -> None:
    log = ShardLog(0)
    for counter in range(1, 1_001):
        log.append(_record(counter))
    for counter in range(1, 900):
        assert log.drop_oldest().counter == counter
    assert _from(log, 899) is None
    assert _from(log, 999) == [999, 1_000]


def test_memory_is_bounded_over_all_shards_and_the_oldest_goes_first() -> None:
    logs = Logs(max_bytes=35)
    logs.open(1, 0)
    logs.open(2, 0)
    logs.publish([(1, _record(1)), (2, _record(1)), (1, _record(2)), (2, _record(2))])
    assert [_from(logs[1], 1), _from(logs[1], 2), _from(logs[2], 1)] == [None, [2], [1, 2]]
    assert [logs[1].visible, logs[2].visible] == [2, 2]


def test_one_record_above_the_bound_is_kept() -> None:
    logs = Logs(max_bytes=5)
    logs.open(1, 0)
    logs.publish([(1, _record(1)), (1, _record(2))])
    assert _from(logs[1], 2) == [2]


def test_a_closed_log_leaves_room_and_takes_nothing() -> None:
    logs = Logs(max_bytes=20)
    for uid in (1, 2):
        logs.open(uid, 0)
    logs.publish([(1, _record(1)), (1, _record(2))])
    logs.close(1)
    logs.publish([(1, _record(3)), (2, _record(1)), (2, _record(2))])
    assert 1 not in logs
    assert _from(logs[2], 1) == [1, 2]


def test_the_size_of_a_record_is_data_and_key_in_bytes() -> None:
    assert Stored(1, 1, "é", b"abc").size_bytes == 5
