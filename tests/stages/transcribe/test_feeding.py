from stages.transcribe.audio import RetainedAudio
from stages.transcribe.feeding import (
    BLOCK_SAMPLES,
    FEED_SPEED,
    FLUSH_MS,
    GAP_FILL_MS,
    KEEP_ALIVE_MS,
    MAX_IN_FLIGHT,
    MIN_BACKOFF_MS,
    QUIET_MS,
    REFUSALS,
    SETTLE_MS,
    Feeding,
    is_audible,
)
from stages.transcribe.requests import Abandon, EndAudio, Ended, Opened, OpenRecogniser, SendAudio, Taken
from stages.transcribe.settings import TranscribeSettings
from streams.errors import Failure
from streams.policy import CAP_MS
from streams.records import AudioChunk
from streams.stage import Call, Effect, Input, Position, Reply
from streams.timeline import Placed

NOW = 1_700_000_000_000
PER_MS = 16
BROKEN = Failure("StreamBroken", "broken", retryable=True)


class Bench:
    """A `Feeding`, its audio, and what it asked."""

    def __init__(self) -> None:
        self.audio = RetainedAudio()
        self.feeding = Feeding("golden-eagle-427", TranscribeSettings(), self.audio)
        self.now_ms = NOW
        self.wanted = True
        self.finish = False

    def add(self, ms: int, start_ms: int | None = None) -> None:
        start = self.audio.end_media if start_ms is None else start_ms * PER_MS
        pcm = b"\x01\x00" * ms * PER_MS
        chunk = AudioChunk(session_id="s", connection="c", admitted_at_ms=self.now_ms, pcm=pcm)
        received = Input(Position("shard", 0), chunk, self.now_ms, self.now_ms)
        self.audio.append(Placed(received, chunk, start, 0))
        self.feeding.on_audio(self.now_ms)

    def pump(self, after_ms: int = 0) -> list[Call]:
        self.now_ms += after_ms
        effects = list(self.feeding.pump(self.now_ms, wanted=self.wanted, finish=self.finish))
        return calls(effects)

    def reply(self, call: Call, value: object = None, failure: Failure | None = None) -> list[Call]:
        feed = self.feeding.feed_of(call.call_id)
        if feed is None:
            return []
        reply = Reply(call.call_id, value, failure, self.now_ms, self.now_ms, last=failure is not None)
        return calls(list(self.feeding.on_reply(feed, reply, self.now_ms)))

    def wake_in_ms(self) -> int | None:
        at_ms = self.feeding.wake_at_ms(wanted=self.wanted, finish=self.finish)
        return None if at_ms is None else at_ms - self.now_ms

    def opened(self) -> Call:
        (call,) = self.pump()
        assert isinstance(call.request, OpenRecogniser)
        self.reply(call, Opened())
        return call

    def run(self, duration_ms: int) -> list[tuple[int, Call]]:
        """Take everything at once; when it was sent."""
        sent = []
        until_ms = self.now_ms + duration_ms
        while self.now_ms <= until_ms:
            for call in self.pump():
                sent.append((self.now_ms - NOW, call))
                self.reply(call, Taken())
            self.now_ms += 1
        return sent


def calls(effects: list[Effect]) -> list[Call]:
    return [effect for effect in effects if isinstance(effect, Call)]


def sizes_ms(sent: list[tuple[int, Call]]) -> list[int]:
    return [len(call.request.pcm) // 32 for _, call in sent if isinstance(call.request, SendAudio)]


def test_a_stream_is_opened_when_there_is_audio_and_only_then() -> None:
    bench = Bench()
    bench.wanted = False
    assert bench.pump() == []
    assert bench.wake_in_ms() is None
    bench.wanted = True
    bench.add(100)
    bench.opened()
    assert [call.request for call in bench.pump()] == [SendAudio(stream=f"{NOW}-1", pcm=b"\x01\x00" * BLOCK_SAMPLES)]


def test_small_chunks_are_sent_in_blocks_and_the_rest_soon_after() -> None:
    bench = Bench()
    bench.add(100)
    bench.opened()
    for _ in range(6):
        bench.add(20)
    sent = bench.run(FLUSH_MS)
    assert sizes_ms(sent) == [100, 100, 20]
    assert [at_ms for at_ms, _ in sent] == [0, 0, FLUSH_MS]


def test_audio_is_fed_again_no_faster_than_the_service_bears() -> None:
    bench = Bench()
    bench.add(100)
    bench.opened()
    bench.add(20_000)
    sent = [(at_ms, call) for at_ms, call in bench.run(1_000) if isinstance(call.request, SendAudio)]
    fed_ms = 100 * len(sent)
    assert 1_000 * FEED_SPEED <= fed_ms <= 1_200 * FEED_SPEED


def test_no_more_is_on_its_way_than_the_bound() -> None:
    bench = Bench()
    bench.add(100)
    bench.opened()
    bench.add(10_000)
    sent = []
    for _ in range(1_000):
        sent += bench.pump(1)
    assert len(sent) == MAX_IN_FLIGHT
    assert bench.feeding.held_bytes() == 10_100 * 32
    bench.reply(sent[0], Taken())
    assert bench.feeding.held_bytes() == 10_000 * 32
    assert len(bench.pump(1)) == 1


def test_silence_follows_when_the_speaker_is_quiet_and_then_now_and_again() -> None:
    bench = Bench()
    bench.add(100)
    bench.opened()
    sent = bench.run(QUIET_MS + SETTLE_MS + 3 * KEEP_ALIVE_MS)
    silence_at_ms = [at_ms for at_ms, call in sent[1:]]
    settling = [QUIET_MS + 100 * i for i in range(SETTLE_MS // 100)]
    last = settling[-1]
    assert silence_at_ms == [*settling, *(last + KEEP_ALIVE_MS * i for i in (1, 2, 3))]


def is_silence(call: Call) -> bool:
    return isinstance(call.request, SendAudio) and not any(call.request.pcm)


def test_a_process_that_was_held_up_does_not_take_the_speaker_for_quiet() -> None:
    bench = Bench()
    bench.add(500)
    bench.opened()
    bench.run(500)
    assert bench.pump(after_ms=8_000) == []
    assert bench.pump(after_ms=QUIET_MS - 100) == []
    bench.add(100)
    (call,) = bench.pump()
    assert not is_silence(call)


def test_audio_that_comes_after_silence_was_fed_in_its_place_is_fed_again_to_another_stream() -> None:
    bench = Bench()
    bench.add(500)
    bench.opened()
    assert any(is_silence(call) for _, call in bench.run(QUIET_MS + 1_000))
    bench.add(500)
    (abandon,) = bench.pump()
    assert isinstance(abandon.request, Abandon)
    bench.now_ms += CAP_MS
    bench.opened()
    sent = [call.request.pcm for _, call in bench.run(1_000) if isinstance(call.request, SendAudio)]
    assert b"".join(sent).startswith(b"\x01\x00" * 1_000 * PER_MS)


def test_a_gap_of_the_media_clock_is_filled_up_to_a_bound() -> None:
    for gap_ms, filled_ms in ((300, 300), (60_000, GAP_FILL_MS)):
        bench = Bench()
        bench.add(100)
        bench.opened()
        bench.add(100, start_ms=100 + gap_ms)
        sent = bench.run(1_000)
        assert sum(sizes_ms(sent)) == 200 + filled_ms
        last = sent[-1][1].request
        assert isinstance(last, SendAudio)
        assert last.pcm.startswith(b"\x01")


def test_broken_streams_are_replaced_after_a_wait_that_grows_and_fed_from_the_first_chunk_kept() -> None:
    bench = Bench()
    bench.add(1_000)
    waits = []
    for _ in range(12):
        (call,) = bench.pump()
        assert isinstance(call.request, OpenRecogniser)
        bench.reply(call, Opened())
        first, *_ = bench.pump()
        assert isinstance(first.request, SendAudio)
        assert first.request.pcm == b"\x01\x00" * BLOCK_SAMPLES
        (abandoned,) = bench.reply(call, failure=BROKEN)
        assert isinstance(abandoned.request, Abandon)
        assert bench.reply(first, Taken()) == []  # a stream of the past
        wait_ms = bench.wake_in_ms()
        assert wait_ms is not None
        assert bench.pump() == []
        waits.append(wait_ms)
        bench.now_ms += wait_ms
    assert min(waits) >= MIN_BACKOFF_MS
    assert max(waits) <= CAP_MS
    assert max(waits[4:]) > max(waits[:3])


def test_refusals_in_a_row_are_told() -> None:
    bench = Bench()
    bench.add(100)
    refusal = Failure("BadRequestException", "no", retryable=False)
    for _ in range(REFUSALS):
        assert bench.feeding.refused is None
        (call,) = bench.pump()
        bench.reply(call, failure=refusal)
        bench.now_ms += CAP_MS
    assert bench.feeding.refused == refusal
    assert bench.pump() == []


def test_the_end_follows_the_last_audio() -> None:
    bench = Bench()
    bench.add(130)
    bench.opened()
    bench.finish = True
    sent = bench.run(1_000)
    assert sizes_ms(sent) == [100, 30]
    assert [type(call.request) for _, call in sent] == [SendAudio, SendAudio, EndAudio]


def test_a_stream_that_was_to_take_over_is_let_go_when_the_session_ends_first() -> None:
    bench = Bench()
    first = bench.opened()
    bench.add(300)
    bench.feeding._settings = TranscribeSettings(recogniser_rollover_s=10)
    spare = next(call for call in bench.pump(10_000) if isinstance(call.request, OpenRecogniser))
    assert isinstance(spare.request, OpenRecogniser)
    left = bench.reply(first, Ended())
    assert [call.request for call in left] == [Abandon(stream=spare.request.stream)]


def test_what_is_audible() -> None:
    assert not is_audible(b"")
    assert not is_audible(bytes(3_200))
    assert not is_audible((100).to_bytes(2, "little") * 1_600)
    assert is_audible((1_000).to_bytes(2, "little") * 1_600)
    assert is_audible((-1_000).to_bytes(2, "little", signed=True) * 1_600)
