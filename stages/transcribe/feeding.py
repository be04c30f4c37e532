"""A session's recogniser streams: opening, pace, silence, reconnection, rollover. Pure.

There is one stream at a time. Whatever ends it unasked, the next one is fed again from the first chunk that no final
has covered. A planned rollover has no such pause: a spare is opened and fed again beside the stream, whose results
count until the spare has heard as much; then what the spare has heard counts, and the old stream is let go.
"""

import zlib
from collections.abc import Iterator
from typing import Final

import numpy as np

from stages.transcribe.audio import SAMPLES_PER_MS, Block, RetainedAudio
from stages.transcribe.feed import SETTLE_MS, Feed, Hearing
from stages.transcribe.requests import Abandon, EndAudio, Ended, Heard, Opened, OpenRecogniser, SendAudio
from stages.transcribe.settings import TranscribeSettings
from streams.errors import Failure
from streams.policy import backoff_ms
from streams.stage import Call, Count, Effect, Reply

BLOCK_SAMPLES: Final = 100 * SAMPLES_PER_MS
"""The client's cost is per message, and the service wants 50 to 200 ms."""
MAX_IN_FLIGHT: Final = 10
FEED_SPEED: Final = 8
"""Audio is fed again at most so much faster than it was spoken: the service expects real time."""
FLUSH_MS: Final = 150
"""Audio shorter than a block waits for more no longer than this."""
QUIET_MS: Final = 1_500
"""Without audio for so long, the speaker is quiet, not the network slow."""
LATE_MS: Final = 500
"""A step so long after its time means that this process was held up, and the audio waits to be read."""
KEEP_ALIVE_MS: Final = 5_000
"""The service ends a stream after 15 s without audio."""
GAP_FILL_MS: Final = 2_000
"""Gaps of the media clock are filled with silence up to this; times stay right beyond it too."""
END_WAIT_MS: Final = 20_000
SILENT_STREAM_MS: Final = 15_000
AUDIBLE_SAMPLES: Final = 3_000 * SAMPLES_PER_MS
"""A stream that takes 3 s of sound and says nothing for 15 s is taken for dead ..."""
FRUITLESS: Final = 2
"""... so many times in a row; then the sound is no speech."""
AUDIBLE_AMPLITUDE: Final = 330
"""Mean magnitude of a sound of -40 dBFS; quiet speech lies above it."""
SPARE_BEHIND_MS: Final = 3_000
"""A spare that has been sent everything is waited for no longer, whatever it has heard: it may be silent now."""
SPARE_LIMIT_MS: Final = 60_000
"""A spare that has not caught up by then is given up, and another opened; it has to hear 30 s again at the most."""
MIN_BACKOFF_MS: Final = 100
REFUSALS: Final = 3
REFUSED_PAUSE_MS: Final = 30_000


class Feeding:
    """Feeds one session's audio to its recogniser."""

    def __init__(self, session_id: str, settings: TranscribeSettings, audio: RetainedAudio) -> None:
        self._session_id = session_id
        self._settings = settings
        self._audio = audio
        self._feed: Feed | None = None
        self._spare: Feed | None = None
        self._streams = 0
        self._failures = 0
        self._fruitless = 0
        self._refusals = 0
        self._retry_at_ms = 0
        self._heard: list[Hearing] = []
        self._end_by_ms = 0
        self._endless = 0
        self._taken_offset = 0
        self.quiet_from_ms = 0
        """When the speaker began to be quiet, if no audio has come since."""
        self.last_audio_ms = 0
        self._idle_from_ms = 0
        self.language = ""
        self.refused: Failure | None = None
        """Why the recogniser will not take this session at all; audio need not wait for it."""

    def held_bytes(self) -> int:
        """Audio that no stream has ever taken."""
        return 2 * (self._audio.end_offset - max(self._taken_offset, self._audio.start_offset))

    def is_open(self) -> bool:
        """Whether there is a stream that may still have something to say."""
        return self._feed is not None

    def gave_up(self) -> bool:
        """Whether streams were asked in vain, again and again, to give their last results and end."""
        return self._endless > FRUITLESS

    def covered_media(self, now_ms: int) -> int:
        """Up to which sample of the media clock no result will come any more, however silent it was."""
        return self._feed.silent_media(now_ms) if self._feed is not None else 0

    def take_heard(self) -> list[Hearing]:
        """The results that have come to count since this was asked last."""
        heard, self._heard = self._heard, []
        return heard

    def on_audio(self, now_ms: int) -> None:
        """Audio was added."""
        self.last_audio_ms = now_ms
        self.on_held_up(now_ms)

    def on_held_up(self, now_ms: int) -> None:
        """The speaker may go on in what waits to be read: he is not quiet, and the stream is not idle."""
        self.quiet_from_ms = now_ms + QUIET_MS
        self._idle_from_ms = now_ms

    # --- what to do now ------------------------------------------------------------------------------------------

    def pump(self, now_ms: int, *, wanted: bool, finish: bool) -> Iterator[Effect]:
        """Open, feed, end. wanted: there is audio that nothing covers. finish: no more audio will come."""
        if self._feed is None:
            if wanted and now_ms >= self._retry_at_ms:
                self._feed = self._new_feed(now_ms)
                yield self._open(self._feed)
            return
        yield from self._watch(self._feed, now_ms)
        feed = self._feed
        if feed is None or feed.opened_at_ms is None:
            return
        if now_ms > self._silence_due_ms(feed) + LATE_MS:
            self.on_held_up(now_ms)
        yield from self._send(feed, now_ms, finish)
        if self._spare is not None and self._feed is feed:
            yield from self._roll_over(feed, self._spare, now_ms, finish)
        if self._feed is not feed:
            return  # another has its place, or none
        idle = now_ms - self._idle_from_ms >= self._settings.recogniser_idle_s * 1_000
        if (finish or idle) and not feed.ending and not feed.in_flight and feed.offset >= self._audio.end_offset:
            feed.ending = True
            self._end_by_ms = now_ms + END_WAIT_MS
            yield from self._drop_spare()
            yield Call(f"end:{feed.stream}", EndAudio(stream=feed.stream), lane=f"audio:{feed.stream}")
        elif self._spare is None and not feed.ending and not finish and self._is_old(feed, now_ms):
            self._spare = self._new_feed(now_ms)
            yield self._open(self._spare)

    def wake_at_ms(self, *, wanted: bool, finish: bool) -> int | None:
        """When `pump` has something to do."""
        feed = self._feed
        if feed is None:
            return self._retry_at_ms if wanted else None
        if feed.opened_at_ms is None:
            return None
        if feed.ending:
            return self._end_by_ms
        times = [self._audio_due_ms(feed), feed.silent_at_ms()]
        if self._spare is not None and self._spare.opened_at_ms is not None:
            times += [self._audio_due_ms(self._spare), self._spare.opened_at_ms + SPARE_LIMIT_MS]
            if self._spare.caught_up_at_ms is not None:
                times.append(self._spare.caught_up_at_ms + SPARE_BEHIND_MS)
        if feed.audible >= AUDIBLE_SAMPLES and self._fruitless < FRUITLESS:
            times.append(feed.heard_at_ms + SILENT_STREAM_MS)
        if feed.offset >= self._audio.end_offset and not feed.in_flight and not finish:
            times.append(self._silence_due_ms(feed))
            times.append(self._idle_from_ms + self._settings.recogniser_idle_s * 1_000)
        if self._spare is None and not finish:
            times.append(max(self._retry_at_ms, feed.opened_at_ms + self._settings.recogniser_rollover_s * 1_000))
        return min((at for at in times if at is not None), default=None)

    def _open(self, feed: Feed) -> Call:
        return Call(f"open:{feed.stream}", OpenRecogniser(stream=feed.stream, language_code=self.language))

    def _new_feed(self, now_ms: int) -> Feed:
        self._streams += 1
        return Feed(f"{now_ms}-{self._streams}", now_ms)

    def _is_old(self, feed: Feed, now_ms: int) -> bool:
        age_ms = now_ms - (feed.opened_at_ms if feed.opened_at_ms is not None else now_ms)
        return age_ms >= self._settings.recogniser_rollover_s * 1_000 and now_ms >= self._retry_at_ms

    def _watch(self, feed: Feed, now_ms: int) -> Iterator[Effect]:
        """Give up a stream that takes what it is given and says nothing."""
        if feed.opened_at_ms is None:
            return
        endless = feed.ending and now_ms >= self._end_by_ms
        deaf = feed.audible >= AUDIBLE_SAMPLES and now_ms - feed.heard_at_ms >= SILENT_STREAM_MS
        if endless or (deaf and self._fruitless < FRUITLESS):
            self._fruitless += deaf
            self._endless += endless
            failure = Failure("StreamSilent", "the recogniser takes audio and gives no results", retryable=True)
            yield from self._break(feed, failure, now_ms)

    # --- rolling over --------------------------------------------------------------------------------------------

    def _roll_over(self, feed: Feed, spare: Feed, now_ms: int, finish: bool) -> Iterator[Effect]:
        """Feed the spare; let it take over when it has heard as much as the stream."""
        if finish or feed.ending:
            yield from self._drop_spare()
            return
        if spare.opened_at_ms is None:
            return
        yield from self._send(spare, now_ms, finish)
        if self._spare is not spare:
            return  # it was given up
        if spare.caught_up_at_ms is None and spare.offset >= feed.offset:
            spare.caught_up_at_ms = now_ms
        if spare.caught_up_at_ms is None:
            if now_ms - spare.opened_at_ms >= SPARE_LIMIT_MS:
                failure = Failure("SpareBehind", "the new recogniser stream did not catch up", retryable=True)
                yield from self._break(spare, failure, now_ms)
        elif spare.heard_media_ms >= feed.heard_media_ms or now_ms - spare.caught_up_at_ms >= SPARE_BEHIND_MS:
            yield _abandon(feed)
            self._take_over(spare)

    def _take_over(self, spare: Feed) -> None:
        self._feed, self._spare = spare, None
        self._heard += [hearing._replace(held=True) for hearing in spare.held.values()]
        spare.held = {}

    def _drop_spare(self) -> Iterator[Effect]:
        if self._spare is not None:
            yield _abandon(self._spare)
            self._spare = None

    # --- sending -------------------------------------------------------------------------------------------------

    def _send(self, feed: Feed, now_ms: int, finish: bool) -> Iterator[Effect]:
        feed.offset = max(
            feed.offset, self._audio.start_offset
        )  # a spare need not hear what has been settled meanwhile
        while not feed.ending and len(feed.in_flight) < MAX_IN_FLIGHT and now_ms >= feed.pace_at_ms:
            block = self._audio.read(feed.offset, BLOCK_SAMPLES)
            if block is not None and self._is_whole(block, now_ms, finish):
                missing = self._silence_before(feed, block)
                if feed.silence_run and block.media_start == feed.media_end:
                    # The speaker was not quiet, we were late: the silence stands in the midst of a word, perhaps.
                    failure = Failure("FedLate", "audio came after silence had been fed in its place", retryable=True)
                    yield from self._break(feed, failure, now_ms)
                    return
                if missing > 0:
                    yield self._send_silence(feed, min(missing, BLOCK_SAMPLES), now_ms)
                else:
                    yield self._send_block(feed, block, now_ms)
            elif block is None and not finish and now_ms >= self._silence_due_ms(feed):
                yield self._send_silence(feed, BLOCK_SAMPLES, now_ms)
            else:
                return

    def _is_whole(self, block: Block, now_ms: int, finish: bool) -> bool:
        full = block.samples == BLOCK_SAMPLES or block.at_gap
        return full or finish or now_ms >= self.last_audio_ms + FLUSH_MS

    def _silence_before(self, feed: Feed, block: Block) -> int:
        gap = block.media_start - feed.media_end
        return min(gap, GAP_FILL_MS * SAMPLES_PER_MS) - feed.silence_run

    def _send_block(self, feed: Feed, block: Block, now_ms: int) -> Call:
        _keep_pace(feed, block.samples, now_ms)
        if is_audible(block.pcm):
            feed.audible += block.samples
        call_id = feed.send_audio(block.media_start, block.samples, now_ms)
        return Call(call_id, SendAudio(stream=feed.stream, pcm=block.pcm), lane=f"audio:{feed.stream}")

    def _send_silence(self, feed: Feed, samples: int, now_ms: int) -> Call:
        _keep_pace(feed, samples, now_ms)
        call_id = feed.send_silence(samples, now_ms)
        return Call(call_id, SendAudio(stream=feed.stream, pcm=bytes(2 * samples)), lane=f"audio:{feed.stream}")

    def _audio_due_ms(self, feed: Feed) -> int | None:
        block = self._audio.read(max(feed.offset, self._audio.start_offset), BLOCK_SAMPLES)
        if block is None or len(feed.in_flight) >= MAX_IN_FLIGHT:
            return None
        whole = block.samples == BLOCK_SAMPLES or block.at_gap
        return feed.pace_at_ms if whole else max(feed.pace_at_ms, self.last_audio_ms + FLUSH_MS)

    def _silence_due_ms(self, feed: Feed) -> int:
        run_ms = feed.silence_run // SAMPLES_PER_MS
        if run_ms < SETTLE_MS:
            return max(feed.pace_at_ms, self.quiet_from_ms + run_ms, (feed.opened_at_ms or 0) + run_ms)
        return feed.sent_at_ms + KEEP_ALIVE_MS

    # --- what the streams say ------------------------------------------------------------------------------------

    def feed_of(self, call_id: str) -> Feed | None:
        """The stream that a call belongs to; None when it is a stream of the past."""
        for feed in (self._feed, self._spare):
            if feed is not None and call_id.split(":")[1] == feed.stream:
                return feed
        return None

    def on_reply(self, feed: Feed, reply: Reply, now_ms: int) -> Iterator[Effect]:
        """Take what a stream, or a call that concerns it, answers. What was heard is for `take_heard`."""
        if reply.failure is not None:
            yield from self._break(feed, reply.failure, now_ms)
        elif isinstance(reply.value, Opened):
            yield from self._on_opened(feed, reply, now_ms)
        elif isinstance(reply.value, Heard):
            feed.hear(reply.value.results, now_ms)
            self._fruitless = self._failures = self._retry_at_ms = 0
            heard = [Hearing(feed, result, reply.answered_ms) for result in reply.value.results]
            if feed is self._spare:
                feed.held |= {hearing.result.result_id: hearing for hearing in heard}
            else:
                self._heard += heard
        elif isinstance(reply.value, Ended):
            feed.ended = True
            if feed is self._feed:
                self._feed = None
                yield from self._drop_spare()
        elif reply.call_id in feed.in_flight:
            self._taken_offset = max(self._taken_offset, feed.take(reply.call_id, now_ms).end_offset)

    def _on_opened(self, feed: Feed, reply: Reply, now_ms: int) -> Iterator[Effect]:
        yield Count("TranscribeStreamInitLatency", max(0, reply.answered_ms - reply.called_ms), "Milliseconds")
        self.refused = None
        self._refusals = 0
        first = self._audio.read(self._audio.start_offset, 1)
        media_start = first.media_start if first is not None else self._audio.end_media
        feed.begin(self._audio.start_offset, media_start, now_ms)

    def _break(self, feed: Feed, failure: Failure, now_ms: int) -> Iterator[Effect]:
        """The stream is lost: go on with another, a little later."""
        yield Count("TranscribeStreamErrors" if feed.opened_at_ms is not None else "TranscribeErrors")
        yield Count("TranscriptionRetries")
        yield _abandon(feed)
        self._failures += 1
        uniform = zlib.crc32(f"{self._session_id}:{self._failures}".encode()) / 2**32
        self._retry_at_ms = now_ms + max(MIN_BACKOFF_MS, round(backoff_ms(self._failures, lambda: uniform)))
        if not failure.retryable and feed is self._feed:
            self._refusals += 1
            if self._refusals >= REFUSALS:
                self.refused = failure
                self._retry_at_ms = now_ms + REFUSED_PAUSE_MS
        if feed is self._spare:
            self._spare = None
            return
        self._feed = None
        if self._spare is not None:  # it is on its way: nothing is faster
            self._take_over(self._spare)

    def close(self) -> Iterator[Effect]:
        """Let go of all streams."""
        for feed in (self._feed, self._spare):
            if feed is not None:
                yield _abandon(feed)
        self._feed = self._spare = None


def _keep_pace(feed: Feed, samples: int, now_ms: int) -> None:
    feed.pace_at_ms = max(feed.pace_at_ms, now_ms - BLOCK_SAMPLES // SAMPLES_PER_MS)
    feed.pace_at_ms += samples // SAMPLES_PER_MS // FEED_SPEED


def _abandon(feed: Feed) -> Call:
    return Call(f"abandon:{feed.stream}", Abandon(stream=feed.stream))


def is_audible(pcm: bytes) -> bool:
    """Whether PCM16LE is louder than a quiet room."""
    samples = np.frombuffer(pcm, "<i2")
    return samples.size > 0 and float(np.abs(samples.astype(np.float32)).mean()) >= AUDIBLE_AMPLITUDE
