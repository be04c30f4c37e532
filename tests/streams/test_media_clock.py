import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.media_clock import BURST_MS, JITTER_MS, SAMPLES_PER_MS, ClockState, MediaClock
from streams.records import AudioChunk

START_MS = 1_700_000_000_000


def chunk(
    captured_ms: int | None, sequence: int | None = None, ms: int = 100, connection: str = "c", admitted_ms: int = 0
) -> AudioChunk:
    return AudioChunk(
        session_id="s",
        connection=connection,
        admitted_at_ms=START_MS + (admitted_ms or (captured_ms or 0) + 120),
        captured_at_ms=None if captured_ms is None else START_MS + captured_ms,
        sequence=sequence,
        pcm=bytes(ms * SAMPLES_PER_MS * 2),
    )


def starts_ms(chunks: list[AudioChunk]) -> list[int]:
    clock = MediaClock()
    return [clock.place(one)[0] // SAMPLES_PER_MS for one in chunks]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        pytest.param([chunk(0, 0), chunk(100, 1), chunk(200, 2)], [0, 100, 200], id="one after the other"),
        pytest.param([chunk(5_000, 7), chunk(5_100, 8)], [0, 100], id="the clock starts at the first chunk"),
        pytest.param([chunk(0, 0), chunk(130, 1), chunk(590, 2)], [0, 100, 200], id="jitter is no gap"),
        pytest.param([chunk(0, 0), chunk(100, 1), chunk(50, 2)], [0, 100, 200], id="the clock never goes back"),
        pytest.param([chunk(0, 0), chunk(300, 3)], [0, 300], id="two chunks missing by sequence"),
        pytest.param([chunk(0, 0), chunk(5_000, 1)], [0, 5_000], id="a pause by capture time"),
        pytest.param([chunk(0, 0), chunk(5_000, 3)], [0, 5_000], id="what says more is believed"),
        pytest.param([chunk(0), chunk(100), chunk(3_000)], [0, 100, 3_000], id="without sequence"),
        pytest.param([chunk(0, 5), chunk(100, 90, connection="d")], [0, 100], id="sequences of two connections differ"),
        pytest.param([chunk(0, 0, 20), chunk(20, 1, 40), chunk(60, 2, 100)], [0, 20, 60], id="chunks of any length"),
        pytest.param(
            [chunk(None, admitted_ms=1), chunk(None, admitted_ms=101), chunk(None, admitted_ms=9_001)],
            [0, 100, 9_000],
            id="without capture time the gateway's counts",
        ),
    ],
)
def test_where_chunks_lie(chunks: list[AudioChunk], expected: list[int]) -> None:
    assert starts_ms(chunks) == expected


def test_a_speaker_s_wrong_clock_moves_the_media_clock_no_further_than_the_gateway_s_bears_out() -> None:
    zero = chunk(-START_MS, 1, admitted_ms=220)
    again = chunk(200, 2, admitted_ms=320)
    clock = MediaClock()
    for one in (chunk(0, 0), zero):
        clock.place(one)
    start, missing = clock.place(again)
    assert missing // SAMPLES_PER_MS == 100 + BURST_MS
    assert start == 200 * SAMPLES_PER_MS + missing


def test_a_sequence_out_of_this_world_moves_it_no_further_either() -> None:
    clock = MediaClock()
    clock.place(chunk(0, 0))
    _, missing = clock.place(chunk(100, 2**53))
    assert missing // SAMPLES_PER_MS == 100 + BURST_MS
    assert clock.now_ms == 100 + 100 + BURST_MS + 100


def test_a_burst_after_a_stall_keeps_its_gaps() -> None:
    stalled = [chunk(0, 0, admitted_ms=8_000), chunk(4_000, 1, admitted_ms=8_001)]
    assert starts_ms(stalled) == [0, 4_000]


@given(
    st.lists(
        st.tuples(st.integers(1, 200), st.integers(0, 3), st.integers(0, 20_000), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 29),
)
def test_spans_never_overlap_and_a_restored_clock_goes_on_alike(
    steps: list[tuple[int, int, int, bool]], cut: int
) -> None:
    chunks, captured_ms, sequence = [], 0, 0
    for ms, skipped, pause_ms, numbered in steps:
        chunks.append(chunk(captured_ms, sequence if numbered else None, ms))
        captured_ms += ms + pause_ms
        sequence += 1 + skipped
    clock = MediaClock()
    end, placed = 0, []
    for one in chunks:
        start, missing = clock.place(one)
        assert start == end + missing
        assert missing >= 0
        end = start + len(one.pcm) // 2
        placed.append(start)
    assert clock.now_ms == end // SAMPLES_PER_MS

    restored = MediaClock()
    again = []
    for i, one in enumerate(chunks):
        if i == cut:
            restored = MediaClock(restored.state)
        again.append(restored.place(one)[0])
    assert again == placed


@given(st.integers(0, JITTER_MS), st.integers(JITTER_MS + 1, 1_000_000))
def test_the_border_between_jitter_and_a_gap(jitter_ms: int, gap_ms: int) -> None:
    assert starts_ms([chunk(0), chunk(100 + jitter_ms)]) == [0, 100]
    assert starts_ms([chunk(0), chunk(100 + gap_ms)]) == [0, 100 + gap_ms]


def test_an_old_snapshot_without_the_gateway_s_time_is_taken_back() -> None:
    state = ClockState(next_sample=1_600, connection="c", sequence=0, captured_end_ms=START_MS + 100)
    assert MediaClock(state).place(chunk(100, 1)) == (1_600, 0)
