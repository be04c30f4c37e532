import random
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.ordering import (
    CONNECTIONS_REMEMBERED,
    REMEMBERED,
    STALL_MS,
    UNNUMBERED_STALL_MS,
    UNNUMBERED_WAIT_MS,
    WAIT_MS,
    Ordered,
    Ordering,
)
from streams.records import AudioChunk
from streams.stage import Input, Position


class Step(NamedTuple):
    """What arrives, when the stream had it, and what passes then. None: nothing arrives, the clock moves."""

    sequence: int | None
    at_ms: int
    ready: list[int]
    repeated: Sequence[int] = ()
    late: Sequence[int] = ()


def numbered(sequence: int, written_ms: int, connection: str = "c") -> Input:
    pcm = sequence.to_bytes(4, "little")
    chunk = AudioChunk(session_id="s", connection=connection, admitted_at_ms=0, sequence=sequence, pcm=pcm)
    return Input(Position("shard", 0), chunk, written_ms, written_ms)


def unnumbered(captured_ms: int, written_ms: int, content: int | None = None) -> Input:
    pcm = (captured_ms if content is None else content).to_bytes(4, "little")
    chunk = AudioChunk(
        session_id="s", connection="c", admitted_at_ms=captured_ms + 10, captured_at_ms=captured_ms, pcm=pcm
    )
    return Input(Position("shard", 0), chunk, written_ms, written_ms)


def content(inputs: list[Input]) -> list[int]:
    return [int.from_bytes(one.record.pcm, "little") for one in inputs if isinstance(one.record, AudioChunk)]


def seen(ordered: Ordered) -> tuple[list[int], list[int], list[int]]:
    return content(ordered.ready), content(ordered.repeated), content(ordered.late)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Step(0, 0, [0]), Step(1, 100, [1]), Step(2, 200, [2])], id="in order"),
        pytest.param([Step(0, 0, [0]), Step(2, 200, []), Step(1, 210, [1, 2])], id="swapped"),
        pytest.param([Step(1, 0, []), Step(0, 5, [0, 1])], id="swapped at the start"),
        pytest.param([Step(7, 0, []), Step(8, WAIT_MS, [7, 8])], id="a session that begins in the middle"),
        pytest.param([Step(0, 0, [0]), Step(0, 5, [], [0]), Step(1, 100, [1])], id="a repeat of what has passed"),
        pytest.param([Step(0, 0, [0]), Step(2, 5, []), Step(2, 6, [], [2]), Step(1, 7, [1, 2])], id="of what waits"),
        pytest.param([Step(0, 0, [0]), Step(2, 200, []), Step(3, 200 + WAIT_MS, [2, 3])], id="missing for good"),
        pytest.param(
            [Step(0, 0, [0]), Step(2, 200, []), Step(3, 200 + WAIT_MS, [2, 3]), Step(1, 300 + WAIT_MS, [], [], [1])],
            id="late: its place has been passed",
        ),
        pytest.param(
            [
                Step(0, 0, [0]),
                Step(2, 0, []),
                Step(3, WAIT_MS, [2, 3]),
                Step(1, WAIT_MS + 1, [], [], [1]),
                Step(1, WAIT_MS + 2, [], [1]),
            ],
            id="late once, then a repeat",
        ),
        pytest.param([Step(0, 0, [0]), Step(2, 200, []), Step(None, 200 + STALL_MS, [2])], id="the stream has stopped"),
        pytest.param([Step(0, 0, [0]), Step(2, 200, []), Step(None, 199 + STALL_MS, [])], id="not yet"),
        pytest.param(
            [
                Step(0, 0, [0]),
                Step(2, 10, []),
                Step(5, 300, []),
                Step(6, 10 + WAIT_MS, [2]),
                Step(7, 300 + WAIT_MS, [5, 6, 7]),
            ],
            id="two gaps, each with its own wait",
        ),
    ],
)
def test_chunks_with_numbers(steps: list[Step]) -> None:
    ordering = Ordering()
    for sequence, at_ms, ready, repeated, late in steps:
        passed = ordering.release(at_ms) if sequence is None else ordering.push(numbered(sequence, at_ms), at_ms)
        assert seen(passed) == (ready, list(repeated), list(late)), f"at {at_ms} ms"


def test_a_reader_that_is_behind_does_not_give_up_what_it_has_not_read_yet() -> None:
    """The stream had chunk 1 in time; the reader, a minute behind, was slow between two records."""
    ordering = Ordering()
    assert content(ordering.push(numbered(0, 0), 60_000).ready) == [0]
    assert content(ordering.push(numbered(2, 200), 60_001).ready) == []
    assert content(ordering.push(numbered(1, 220), 60_001 + WAIT_MS * 2).ready) == [1, 2]


def test_a_reader_that_is_held_up_waits_until_it_has_been_able_to_read() -> None:
    ordering = Ordering()
    ordering.push(numbered(1, 0), 0)
    ordering.push(unnumbered(5, 0), 0)
    for now_ms in range(0, 60_000, 500):
        ordering.postpone(now_ms)
        assert ordering.release(now_ms).ready == []
    assert ordering.wake_at_ms() == now_ms + UNNUMBERED_STALL_MS
    assert content(ordering.release(now_ms + UNNUMBERED_STALL_MS).ready) == [5]
    assert ordering.wake_at_ms() == now_ms + STALL_MS
    assert content(ordering.release(now_ms + STALL_MS).ready) == [1]
    assert ordering.wake_at_ms() is None


def test_a_speaker_who_sends_again_in_order_what_was_refused_is_waited_for() -> None:
    ordering = Ordering()
    ordering.push(numbered(0, 0), 0)
    ordering.push(numbered(9, 0), 0)  # it got in when those before it did not
    passed: list[int] = []
    for sequence in range(1, 9):
        passed += content(ordering.push(numbered(sequence, sequence * (WAIT_MS - 300)), 0).ready)
    assert passed == list(range(1, 10))


def test_after_a_shut_door_the_next_chunk_hardly_waits_for_those_that_were_refused() -> None:
    """Row W3: a speaker that resumes is heard at once; what overtakes another is put in order all the same."""
    ordering = Ordering()
    ordering.push(numbered(0, 0), 0)
    ordering.release(50, everything=True)
    ordering.reopen()
    assert content(ordering.push(numbered(31, 3_010), 3_010).ready) == []
    ordering = Ordering(ordering.memory())
    ordering.put_back(numbered(31, 3_010), 0)
    assert content(ordering.push(numbered(30, 3_020), 3_020).ready) == []
    assert content(ordering.push(numbered(32, 3_010 + UNNUMBERED_WAIT_MS), 3_110).ready) == [30, 31, 32]
    assert content(ordering.push(numbered(34, 3_300), 3_300).ready) == []  # from here on as ever
    assert content(ordering.push(numbered(35, 3_300 + UNNUMBERED_WAIT_MS), 3_400).ready) == []
    assert content(ordering.push(numbered(36, 3_300 + WAIT_MS), 4_800).ready) == [34, 35, 36]


def test_after_a_shut_door_a_chunk_that_stays_alone_does_not_wait_long() -> None:
    ordering = Ordering()
    ordering.push(numbered(0, 0), 0)
    ordering.reopen()
    ordering.push(numbered(9, 1_000), 1_000)
    assert ordering.wake_at_ms() == 1_000 + UNNUMBERED_STALL_MS
    assert content(ordering.release(1_000 + UNNUMBERED_STALL_MS).ready) == [9]


def test_a_speaker_who_did_not_count_while_the_door_was_shut_goes_on_at_once() -> None:
    ordering = Ordering()
    ordering.push(numbered(0, 0), 0)
    ordering.reopen()
    assert content(ordering.push(numbered(1, 5_000), 5_000).ready) == [1]


def test_nothing_is_waited_for_beyond_its_bound_however_much_comes_in_order() -> None:
    ordering = Ordering()
    ordering.push(numbered(0, 0), 0)
    ordering.push(numbered(1_000, 0), 0)
    steps = range(1, STALL_MS // 100 + 1)
    passed = [content(ordering.push(numbered(sequence, sequence * 100), 0).ready) for sequence in steps]
    assert passed[:-1] == [[sequence] for sequence in steps[:-1]]
    assert passed[-1] == [steps[-1], 1_000]


def test_the_end_of_a_session_lets_everything_pass_in_order() -> None:
    ordering = Ordering()
    for sequence in (5, 3, 9):
        assert ordering.push(numbered(sequence, 0), 0).ready == []
    assert len(ordering.waiting()) == 3
    assert content(ordering.release(0, everything=True).ready) == [3, 5, 9]
    assert ordering.waiting() == []


def test_connections_have_their_own_numbers() -> None:
    ordering = Ordering()
    passed = [
        *ordering.push(numbered(0, 0, "a"), 0).ready,
        *ordering.push(numbered(0, 1, "b"), 1).ready,
        *ordering.push(numbered(1, 2, "a"), 2).ready,
        *ordering.push(numbered(1, 3, "b"), 3).ready,
    ]
    assert content(passed) == [0, 0, 1, 1]


def test_what_is_remembered_is_bounded() -> None:
    ordering = Ordering()
    for i in range(3 * CONNECTIONS_REMEMBERED):
        ordering.push(numbered(0, 0, f"connection {i}"), 0)
    assert len(ordering.memory().expected) == CONNECTIONS_REMEMBERED
    ordering.push(numbered(10 * REMEMBERED, 0, "connection 11"), 0)
    ordering.release(STALL_MS)
    assert len(ordering._skipped) == REMEMBERED
    for i in range(2 * REMEMBERED):
        ordering.push(unnumbered(i * 1_000, i * 1_000), i * 1_000)
    assert len(ordering._passed) == REMEMBERED


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        pytest.param([(0, 0), (100, 100), (200, 200)], [0, 100, 200], id="in order"),
        pytest.param([(100, 0), (0, 20), (200, 60)], [0, 100, 200], id="swapped"),
        pytest.param([(0, 0), (0, 3), (100, 50)], [0, 100], id="written twice, while it waits"),
        pytest.param([(0, 0), (100, 150), (0, 160), (100, 170)], [0, 100], id="written twice, after it has passed"),
    ],
)
def test_chunks_without_numbers_are_ordered_by_time(arrivals: list[tuple[int, int]], expected: list[int]) -> None:
    ordering = Ordering()
    passed = [one for captured, at_ms in arrivals for one in ordering.push(unnumbered(captured, at_ms), at_ms).ready]
    passed += ordering.release(10_000).ready
    assert content(passed) == expected


def test_a_chunk_without_a_number_is_late_when_later_ones_have_passed() -> None:
    ordering = Ordering()
    ordering.push(unnumbered(200, 0), 0)
    assert content(ordering.push(unnumbered(400, UNNUMBERED_WAIT_MS), 0).ready) == [200]
    assert content(ordering.push(unnumbered(100, 150), 0).late) == [100]


def test_two_chunks_of_the_same_moment_are_both_kept() -> None:
    ordering = Ordering()
    ordering.push(unnumbered(0, 0, content=1), 0)
    ordering.push(unnumbered(0, 0, content=2), 0)
    assert content(ordering.release(STALL_MS).ready) == [1, 2]


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(0, WAIT_MS // 2), st.booleans())
def test_whatever_the_lambdas_reorder_comes_out_in_order_and_once(
    seed: int, count: int, spread_ms: int, has_numbers: bool
) -> None:
    """Reordered within the wait, some written twice, read in pages at any time after."""
    choice = random.Random(seed)
    if not has_numbers:
        spread_ms = min(spread_ms, UNNUMBERED_WAIT_MS)
    arrivals = []
    for i in range(count):
        for _ in range(1 + (choice.random() < 0.2)):
            written_ms = 20 * i + choice.randint(0, spread_ms)
            arrivals.append((written_ms, numbered(i, written_ms) if has_numbers else unnumbered(20 * i, written_ms)))
    arrivals.sort(key=lambda arrival: arrival[0])
    lag_ms = choice.choice([0, 0, 50_000])
    ordering = Ordering()
    passed: list[Input] = []
    accounted = 0
    now_ms = 0
    for written_ms, received in arrivals:
        now_ms = max(now_ms + choice.randint(0, STALL_MS // 2 if lag_ms else 0), written_ms + lag_ms)
        ordered = ordering.push(received, now_ms)
        passed += ordered.ready
        accounted += len(ordered.ready) + len(ordered.repeated)
        assert ordered.late == []
    last = ordering.release(now_ms, everything=True)
    passed += last.ready
    assert content(passed) == [i if has_numbers else 20 * i for i in range(count)]
    assert accounted + len(last.ready) == len(arrivals)
    assert ordering.waiting() == []


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.integers(2, 40))
def test_every_chunk_is_accounted_for_whatever_is_lost_or_late(seed: int, count: int) -> None:
    choice = random.Random(seed)
    kept = [i for i in range(count) if choice.random() < 0.7]
    arrivals = sorted((20 * i + choice.randint(0, 3 * WAIT_MS), i) for i in kept)
    ordering = Ordering()
    passed: list[int] = []
    late = 0
    for written_ms, i in arrivals:
        ordered = ordering.push(numbered(i, written_ms), written_ms)
        passed += content(ordered.ready)
        late += len(ordered.late) + len(ordered.repeated)
    passed += content(ordering.release(0, everything=True).ready)
    assert passed == sorted(set(passed))
    assert len(passed) + late == len(kept)
