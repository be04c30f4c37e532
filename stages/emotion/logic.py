"""One session's emotion: chunks in, a frame for every 500 ms of the media clock out, and changes of quality. Pure.

A chunk is `Done` when the frames have gone CONTEXT_MS past it: whoever takes over reads again what no frame covers, and
enough before it that no onset is missed at the seam. When the speaker pauses or ends, or nothing comes for IDLE_MS, the
frame under way is emitted as far as it goes. Session events take the way of the words; here they say no more than what
is not heard, and must not be measured (row A7).
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from stages.emotion import state as snapshots
from stages.emotion.alerts import Alerts
from stages.emotion.engine import EngineFactory, engine_factory
from stages.emotion.quality import Change, Quality
from stages.emotion.requests import Warn, Warned
from stages.emotion.settings import EmotionSettings
from stages.emotion.spans import Span, Spans
from streams import times
from streams.errors import Failure
from streams.media_clock import SAMPLES_PER_MS
from streams.records import AudioChunk, EmotionFrame, QualityReport, Record, SessionEvent
from streams.stage import Call, Count, Done, Effect, Emit, Input, Position, Reject, Reply, StageBuilder
from streams.timeline import Passed, Placed, Timeline

CONTEXT_MS: Final = 250
"""An onset is judged by the 200 ms before it, in windows of 32 ms."""
IDLE_MS: Final = 1_000


class Emotion:
    """A `Stage`."""

    def __init__(
        self, session_id: str, make_engine: EngineFactory, settings: EmotionSettings, snapshot: bytes | None
    ) -> None:
        state = snapshots.decode(snapshot) if snapshot is not None else snapshots.EmotionState()
        self._session_id = session_id
        self._timeline = Timeline(state.timeline)
        self._spans = Spans(make_engine, state.measured_to, state.heard)
        self._quality = Quality(settings.audio_min_snr_db, state.quality)
        self._open: deque[Placed] = deque()  # chunks that are not done
        self._idle_at_ms: int | None = None
        self._errors = 0
        self._ended = state.ended
        self._speaker = state.speaker
        self._alerts = Alerts(state.alerts)

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        """Take a chunk or an event."""
        match received.record:
            case AudioChunk() as chunk:
                return list(self._on_chunk(received, chunk, now_ms))
            case SessionEvent() as event:
                return list(self._on_event(received.position, event, now_ms))
            case other:
                failure = Failure("UnexpectedRecord", f"{type(other).__name__} in the audio stream", retryable=False)
                return [Reject(received.position, failure)]

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        """A warning has reached the speaker, or has not; nothing follows from it."""
        del now_ms
        reached = isinstance(reply.value, Warned) and reply.value.reached
        return [Count("QualityWarningsSent" if reached else "QualityWarningsFailed")]

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        """Go on without what has not come; close the frame under way when nothing comes any more."""
        effects = list(self._take(self._timeline.release(now_ms), now_ms))
        if self._idle_at_ms is not None and now_ms >= self._idle_at_ms:
            effects += self._flush(now_ms)
        return effects

    def wake_at_ms(self) -> int | None:
        """When something is due."""
        at = [moment for moment in (self._timeline.wake_at_ms(), self._idle_at_ms) if moment is not None]
        return min(at, default=None)

    def held_bytes(self) -> int:
        """Audio that waits for earlier chunks."""
        return self._timeline.held_bytes()

    def on_held_up(self, now_ms: int) -> None:
        """What comes next waits to be read: no chunk is missing, and the frame under way is not over."""
        self._timeline.on_held_up(now_ms)
        if self._idle_at_ms is not None:
            self._idle_at_ms = now_ms + IDLE_MS

    def snapshot(self) -> bytes:
        """Where the clock and the frames stand, and what is known of loudness and quality."""
        return snapshots.encode(
            snapshots.EmotionState(
                timeline=self._timeline.state(),
                measured_to=self._spans.measured_to,
                heard=list(self._spans.heard),
                quality=self._quality.state(),
                ended=self._ended,
                speaker=self._speaker,
                alerts=self._alerts.state(),
            )
        )

    def on_emitted(self, record: Record) -> None:
        """Learn what was emitted since the snapshot."""
        if isinstance(record, EmotionFrame):
            self._spans.measured_to = max(self._spans.measured_to, record.end_ms * SAMPLES_PER_MS)
        elif isinstance(record, QualityReport):
            self._quality.on_reported(record.code, record.media_ms, active=record.active)
            self._alerts.on_change(record.code, active=record.active)
            list(self._alerts.due(record.times_ms.get(times.ADMITTED, 0)))  # whoever emitted it has told it

    def _on_chunk(self, received: Input, chunk: AudioChunk, now_ms: int) -> Iterator[Effect]:
        if self._speaker.is_quiet and not self._ended:
            yield Count("AudioChunksMuted")
            yield Done(received.position)
        elif len(chunk.pcm) % 2:
            message = f"{len(chunk.pcm)} bytes are no 16-bit samples"
            yield Reject(received.position, Failure("OddLength", message, retryable=False))
        elif not chunk.pcm or self._ended:
            yield Done(received.position)
        else:
            yield from self._take(self._timeline.push(received, now_ms), now_ms)

    def _on_event(self, position: Position, event: SessionEvent, now_ms: int) -> Iterator[Effect]:
        was_quiet, self._speaker = self._speaker.is_quiet, self._speaker.after(event) or self._speaker
        if (self._speaker.is_quiet and not was_quiet) or event.event == "ended":
            yield from self._take(self._timeline.release(now_ms, everything=True), now_ms)
            yield from self._flush(now_ms)
        elif was_quiet and not self._speaker.is_quiet:
            self._timeline.reopen()
        self._ended = self._ended or event.event == "ended"
        yield Done(position)

    def _take(self, passed: Passed, now_ms: int) -> Iterator[Effect]:
        for placed in passed.placed:
            self._open.append(placed)
            self._idle_at_ms = now_ms + IDLE_MS
            samples = np.frombuffer(placed.chunk.pcm, "<i2")
            yield from self._frames(self._spans.feed(placed.start_sample, samples), now_ms)
            for change in self._quality.feed(placed.start_sample, samples):
                yield Emit(self._report(change))
                self._alerts.on_change(change.code, active=change.active)
            yield from self._warn(placed.chunk.admitted_at_ms)
        yield from self._settle(self._spans.measured_to - CONTEXT_MS * SAMPLES_PER_MS)
        for position in passed.repeated:
            yield Done(position)
        for position in passed.late:  # transcription keeps it for the operators; here nothing is left to measure
            yield Count("AudioChunksDropped")
            yield Done(position)

    def _warn(self, at_ms: int) -> Iterator[Effect]:
        for alert in self._alerts.due(at_ms):
            call_id = f"{alert.code}:{alert.active}:{at_ms}"
            yield Call(call_id, Warn(alert.code, alert.active, at_ms), lane=alert.code)

    def _flush(self, now_ms: int) -> Iterator[Effect]:
        self._idle_at_ms = None
        yield from self._frames(self._spans.flush(), now_ms)
        if self._open:
            yield from self._settle(self._open[-1].end_sample)

    def _settle(self, upto: int) -> Iterator[Effect]:
        while self._open and self._open[0].end_sample <= upto:
            yield Done(self._open.popleft().received.position)

    def _frames(self, spans: Iterable[Span], now_ms: int) -> Iterator[Effect]:
        for span in spans:
            yield Emit(self._frame(span))
            yield Count("EmotionExtractionLatency", max(0, now_ms - self._open[-1].received.read_ms), "Milliseconds")
        if (errors := self._spans.errors) > self._errors:
            yield Count("EmotionExtractionErrors", errors - self._errors)
            self._errors = errors

    def _frame(self, span: Span) -> EmotionFrame:
        return EmotionFrame(
            session_id=self._session_id,
            times_ms=_hops(self._open[-1]),
            start_ms=span.start // SAMPLES_PER_MS,
            end_ms=span.end // SAMPLES_PER_MS,
            volume=span.volume,
            rate=span.rate,
            energy=span.energy,
            level_db=span.level_db,
            voiced_ms=span.voiced_ms,
            onsets_ms=span.onsets_ms,
        )

    def _report(self, change: Change) -> QualityReport:
        return QualityReport(
            session_id=self._session_id,
            times_ms=_hops(self._open[-1]),
            code=change.code,
            active=change.active,
            value=change.value,
            threshold=change.threshold,
            media_ms=change.end // SAMPLES_PER_MS,
        )


class Off:
    """A `Stage` that takes everything and says nothing: ENABLE_EMOTION_DETECTION=false (row E4)."""

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        """Done."""
        del now_ms
        return [Done(received.position)]

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        """Nobody was asked."""
        del reply, now_ms
        return []

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        """Nothing is due."""
        del now_ms
        return []

    def wake_at_ms(self) -> int | None:
        """Never."""
        return None

    def held_bytes(self) -> int:
        """Nothing."""
        return 0

    def snapshot(self) -> bytes:
        """Nothing to remember: the stage begins anew when it is turned on."""
        return snapshots.encode(snapshots.EmotionState())

    def on_emitted(self, record: Record) -> None:
        """Nothing was."""


def builder(settings: EmotionSettings) -> StageBuilder:
    """Makes sessions' stages with these settings; imports the engine that they name."""
    if settings.enable_emotion_detection == "false":
        return lambda session_id, snapshot: Off()
    make_engine = engine_factory(settings.emotion_engine)
    return lambda session_id, snapshot: Emotion(session_id, make_engine, settings, snapshot)


def _hops(placed: Placed) -> dict[str, int]:
    """When the chunk that made the record possible passed each hop."""
    hops = {times.ADMITTED: placed.chunk.admitted_at_ms, times.AUDIO_WRITTEN: placed.received.written_ms}
    if placed.chunk.captured_at_ms is not None:
        hops[times.CAPTURED] = placed.chunk.captured_at_ms
    return hops
