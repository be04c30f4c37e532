"""One listener's queue."""

from hypothesis import given
from hypothesis import strategies as st

from stages.broadcast.lanes import Entry, Lane

BACKLOG_MS = 10_000
MAX_ENTRIES = 8


def entry(ticket: int, audio_ms: int, expires_ms: int = 1_000) -> Entry[int]:
    return Entry(ticket, [b""], audio_ms, expires_ms)


def test_the_oldest_sound_is_dropped_first_and_captions_stay() -> None:
    lane: Lane[int] = Lane(BACKLOG_MS, MAX_ENTRIES)
    for ticket, audio_ms in enumerate([0, 4_000, 4_000, 0]):
        assert lane.push(entry(ticket, audio_ms)) == []
    assert lane.push(entry(4, 4_000)) == [1]
    assert [lane.take(0)[0] for _ in range(5)] == [
        entry(0, 0),
        entry(2, 4_000),
        entry(3, 0),
        entry(4, 4_000),
        None,
    ]


def test_the_newest_is_kept_however_long() -> None:
    lane: Lane[int] = Lane(BACKLOG_MS, MAX_ENTRIES)
    lane.push(entry(0, 100))
    assert lane.push(entry(1, 30_000)) == [0]
    assert len(lane) == 1


def test_there_is_room_for_what_drops_nothing() -> None:
    lane: Lane[int] = Lane(BACKLOG_MS, 3)
    assert lane.has_room(15_000)
    lane.push(entry(0, 4_000))
    assert lane.has_room(6_000)
    assert not lane.has_room(6_001)
    lane.push(entry(1, 0))
    lane.push(entry(2, 0))
    assert not lane.has_room(0)


def test_what_waited_too_long_is_dropped() -> None:
    lane: Lane[int] = Lane(BACKLOG_MS, MAX_ENTRIES)
    lane.push(entry(0, 100, expires_ms=10))
    lane.push(entry(1, 100, expires_ms=20))
    assert lane.take(10) == (entry(1, 100, expires_ms=20), [0])


def test_nobody_waits_or_listens_any_more() -> None:
    lane: Lane[int] = Lane(BACKLOG_MS, MAX_ENTRIES)
    for ticket in range(3):
        lane.push(entry(ticket, 100))
    assert lane.discard(1)
    assert not lane.discard(1)
    assert lane.clear() == [0, 2]
    assert (len(lane), lane.waiting_ms) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from(["push", "take", "discard"]), st.integers(0, 6_000)), max_size=80))
def test_every_ticket_comes_out_once_in_order_within_the_bound(steps: list[tuple[str, int]]) -> None:
    lane: Lane[int] = Lane(BACKLOG_MS, MAX_ENTRIES)
    pushed, sent, ended = 0, [], []
    for now_ms, (step, number) in enumerate(steps):
        if step == "push":
            ended += lane.push(entry(pushed, number, expires_ms=now_ms + 20))
            pushed += 1
        elif step == "take":
            taken, late = lane.take(now_ms)
            ended += late
            sent += [taken.ticket] if taken else []
        elif lane.discard(number % max(1, pushed)):
            ended.append(number % max(1, pushed))
        assert lane.waiting_ms <= BACKLOG_MS
        assert len(lane) <= MAX_ENTRIES
    assert sent == sorted(sent)
    assert sorted([*sent, *ended, *lane.clear()]) == list(range(pushed))
