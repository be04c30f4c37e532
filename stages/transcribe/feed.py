"""One recogniser stream from the stage's side: what it was given, and where its times lie on the media clock. Pure.

A stream hears more and less than the session's audio: silence is added when the speaker is quiet, long gaps are
shortened, and it may begin anywhere. Each place where the two clocks part is an anchor (stream sample, media sample).
"""

from bisect import bisect_left, bisect_right
from collections import deque
from typing import Final, NamedTuple

from stages.transcribe.audio import SAMPLES_PER_MS
from stages.transcribe.requests import Result

SETTLE_MS: Final = 2_000
"""Silence that lets the recogniser close what it heard last."""
SPAN_MS: Final = 32_000
"""A result spans 30 s at the most (the service's segments), and 2 s for what is under way."""
MAX_ANCHORS: Final = 1_024


class Sent(NamedTuple):
    """Audio on its way. end_offset, media_end: up to where it brings the session's audio. stream_end: in samples."""

    end_offset: int
    media_end: int
    stream_end: int


class Hearing(NamedTuple):
    """A result of a stream. held: it was heard by a spare, and counts only now that the spare has taken over."""

    feed: "Feed"
    result: Result
    answered_ms: int
    held: bool = False


class _Taken(NamedTuple):
    media_end: int
    stream_end: int
    at_ms: int


class Feed:
    """One stream. offset: what is sent next, in samples of the retained audio."""

    def __init__(self, stream: str, opening_at_ms: int) -> None:
        self.stream = stream
        self.opening_at_ms = opening_at_ms
        self.opened_at_ms: int | None = None
        self.ending = False
        self.ended = False
        self.offset = 0
        self.media_end = 0
        """Where the audio sent so far ends on the media clock, in samples."""
        self.silence_run = 0
        """Silence sent since the last audio, in samples."""
        self._open_from_ms: int | None = None  # where the result begins that no final has closed
        self.sent_at_ms = 0
        self.audible = 0
        """Samples of audible audio sent since the last result."""
        self.heard_at_ms = 0
        self.heard_media_ms = 0
        """Up to where results have come, on the media clock."""
        self.pace_at_ms = 0
        """When more may be sent."""
        self.held: dict[str, Hearing] = {}
        """Of a spare: what it has heard, the latest of each result."""
        self.caught_up_at_ms: int | None = None
        """Of a spare: since when it has been sent all that the stream was that it is to replace."""
        self.in_flight: dict[str, Sent] = {}
        self._sent_samples = 0
        self._calls = 0
        self._anchors: list[tuple[int, int]] = []
        self._taken: deque[_Taken] = deque()
        self._taken_samples = 0

    def begin(self, offset: int, media_start: int, now_ms: int) -> None:
        """The stream is open; audio is sent from here."""
        self.opened_at_ms = self.heard_at_ms = self.sent_at_ms = now_ms
        self.offset = offset
        self.media_end = media_start
        self._anchors = [(0, media_start)]

    def send_audio(self, media_start: int, samples: int, now_ms: int) -> str:
        """Note audio as sent; the id of the call that sends it."""
        if self.silence_run or media_start != self.media_end:
            self._anchors.append((self._sent_samples, media_start))
            del self._anchors[:-MAX_ANCHORS]
        self.silence_run = 0
        self.offset += samples
        self.media_end = media_start + samples
        return self._send(samples, now_ms)

    def send_silence(self, samples: int, now_ms: int) -> str:
        """Note silence as sent: it moves the stream's clock, not the media clock."""
        self.silence_run += samples
        return self._send(samples, now_ms)

    def _send(self, samples: int, now_ms: int) -> str:
        self._sent_samples += samples
        self.sent_at_ms = now_ms
        self._calls += 1
        call_id = f"audio:{self.stream}:{self._calls}"
        self.in_flight[call_id] = Sent(self.offset, self.media_end, self._sent_samples)
        return call_id

    def take(self, call_id: str, now_ms: int) -> Sent:
        """The stream has taken what this call sent."""
        sent = self.in_flight.pop(call_id)
        self._taken_samples = sent.stream_end
        self._taken.append(_Taken(sent.media_end, sent.stream_end, now_ms))
        return sent

    def silent_media(self, now_ms: int) -> int:
        """Up to which sample of the media clock no result can come any more.

        So much was taken since as the longest result spans; or so long ago is it that enough was taken to close what
        was heard, and no result is open. Time alone says nothing: a recogniser that is given nothing more may wait for
        the rest of a word.
        """
        silent = 0
        while self._taken and self._has_passed(self._taken[0], now_ms):
            silent = self._taken.popleft().media_end
        return silent

    def silent_at_ms(self) -> int | None:
        """When `silent_media` has news at the latest; None while that is up to what the stream takes next."""
        closed_at_ms = self._closed_at_ms(self._taken[0]) if self._taken else None
        return None if closed_at_ms is None else closed_at_ms + SPAN_MS

    def _has_passed(self, taken: _Taken, now_ms: int) -> bool:
        closed_at_ms = self._closed_at_ms(taken)
        is_long_ago = closed_at_ms is not None and now_ms - closed_at_ms >= SPAN_MS
        return is_long_ago or self._taken_samples - taken.stream_end >= SPAN_MS * SAMPLES_PER_MS

    def _closed_at_ms(self, taken: _Taken) -> int | None:
        """When the stream had taken enough since to close what was heard; None: it has not, or a result is open."""
        if self._open_from_ms is not None and taken.media_end > self._open_from_ms * SAMPLES_PER_MS:
            return None
        closed = taken.stream_end + SETTLE_MS * SAMPLES_PER_MS
        return next((later.at_ms for later in self._taken if later.stream_end >= closed), None)

    def hear(self, results: list[Result], now_ms: int) -> None:
        """Note that results came."""
        self.heard_at_ms = now_ms
        self.audible = 0
        for result in results:
            self._open_from_ms = self.media_ms(result.start_ms) if result.is_partial else None
            self.heard_media_ms = max(self.heard_media_ms, self.media_ms(result.end_ms, is_end=True))

    def media_ms(self, stream_ms: int, *, is_end: bool = False) -> int:
        """Where a time of the stream lies on the media clock.

        Added silence lies at the place where it was added. is_end: the time ends something, so at a border it belongs
        to what is before.
        """
        sample = stream_ms * SAMPLES_PER_MS
        find = bisect_left if is_end else bisect_right
        i = max(0, find(self._anchors, sample, key=lambda anchor: anchor[0]) - 1)
        stream_start, media_start = self._anchors[i]
        media = media_start + max(0, sample - stream_start)
        edge = self._anchors[i + 1][1] if i + 1 < len(self._anchors) else self.media_end
        return round(min(media, edge) / SAMPLES_PER_MS)
