import random
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.media_clock import SAMPLES_PER_MS
from streams.ordering import REMEMBERED, STALL_MS, WAIT_MS
from streams.records import AudioChunk
from streams.stage import Input, Position
from streams.timeline import PATIENT_BYTES, Passed, Timeline, TimelineState

START_MS = 1_700_000_000_000
CHUNK_MS = 100


def received(sequence: int, position: int, written_ms: int, *, has_number: bool = True) -> Input:
    at_ms = START_MS + sequence * CHUNK_MS
    chunk = AudioChunk(
        session_id="s",
        connection="c",
        admitted_at_ms=at_ms + 20,
        captured_at_ms=at_ms,
        sequence=sequence if has_number else None,
        pcm=bytes([sequence % 251]) * (CHUNK_MS * SAMPLES_PER_MS * 2),
    )
    return Input(Position("shard", position), chunk, START_MS + written_ms, START_MS + written_ms)


def test_chunks_are_placed_in_order_and_settled_ones_named() -> None:
    timeline = Timeline()
    first = timeline.push(received(0, 10, 0), START_MS)
    assert [(one.start_ms, one.end_ms, one.missing_samples) for one in first.placed] == [(0, 100, 0)]
    waiting = timeline.push(received(2, 11, 200), START_MS + 200)
    assert waiting == Passed([], [], [])
    assert timeline.held_bytes() == 3_200
    assert timeline.wake_at_ms() == START_MS + 200 + STALL_MS
    both = timeline.push(received(1, 12, 210), START_MS + 210)
    assert [(one.received.position.sequence, one.start_ms) for one in both.placed] == [(12, 100), (11, 200)]
    assert timeline.push(received(1, 13, 220), START_MS + 220).repeated == [Position("shard", 13)]
    assert timeline.now_ms == 300


def test_what_never_came_is_a_gap_and_late_when_it_comes() -> None:
    timeline = Timeline()
    timeline.push(received(0, 0, 0), START_MS)
    timeline.push(received(3, 1, 300), START_MS)
    passed = timeline.push(received(4, 2, 300 + WAIT_MS), START_MS)
    assert [(one.start_ms, one.missing_samples // SAMPLES_PER_MS) for one in passed.placed] == [(300, 200), (400, 0)]
    assert timeline.push(received(2, 3, 750), START_MS).late == [Position("shard", 3)]


def test_who_is_held_up_waits_for_what_is_missing_but_not_when_no_more_will_be_read() -> None:
    timeline = Timeline()
    timeline.push(received(0, 0, 0), START_MS)
    timeline.push(received(2, 1, 20), START_MS)
    timeline.on_held_up(START_MS + STALL_MS)
    assert timeline.release(START_MS + STALL_MS) == Passed([], [], [])
    assert timeline.wake_at_ms() == START_MS + 2 * STALL_MS
    for n in range(3, 4 + PATIENT_BYTES // 3_200):
        timeline.push(received(n, n, 20), START_MS + STALL_MS)
    assert timeline.held_bytes() > PATIENT_BYTES
    timeline.on_held_up(START_MS + 2 * STALL_MS)
    assert len(timeline.release(START_MS + 2 * STALL_MS).placed) > 20


def test_the_end_lets_everything_pass() -> None:
    timeline = Timeline()
    timeline.push(received(5, 0, 0), START_MS)
    assert [one.chunk.sequence for one in timeline.release(START_MS, everything=True).placed] == [5]


def test_a_stub_is_no_audio_that_is_held_and_keeps_its_place() -> None:
    timeline = Timeline()
    timeline.push(received(0, 0, 0, has_number=False), START_MS)
    timeline.push(received(1, 1, 20, has_number=False), START_MS + 20)
    restored = Timeline(timeline.state())
    assert restored.held_bytes() == 0
    passed = restored.push(received(2, 2, 200, has_number=False), START_MS + 200)
    assert passed.placed == []
    passed = restored.release(0, everything=True)
    assert [(one.received.position.sequence, one.start_ms) for one in passed.placed] == [(2, 200)]


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.booleans())
def test_a_timeline_restored_from_any_settled_moment_places_every_chunk_alike(seed: int, has_numbers: bool) -> None:
    """As the driver does it: a snapshot counts once all inputs up to it have passed; those after it come again."""
    choice = random.Random(seed)
    count = choice.randint(2, 40)
    arrivals = sorted((CHUNK_MS * i + choice.randint(0, 80 if not has_numbers else 200), i) for i in range(count))
    inputs = [received(i, place, written_ms, has_number=has_numbers) for place, (written_ms, i) in enumerate(arrivals)]
    timeline = Timeline()
    placed: dict[int, int] = {}
    states: list[bytes] = []
    done_at: list[int] = []  # for each input: how many had been given when it had passed
    passed_at: dict[int, int] = {}
    for given_count, one in enumerate(inputs, 1):
        passed = timeline.push(one, one.written_ms)
        if given_count == count:
            passed.placed.extend(timeline.release(one.written_ms, everything=True).placed)
        for piece in passed.placed:
            placed[piece.received.position.sequence] = piece.start_ms
            passed_at[piece.received.position.sequence] = given_count
        states.append(msgspec.msgpack.encode(timeline.state()))
    done_at = [max(passed_at[i] for i in range(n + 1)) for n in range(count)]
    assert all(at >= n + 1 for n, at in enumerate(done_at))
    assert [placed[one.position.sequence] // CHUNK_MS for one in inputs] == [i for _, i in arrivals]

    cut = choice.randrange(count)
    restored = Timeline(msgspec.msgpack.decode(states[cut], type=TimelineState))
    again: dict[int, int] = {}
    for one in inputs[cut + 1 :]:
        for piece in restored.push(one, one.written_ms).placed:
            again[piece.received.position.sequence] = piece.start_ms
    for piece in restored.release(0, everything=True).placed:
        again[piece.received.position.sequence] = piece.start_ms
    for place, start_ms in again.items():
        assert start_ms == placed[place]


class Heard(NamedTuple):
    """What became of an input: its place on the media clock in ms, `repeated` or `late`; when it is known."""

    position: Position
    became: int | str


def run(timeline: Timeline, inputs: list[Input], *, to_the_end: bool = True) -> list[Heard]:
    """Give all; what became of each."""
    found: list[Heard] = []

    def note(passed: Passed) -> None:
        found.extend(Heard(one.received.position, one.start_ms) for one in passed.placed)
        found.extend(Heard(position, "repeated") for position in passed.repeated)
        found.extend(Heard(position, "late") for position in passed.late)

    for one in inputs:
        note(timeline.push(one, one.written_ms))
    if to_the_end:
        note(timeline.release(0, everything=True))
    return found


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.booleans())
def test_across_a_restart_repeats_are_repeats_and_late_ones_are_late(seed: int, has_numbers: bool) -> None:
    """A burst in which chunks are swapped, held up for seconds, and written twice."""
    choice = random.Random(seed)
    arrivals: list[tuple[int, int]] = []
    for i in range(choice.randint(2, 40)):
        at_ms = CHUNK_MS * i + choice.choice([0, 0, 0, 60, 150, WAIT_MS + 300, 2_500])
        arrivals.append((at_ms, i))
        if choice.random() < 0.3:
            arrivals.append((at_ms + choice.choice([0, 30, 300, 2_000]), i))
    arrivals.sort()
    inputs = [received(i, place, at_ms, has_number=has_numbers) for place, (at_ms, i) in enumerate(arrivals)]
    whole = dict(run(Timeline(), inputs))
    assert set(whole) == {one.position for one in inputs}

    state: TimelineState | None = None
    for cut in sorted(choice.sample(range(len(inputs) + 1), 2)):  # two restarts, one perhaps in what waits since
        before = Timeline()
        run(before, inputs[:cut], to_the_end=False)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(before.state()), type=TimelineState)
        twice = msgspec.msgpack.encode(Timeline(state).state())
        after = run(Timeline(msgspec.msgpack.decode(twice, type=TimelineState)), inputs[cut:])
        assert dict(after) == {one.position: whole[one.position] for one in inputs[cut:]}


def test_what_is_remembered_is_bounded() -> None:
    for has_numbers in (True, False):
        timeline = Timeline()
        for i in range(0, 20_000, 2):  # every second one never comes
            timeline.push(received(i, i, i * CHUNK_MS, has_number=has_numbers), START_MS)
        state = timeline.state()
        assert max(len(state.passed), sum(map(len, state.skipped.values()))) == REMEMBERED
        assert len(msgspec.msgpack.encode(state)) < 4_096
