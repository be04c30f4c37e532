"""One session's transcription: chunks and events in, transcripts out. Pure.

A chunk is `Done` when a final has covered it and CONTEXT_MS more, so that whoever takes over hears no fragment of a
word; sound in which nothing was recognised is done when no result can span it any more. Session events pass between
the words where they were, `ended` after the last. What comes while the speaker is paused or muted is not heard (row
A7): a door that is some ms late lets it slip in.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from stages.transcribe import state as snapshots
from stages.transcribe.audio import SAMPLES_PER_MS, RetainedAudio
from stages.transcribe.clauses import ClauseRule
from stages.transcribe.feed import Feed
from stages.transcribe.feeding import Feeding
from stages.transcribe.requests import Ended, Result
from stages.transcribe.settings import TranscribeSettings
from stages.transcribe.speaker_clock import SpeakerClock
from stages.transcribe.utterances import HeardResult, Outcome, Utterances
from streams import times
from streams.driver import MAX_HELD_BYTES
from streams.errors import Failure
from streams.lag import lag_ms
from streams.records import AudioChunk, Record, SessionEvent, Transcript, Word
from streams.stage import Count, Done, Effect, Emit, Input, Position, Reject, Reply, StageBuilder
from streams.timeline import Passed, Timeline
from streams.words import well_formed

CONTEXT_MS: Final = 500
"""Audio before the horizon that is always fed again: the longest word that could be heard as a fragment."""
EVENT_WAIT_MS: Final = 2_000
"""How long an event other than `ended` waits for words spoken before it."""
EVENTS_REMEMBERED: Final = 16
DEFAULT_LANGUAGE: Final = "en-US"


class _Waiting(NamedTuple):
    position: Position
    event: SessionEvent
    media_ms: int
    due_ms: int


class Transcribe:
    """A `Stage`."""

    def __init__(self, session_id: str, settings: TranscribeSettings, snapshot: bytes | None) -> None:
        state = snapshots.decode(snapshot) if snapshot is not None else snapshots.TranscribeState()
        rule = ClauseRule(settings.clause_pause_ms, settings.clause_span_ms, settings.clause_min_words)
        language = state.source_language or DEFAULT_LANGUAGE
        self._session_id = session_id
        self._timeline = Timeline(state.timeline)
        self._audio = RetainedAudio()
        self._feeding = Feeding(session_id, settings, self._audio)
        self._feeding.language = language
        self._utterances = Utterances(session_id, language, settings.stability_threshold, rule, state.speech)
        self._covered = state.covered_ms * SAMPLES_PER_MS
        self._silent = 0  # up to here nothing more can be recognised, though no final says so
        self._waiting: deque[_Waiting] = deque()
        self._speaker_clock = SpeakerClock(state.speaker_clock)
        self._late_partial_ms = settings.lag_partials_s * 1_000
        self._passed_on: deque[str] = deque(state.events, maxlen=EVENTS_REMEMBERED)
        self._speaker = state.speaker
        self._passed_version = state.speaker.version
        self._ended = state.ended
        self._over = state.ended  # even the last word is out: what comes again has been dealt with

    # --- the contract --------------------------------------------------------------------------------------------

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        """Take a chunk or an event."""
        match received.record:
            case AudioChunk() as chunk:
                effects = list(self._on_chunk(received, chunk, now_ms))
            case SessionEvent() as event:
                effects = list(self._on_event(received.position, event, now_ms))
            case other:
                failure = Failure("UnexpectedRecord", f"{type(other).__name__} in the audio stream", retryable=False)
                effects = [Reject(received.position, failure)]
        return [*effects, *self._go_on(now_ms)]

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        """Take what the recogniser answers."""
        feed = self._feeding.feed_of(reply.call_id)
        if feed is None:
            return []
        effects: list[Effect] = []
        was_open = self._feeding.is_open()
        effects += self._feeding.on_reply(feed, reply, now_ms)
        effects += self._hear(now_ms)
        if isinstance(reply.value, Ended):
            self._silent = max(self._silent, feed.media_end)
        if was_open and not self._feeding.is_open():
            self._utterances.forget_results()
        return [*effects, *self._go_on(now_ms)]

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        """Release what has waited long enough; feed; give up what has been silent too long."""
        effects = list(self._take(self._timeline.release(now_ms, everything=self._ended), now_ms))
        effects += self._emits(self._utterances.on_timer(now_ms), now_ms)
        return [*effects, *self._go_on(now_ms)]

    def wake_at_ms(self) -> int | None:
        """When something is due."""
        at = [
            self._timeline.wake_at_ms(),
            self._utterances.wake_at_ms(),
            self._feeding.wake_at_ms(wanted=self._is_wanted(), finish=self._ended),
            self._waiting[0].due_ms if self._waiting and self._waiting[0].event.event != "ended" else None,
        ]
        return min((moment for moment in at if moment is not None), default=None)

    def held_bytes(self) -> int:
        """Audio that no recogniser has taken."""
        return self._timeline.held_bytes() + self._feeding.held_bytes()

    def on_held_up(self, now_ms: int) -> None:
        """The speaker may go on in what waits to be read: neither a chunk is missing nor is there silence."""
        self._timeline.on_held_up(now_ms)
        self._feeding.on_held_up(now_ms)

    def snapshot(self) -> bytes:
        """What has been said, and where the session's clock stands."""
        return snapshots.encode(
            snapshots.TranscribeState(
                timeline=self._timeline.state(),
                speech=self._utterances.state(),
                covered_ms=self._covered // SAMPLES_PER_MS,
                source_language=self._utterances.language,
                events=list(self._passed_on),
                ended=self._ended,
                speaker_clock=self._speaker_clock.state,
                speaker=self._speaker,
            )
        )

    def on_emitted(self, record: Record) -> None:
        """Learn what was said since the snapshot."""
        if isinstance(record, Transcript):
            self._utterances.on_emitted(record)
            if record.status == "final":
                self._covered = max(self._covered, record.end_ms * SAMPLES_PER_MS)
        elif isinstance(record, SessionEvent):
            self._note_passed(record)
            if record.event == "ended":
                self._ended = self._over = True
                self._utterances.close(0)  # nothing follows the end, not even the final of what was left open

    # --- inputs --------------------------------------------------------------------------------------------------

    def _on_chunk(self, received: Input, chunk: AudioChunk, now_ms: int) -> Iterator[Effect]:
        if self._over:
            yield Done(received.position)
        elif self._ended:
            yield from self._late(received.position)
        elif self._speaker.is_quiet:
            yield Count("AudioChunksMuted")
            yield Done(received.position)
        elif len(chunk.pcm) % 2:
            message = f"{len(chunk.pcm)} bytes are no 16-bit samples"
            yield Reject(received.position, Failure("OddLength", message, retryable=False))
        elif not chunk.pcm:
            yield Done(received.position)
        else:
            if chunk.captured_at_ms is not None:
                self._speaker_clock.note(chunk.captured_at_ms, chunk.admitted_at_ms)
            yield from self._take(self._timeline.push(received, now_ms), now_ms)

    def _take(self, passed: Passed, now_ms: int) -> Iterator[Effect]:
        for placed in passed.placed:
            self._audio.append(placed)
            self._feeding.on_audio(now_ms)
        for position in passed.repeated:
            yield Done(position)
        for position in passed.late:
            yield from self._late(position)

    def _late(self, position: Position) -> Iterator[Effect]:
        yield Count("AudioChunksDropped")
        yield Reject(position, Failure("LateChunk", "the audio has gone on past this chunk", retryable=False))

    def _on_event(self, position: Position, event: SessionEvent, now_ms: int) -> Iterator[Effect]:
        was_quiet, speaker = self._speaker.is_quiet, self._speaker.after(event)
        if speaker is None or self._ended:  # nothing follows the end
            yield Done(position)
            return
        self._speaker = speaker
        if event.source_language:
            self._utterances.language = self._feeding.language = event.source_language
        if (speaker.is_quiet and not was_quiet) or event.event == "ended":
            yield from self._take(self._timeline.release(now_ms, everything=True), now_ms)
            self._feeding.quiet_from_ms = now_ms
        elif was_quiet and not speaker.is_quiet:
            self._timeline.reopen()
        if self._is_passed_on(event):
            yield Done(position)
            return
        self._ended = event.event == "ended"
        due_ms = now_ms + (0 if event.event == "created" else EVENT_WAIT_MS)
        self._waiting.append(_Waiting(position, event, self._timeline.now_ms, due_ms))

    def _is_passed_on(self, event: SessionEvent) -> bool:
        """Whether it has been, since the snapshot too, or waits to be."""
        if event.version:
            return event.version <= self._passed_version
        return event.event_id in self._passed_on or any(w.event.event_id == event.event_id for w in self._waiting)

    def _note_passed(self, event: SessionEvent) -> None:
        if event.version:
            self._passed_version = max(self._passed_version, event.version)
        else:
            self._passed_on.append(event.event_id)

    def _hear(self, now_ms: int) -> Iterator[Effect]:
        for hearing in self._feeding.take_heard():
            end_ms = hearing.feed.media_ms(hearing.result.end_ms, is_end=True)
            is_covered = not hearing.result.is_partial and end_ms * SAMPLES_PER_MS <= self._covered
            if not (hearing.held and is_covered):  # a final of the stream before has said it
                yield from self._on_result(hearing.feed, hearing.result, hearing.answered_ms, now_ms)

    def _on_result(self, feed: Feed, result: Result, answered_ms: int, now_ms: int) -> Iterator[Effect]:
        words = [word for word in result.words if word.text.strip()]
        heard = HeardResult(
            key=f"{feed.stream}:{result.result_id}",
            words=[
                Word(well_formed(w.text), feed.media_ms(w.start_ms), feed.media_ms(w.end_ms, is_end=True), w.confidence)
                for w in words
            ],
            stable=[word.stable for word in words],
            end_ms=feed.media_ms(result.end_ms, is_end=True),
            is_partial=result.is_partial,
            answered_ms=answered_ms,
        )
        contradictions = self._utterances.contradictions
        yield from self._emits(self._utterances.on_result(heard, now_ms), now_ms)
        if self._utterances.contradictions > contradictions:
            yield Count("TranscriptionContradictions", self._utterances.contradictions - contradictions)
        if not result.is_partial:
            self._covered = max(self._covered, heard.end_ms * SAMPLES_PER_MS)

    # --- what follows --------------------------------------------------------------------------------------------

    def _go_on(self, now_ms: int) -> Iterator[Effect]:
        """After each step: feed the recogniser, pass events on, settle what is done."""
        if self.held_bytes() > MAX_HELD_BYTES:
            self._timeline.on_held_up(now_ms)
        self._silent = max(self._silent, self._feeding.covered_media(now_ms))
        yield from self._settle()
        yield from self._feeding.pump(now_ms, wanted=self._is_wanted(), finish=self._ended)
        yield from self._hear(now_ms)
        failure = self._feeding.refused
        if failure is not None:
            for position in self._audio.settle(self._audio.end_media):
                yield Reject(position, failure)
        if self._ended and ((not self._is_wanted() and not self._feeding.is_open()) or self._feeding.gave_up()):
            yield from self._finish(now_ms)
        while self._waiting and self._may_pass(self._waiting[0], now_ms):
            yield from self._pass_on(self._waiting.popleft())

    def _is_wanted(self) -> bool:
        return len(self._audio) > 0 and self._audio.end_media > max(self._covered, self._silent)

    def _settle(self) -> Iterator[Effect]:
        for position in self._audio.settle(max(self._covered - CONTEXT_MS * SAMPLES_PER_MS, self._silent)):
            yield Done(position)

    def _may_pass(self, waiting: _Waiting, now_ms: int) -> bool:
        if waiting.event.event == "ended":
            return False
        return now_ms >= waiting.due_ms or waiting.media_ms * SAMPLES_PER_MS <= max(self._covered, self._silent)

    def _pass_on(self, waiting: _Waiting) -> Iterator[Effect]:
        self._note_passed(waiting.event)
        yield Emit(msgspec.structs.replace(waiting.event, media_ms=waiting.media_ms))
        yield Done(waiting.position)

    def _finish(self, now_ms: int) -> Iterator[Effect]:
        """The session is over and all is heard: the last words, the last events, nothing left open."""
        yield from self._feeding.close()
        yield from self._emits(self._utterances.close(now_ms), now_ms)
        while self._waiting:
            yield from self._pass_on(self._waiting.popleft())
        for position in self._audio.settle(self._audio.end_media):
            yield Done(position)

    def _emits(self, outcomes: Iterable[Outcome], now_ms: int) -> Iterator[Effect]:
        for transcript, answered_ms in outcomes:
            while transcript.status != "partial" and self._waiting and self._is_before(self._waiting[0], transcript):
                yield from self._pass_on(self._waiting.popleft())
            hops = self._hops(transcript.end_ms) | {times.RECOGNISED: answered_ms}
            if transcript.status == "partial" and transcript.words and self._is_late(hops, now_ms):
                yield Count("PartialsSkipped")
                continue
            yield Emit(msgspec.structs.replace(transcript, times_ms=hops, timestamp=now_ms))
            yield Count("TranscriptionForwardingLatency", max(0, now_ms - answered_ms), "Milliseconds")

    def _hops(self, media_ms: int) -> dict[str, int]:
        """When the sound just before this media time was made, and passed each hop."""
        hops = self._audio.times_at(media_ms)
        if times.ADMITTED in hops:
            hops[times.SPOKEN] = self._speaker_clock.spoken_ms(hops.get(times.CAPTURED), hops[times.ADMITTED])
        return hops

    def _is_late(self, hops: dict[str, int], now_ms: int) -> bool:
        return lag_ms(hops, now_ms, now_ms) > self._late_partial_ms

    def _is_before(self, waiting: _Waiting, transcript: Transcript) -> bool:
        return waiting.event.event != "ended" and waiting.media_ms <= transcript.start_ms


def builder(settings: TranscribeSettings) -> StageBuilder:
    """Makes sessions' stages with these settings."""

    def build(session_id: str, snapshot: bytes | None) -> Transcribe:
        return Transcribe(session_id, settings, snapshot)

    return build
