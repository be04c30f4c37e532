"""One session's translation: transcripts in, captions and speech in each listener's language out. Pure.

Who listens is asked for each transcript; the answers are taken in the order of the transcripts. Then each language has
a lane of its own, so that a slow one delays no other. A session event waits until all before it is out, and what
follows waits for the event.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Final

from stages.translate import state as snapshots
from stages.translate.emitted import Emitted
from stages.translate.horizon import Horizon
from stages.translate.items import EventItem, OpenCalls, TranscriptItem
from stages.translate.lane import Job, Lane
from stages.translate.requests import FindDynamics, FindLanguages, FoundDynamics, Languages
from stages.translate.settings import TranslateSettings
from stages.translate.state import Text, TranslateState, Utterance
from streams.errors import Failure
from streams.lag import LagBudget, lag_ms
from streams.languages import base_language
from streams.records import NEUTRAL, Caption, Record, SessionEvent, SpeechPart, Transcript
from streams.stage import Count, Done, Effect, Emit, Input, Reject, Reply, StageBuilder

EVENTS_REMEMBERED: Final = 16
UTTERANCES_REMEMBERED: Final = 32
"""A speaker has one open utterance, two while workers change; what never gets its final goes with the oldest."""


class Translation:
    """A `Stage`."""

    def __init__(self, session_id: str, settings: TranslateSettings, snapshot: bytes | None) -> None:
        state = snapshots.decode(snapshot) if snapshot is not None else TranslateState()
        self._session_id = session_id
        self._settings = settings
        self._horizon = Horizon(state.horizon_ms, state.recent)
        self._utterances = OrderedDict(state.utterances)
        self._events: deque[str] = deque(state.events, maxlen=EVENTS_REMEMBERED)
        self._version = state.version
        self._emitted = Emitted()
        self._calls: OpenCalls[Job | TranscriptItem] = OpenCalls()
        self._lanes: dict[str, Lane] = {}
        self._budget = LagBudget.of(settings.lag_partials_s, settings.lag_speech_s, settings.lag_resume_s)
        for language, spoken in state.spoken.items():
            self._lane(language).spoken = spoken
            self._lane(language).lateness.behind = language in state.behind
        self._queue: deque[TranscriptItem | EventItem] = deque()  # not yet given to lanes
        self._active: deque[TranscriptItem] = deque()  # given to lanes, not finished

    # --- the contract --------------------------------------------------------------------------------------------

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        """Take a transcript or an event."""
        match received.record:
            case Transcript() as transcript:
                effects = list(self._on_transcript(received, transcript, now_ms))
            case SessionEvent() as event:
                effects = list(self._on_event(received, event))
            case other:
                failure = Failure("UnexpectedRecord", f"{type(other).__name__} among transcripts", retryable=False)
                effects = [Reject(received.position, failure)]
        return [*effects, *self._distribute(now_ms)]

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        """Take what a service answers."""
        owner = self._calls.take(reply.call_id)
        effects: list[Effect] = []
        if isinstance(owner, Job):
            effects += owner.lane.on_reply(owner, reply, now_ms)
        elif owner is not None:
            effects += self._on_answer(owner, reply, now_ms)
        return [*effects, *self._distribute(now_ms)]

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        """Nothing waits for a time."""
        return []

    def wake_at_ms(self) -> int | None:
        """Never."""
        return None

    def held_bytes(self) -> int:
        """Text is small; the driver's bound on open records bounds it."""
        return 0

    def snapshot(self) -> bytes:
        """What is committed and what is out."""
        return snapshots.encode(
            TranslateState(
                horizon_ms=self._horizon.end_ms,
                recent=list(self._horizon.recent),
                utterances=dict(self._utterances),
                spoken={language: lane.spoken for language, lane in self._lanes.items()},
                events=list(self._events),
                behind=[language for language, lane in self._lanes.items() if lane.lateness.behind],
                version=self._version,
            )
        )

    def on_emitted(self, record: Record) -> None:
        """Learn what was out since the snapshot."""
        match record:
            case Caption():
                self._on_emitted_caption(record)
            case SpeechPart():
                self._emitted.note_speech(record)
                lane = self._lane(record.language)
                lane.lateness.behind = bool(record.skipped_by)
                if not record.skipped_by:
                    lane.spoken = max(lane.spoken, record.sequence + 1)
            case SessionEvent(version=0):
                self._events.append(record.event_id)
            case SessionEvent():
                self._version = max(self._version, record.version)

    # --- inputs --------------------------------------------------------------------------------------------------

    def _on_transcript(self, received: Input, transcript: Transcript, now_ms: int) -> Iterator[Effect]:
        if (
            transcript.is_partial
            and lag_ms(transcript.times_ms, received.written_ms, now_ms) > self._budget.partials_ms
        ):
            yield Count("PartialsSkipped")
            yield Done(received.position)
            return
        words = self._horizon.new_words(transcript.words) if transcript.status != "final" else []
        known = transcript.utterance_id in self._utterances
        if not (known if transcript.status == "final" else words):
            yield Done(received.position)
            return
        utterance = self._utterance(transcript.utterance_id, transcript.start_ms)
        clause = utterance.clauses
        if transcript.status == "clause":
            self._horizon.commit(words)
            clause = max(clause, transcript.clause)
            utterance.clauses = clause + 1
        item = TranscriptItem(received, transcript, utterance, words, clause)
        if transcript.status == "final":
            item.languages = []
        else:
            yield from self._drop_older_partial()
            yield self._calls.ask(item, FindLanguages())
        self._queue.append(item)

    def _utterance(self, utterance_id: str, start_ms: int) -> Utterance:
        if utterance_id not in self._utterances:
            self._utterances[utterance_id] = Utterance(start_ms)
            if len(self._utterances) > UTTERANCES_REMEMBERED:
                self._utterances.popitem(last=False)
        return self._utterances[utterance_id]

    def _drop_older_partial(self) -> Iterator[Effect]:
        """A partial that nobody has seen is out of date."""
        last = self._queue[-1] if self._queue else None
        if isinstance(last, TranscriptItem) and last.transcript.is_partial:
            self._queue.pop()
            yield Done(last.position)

    def _on_event(self, received: Input, event: SessionEvent) -> Iterator[Effect]:
        if self._is_known(event):
            yield Done(received.position)
        else:
            self._version = max(self._version, event.version)
            self._queue.append(EventItem(received.position, event))

    def _is_known(self, event: SessionEvent) -> bool:
        """Whether it is out, or waits to be, or a newer one of its kind is before it."""
        if event.version:
            return event.version <= self._version
        waiting = any(isinstance(item, EventItem) and item.event.event_id == event.event_id for item in self._queue)
        return waiting or event.event_id in self._events

    # --- answers -------------------------------------------------------------------------------------------------

    def _on_answer(self, item: TranscriptItem, reply: Reply, now_ms: int) -> Iterator[Effect]:
        match reply.value:
            case Languages(codes):
                item.languages = codes
            case FoundDynamics(dynamics):
                item.dynamics = dynamics
                yield from self._advance(now_ms)
            case _ if item.languages is None:
                item.languages = []
                item.failure = reply.failure
            case _:
                item.dynamics = NEUTRAL
                yield Count("EmotionExtractionErrors")
                yield from self._advance(now_ms)

    # --- what follows --------------------------------------------------------------------------------------------

    def _distribute(self, now_ms: int) -> Iterator[Effect]:
        """Give the lanes, in order, what is known well enough."""
        while self._queue:
            head = self._queue[0]
            while self._active and self._active[0].pending == 0:
                self._active.popleft()
            if isinstance(head, EventItem):
                if any(item.pending for item in self._active):
                    return
                self._queue.popleft()
                if not head.event.version:
                    self._events.append(head.event.event_id)
                yield Emit(head.event)
                yield Done(head.position)
            elif head.languages is None:
                return
            else:
                self._queue.popleft()
                yield from self._start(head, head.languages, now_ms)

    def _start(self, item: TranscriptItem, listening: list[str], now_ms: int) -> Iterator[Effect]:
        match item.transcript.status:
            case "partial":
                own = base_language(item.transcript.source_language)
                if own in listening and item.start_ms >= self._emitted.captioned_ms(own):
                    self._lane(own).add_caption(item)
                    yield from self._lane(own).advance(now_ms)
                yield Done(item.position)
            case "clause":
                languages = self._emitted.languages(item.clause_id, listening)
                yield from self._start_clause(item, languages, now_ms)
            case "final":
                yield from self._start_final(item, now_ms)

    def _start_clause(self, item: TranscriptItem, languages: list[str], now_ms: int) -> Iterator[Effect]:
        if not languages:
            yield Reject(item.position, item.failure) if item.failure else Done(item.position)
            return
        self._begin(item, len(languages))
        if self._settings.enable_emotion_detection == "true":
            yield self._calls.ask(item, FindDynamics(item.start_ms, item.end_ms))
        else:
            item.dynamics = NEUTRAL
        for language in languages:
            self._lane(language).add_clause(item, self._emitted)
            yield from self._lane(language).advance(now_ms)

    def _start_final(self, item: TranscriptItem, now_ms: int) -> Iterator[Effect]:
        """Every lane closes the utterance after what it has of it."""
        utterance_id = item.transcript.utterance_id
        self._utterances.pop(utterance_id, None)
        lanes = [lane for name, lane in self._lanes.items() if not self._emitted.is_final(utterance_id, name)]
        if not lanes:
            yield Done(item.position)
            return
        self._begin(item, len(lanes))
        for lane in lanes:
            lane.add_caption(item)
            yield from lane.advance(now_ms)

    def _begin(self, item: TranscriptItem, languages: int) -> None:
        item.pending = languages
        self._active.append(item)

    def _advance(self, now_ms: int) -> Iterator[Effect]:
        for lane in self._lanes.values():
            yield from lane.advance(now_ms)

    def _lane(self, language: str) -> Lane:
        if language not in self._lanes:
            ahead = self._settings.clauses_ahead
            self._lanes[language] = Lane(language, self._session_id, ahead, self._budget, self._calls)
        return self._lanes[language]

    def _on_emitted_caption(self, caption: Caption) -> None:
        self._lane(caption.language)
        utterance = self._utterance(caption.utterance_id, caption.start_ms)
        text = utterance.texts.setdefault(caption.language, Text())
        committed = caption.text[: caption.committed]
        self._emitted.note_caption(caption, committed[len(text.committed) :].strip())
        text.committed = committed
        text.revision = max(text.revision, caption.revision)
        if caption.final:
            del utterance.texts[caption.language]


def builder(settings: TranslateSettings) -> StageBuilder:
    """Makes sessions' stages with these settings."""

    def build(session_id: str, snapshot: bytes | None) -> Translation:
        return Translation(session_id, settings, snapshot)

    return build
