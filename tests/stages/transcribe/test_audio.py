from hypothesis import given
from hypothesis import strategies as st

from stages.transcribe.audio import SAMPLES_PER_MS, RetainedAudio
from streams import times
from streams.records import AudioChunk
from streams.stage import Input, Position
from streams.timeline import Placed


def placed(start_ms: int, ms: int, place: int = 0, *, captured: bool = True) -> Placed:
    pcm = b"".join(sample.to_bytes(2, "little") for sample in range(ms * SAMPLES_PER_MS))
    chunk = AudioChunk(
        session_id="s",
        connection="c",
        admitted_at_ms=start_ms + 10,
        captured_at_ms=start_ms if captured else None,
        pcm=pcm,
    )
    received = Input(Position("shard", place), chunk, start_ms + 20, start_ms + 30)
    return Placed(received, chunk, start_ms * SAMPLES_PER_MS, 0)


def test_audio_is_read_across_chunks_up_to_a_gap() -> None:
    audio = RetainedAudio()
    assert audio.read(0, 100) is None
    for start_ms, ms in ((0, 20), (20, 30), (1_000, 40)):
        audio.append(placed(start_ms, ms))
    first = audio.read(10 * SAMPLES_PER_MS, 100 * SAMPLES_PER_MS)
    assert first is not None
    assert (first.samples, first.media_start, first.at_gap) == (40 * SAMPLES_PER_MS, 10 * SAMPLES_PER_MS, True)
    second = audio.read(50 * SAMPLES_PER_MS, 100 * SAMPLES_PER_MS)
    assert second is not None
    assert (second.samples, second.media_start, second.at_gap) == (40 * SAMPLES_PER_MS, 1_000 * SAMPLES_PER_MS, False)
    assert audio.read(90 * SAMPLES_PER_MS, 1) is None
    assert audio.end_media == 1_040 * SAMPLES_PER_MS


def test_chunks_are_let_go_when_they_end_before_the_border() -> None:
    audio = RetainedAudio()
    for place in range(4):
        audio.append(placed(100 * place, 100, place))
    assert audio.settle(199 * SAMPLES_PER_MS) == [Position("shard", 0)]
    assert audio.settle(300 * SAMPLES_PER_MS) == [Position("shard", 1), Position("shard", 2)]
    assert audio.start_offset == 300 * SAMPLES_PER_MS
    assert audio.settle(400 * SAMPLES_PER_MS) == [Position("shard", 3)]
    assert audio.start_offset == audio.end_offset == 400 * SAMPLES_PER_MS
    assert len(audio) == 0


def test_the_times_are_those_of_the_chunk_that_holds_the_last_sound() -> None:
    audio = RetainedAudio()
    assert audio.times_at(50) == {}
    audio.append(placed(0, 100))
    audio.append(placed(100, 100, captured=False))
    first = {times.CAPTURED: 0, times.ADMITTED: 10, times.AUDIO_WRITTEN: 20, times.TRANSCRIBE_READ: 30}
    assert audio.times_at(100) == first
    assert audio.times_at(101) == {times.ADMITTED: 110, times.AUDIO_WRITTEN: 120, times.TRANSCRIBE_READ: 130}
    assert audio.times_at(0) == first


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 30)), min_size=1, max_size=20), st.integers(1, 100))
def test_every_sample_is_read_once_whatever_the_chunks(chunks: list[tuple[int, int]], block_ms: int) -> None:
    audio = RetainedAudio()
    at_ms = 0
    spans: list[int] = []
    for ms, gap_ms in chunks:
        at_ms += gap_ms
        audio.append(placed(at_ms, ms))
        spans += range(at_ms * SAMPLES_PER_MS, (at_ms + ms) * SAMPLES_PER_MS)
        at_ms += ms
    offset = 0
    read: list[int] = []
    while (block := audio.read(offset, block_ms * SAMPLES_PER_MS)) is not None:
        assert 0 < block.samples <= block_ms * SAMPLES_PER_MS
        read += range(block.media_start, block.media_start + block.samples)
        offset += block.samples
    assert read == spans
