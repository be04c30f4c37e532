import pytest

from stages.transcribe.audio import SAMPLES_PER_MS
from stages.transcribe.feed import MAX_ANCHORS, SETTLE_MS, SPAN_MS, Feed
from stages.transcribe.requests import Result

MS = SAMPLES_PER_MS
NOW = 1_700_000_000_000


def fed() -> Feed:
    """1 s of audio from 5,000 ms; 3 s of silence without a gap; 1 s of audio; 2 s of silence for a gap of 60 s; 1 s."""
    feed = Feed("s", NOW)
    feed.begin(0, 5_000 * MS, NOW)
    feed.send_audio(5_000 * MS, 1_000 * MS, NOW)
    feed.send_silence(3_000 * MS, NOW)
    feed.send_audio(6_000 * MS, 1_000 * MS, NOW)
    feed.send_silence(2_000 * MS, NOW)
    feed.send_audio(67_000 * MS, 1_000 * MS, NOW)
    return feed


@pytest.mark.parametrize(
    ("stream_ms", "start", "end"),
    [
        pytest.param(0, 5_000, 5_000, id="the beginning"),
        pytest.param(400, 5_400, 5_400, id="in audio"),
        pytest.param(1_000, 6_000, 6_000, id="where silence begins that is no gap"),
        pytest.param(1_030, 6_000, 6_000, id="a word's end that strays into it"),
        pytest.param(4_000, 6_000, 6_000, id="where audio goes on"),
        pytest.param(4_500, 6_500, 6_500, id="in that audio"),
        pytest.param(5_030, 7_030, 7_030, id="straying into a gap"),
        pytest.param(7_000, 67_000, 9_000, id="at the gap's end: a start is after it, an end before"),
        pytest.param(7_500, 67_500, 67_500, id="after the gap"),
        pytest.param(9_999, 68_000, 68_000, id="past all that was sent"),
    ],
)
def test_where_times_of_the_stream_lie_on_the_media_clock(stream_ms: int, start: int, end: int) -> None:
    feed = fed()
    assert feed.media_ms(stream_ms) == start
    assert feed.media_ms(stream_ms, is_end=True) == end


def test_audio_is_past_all_results_when_so_much_was_taken_since_or_so_long_ago() -> None:
    feed = Feed("s", NOW)
    feed.begin(0, 0, NOW)
    first = feed.send_audio(0, 100 * MS, NOW)
    second = feed.send_audio(100 * MS, 100 * MS, NOW)
    assert feed.silent_at_ms() is None
    assert feed.silent_media(NOW + 10 * SPAN_MS) == 0  # nobody has taken it yet
    assert feed.take(first, NOW).media_end == 100 * MS
    feed.take(second, NOW + 50)
    assert feed.silent_at_ms() is None
    assert feed.silent_media(NOW + SPAN_MS) == 0  # it has heard nothing since: it may be waiting for the rest of a word
    feed.take(feed.send_silence((SETTLE_MS - 100) * MS, NOW + 60), NOW + 60)
    assert feed.silent_at_ms() == NOW + 60 + SPAN_MS
    assert feed.silent_media(NOW + 60 + SPAN_MS - 1) == 0
    assert feed.silent_media(NOW + 60 + SPAN_MS) == 100 * MS
    rest = feed.send_audio(200 * MS, SPAN_MS * MS, NOW + 100)
    feed.take(rest, NOW + 100)
    assert feed.silent_media(NOW + 100) == 200 * MS


def test_what_an_open_result_spans_is_not_past_however_long_nothing_is_fed() -> None:
    feed = Feed("s", NOW)
    feed.begin(0, 0, NOW)
    for start_ms in range(0, 3_000, 100):
        feed.take(feed.send_audio(start_ms * MS, 100 * MS, NOW), NOW)
    feed.hear([Result("r", 300, 900, True, [])], NOW)
    assert feed.silent_media(NOW + 10 * SPAN_MS) == 300 * MS
    assert feed.silent_at_ms() is None
    feed.hear([Result("r", 300, 900, False, [])], NOW)
    assert feed.silent_media(NOW + 10 * SPAN_MS) == 1_000 * MS


def test_what_is_kept_of_a_long_stream_is_bounded() -> None:
    feed = Feed("s", NOW)
    feed.begin(0, 0, NOW)
    for i in range(2 * MAX_ANCHORS):
        feed.take(feed.send_silence(MS, NOW), NOW)
        feed.take(feed.send_audio(10 * i * MS, MS, NOW), NOW)
    assert len(feed._anchors) == MAX_ANCHORS
    assert feed.media_ms(4 * MAX_ANCHORS - 1) == 10 * (2 * MAX_ANCHORS - 1)
    assert not feed.in_flight
