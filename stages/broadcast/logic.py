"""One session's broadcast: captions, speech and the session's end in, one delivery each, receipts out. Pure.

Changes of the broadcast's state come in order with the speech that they are about: speech gets the volume that the
speaker had then (row B3). Listeners are told of them by the gateway, at once.

Deliveries begin in the order of the stream: the next is asked for when the one before has its place in every listener's
lane. They end on their own: a slow listener holds up its own lane, and the record's `Done`, for the delivery's budget.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import msgspec

from stages.broadcast.messages import clause_duration_ms
from stages.broadcast.requests import Deliver, Delivered, Queued
from stages.broadcast.settings import BroadcastSettings
from stages.broadcast.volume import at_volume
from streams import state as snapshots
from streams import times
from streams.errors import Failure
from streams.lag import LagBudget, Lateness, lag_ms
from streams.records import Caption, Receipt, Record, SessionEvent, SpeechPart
from streams.speaker_state import CHANGES, SpeakerState
from streams.stage import Call, Count, Done, Effect, Emit, Input, Reject, Reply, StageBuilder

VERSION: Final = 1
STAGE: Final = "broadcast"
REMEMBERED: Final = 512
"""Ids of records that were delivered: more than the driver gives again after a crash, some minutes of a session."""
CLAUSES_REMEMBERED: Final = 32
"""Clauses of several records that are under way: one in each language."""

Deliverable: TypeAlias = Caption | SpeechPart | SessionEvent


class BroadcastState(msgspec.Struct):
    """The snapshot: ids of the last records that were given to listeners.

    lacking: of clauses whose last record is still to come, how many listeners lack a part: gone, failed, dropped.
    behind: languages whose last clause this stage left out as too late. speaker: the broadcast's state where the
    snapshot was taken.
    """

    v: int = VERSION
    delivered: list[str] = []
    lacking: dict[str, tuple[int, int, int]] = {}
    behind: list[str] = []
    speaker: SpeakerState = SpeakerState()


class Broadcast:
    """A `Stage`."""

    def __init__(self, session_id: str, settings: BroadcastSettings, snapshot: bytes | None) -> None:
        state = snapshots.decode(snapshot, BroadcastState, VERSION) if snapshot is not None else BroadcastState()
        self._session_id = session_id
        self._known: OrderedDict[str, None] = OrderedDict.fromkeys(state.delivered)
        self._lacking: OrderedDict[str, tuple[int, int, int]] = OrderedDict(state.lacking)
        self._budget = LagBudget.of(settings.lag_partials_s, settings.lag_speech_s, settings.lag_resume_s)
        self._lateness = {language: Lateness(self._budget, behind=True) for language in state.behind}
        self._left_out: dict[str, str] = {}  # by language, the clause that was left out last: its other parts are too
        self._waiting: deque[tuple[Input, Deliverable]] = deque()
        self._queueing: str | None = None  # the call whose record has no place in the lanes yet
        self._under_way: dict[str, tuple[Input, Deliverable]] = {}
        self._calls = 0
        self._speaker = state.speaker

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        """Take what is for the listeners."""
        record = received.record
        if not isinstance(record, Deliverable):
            failure = Failure("UnexpectedRecord", f"{type(record).__name__} in the speech stream", retryable=False)
            return [Reject(received.position, failure)]
        if isinstance(record, SessionEvent) and record.event in CHANGES:
            self._speaker = self._speaker.after(record) or self._speaker
            return [Done(received.position)]
        if not self._remember(_id_of(record)):
            return [Done(received.position)]
        if isinstance(record, SpeechPart) and self._speaker.volume != 1.0:
            record = msgspec.structs.replace(record, pcm=at_volume(record.pcm, self._speaker.volume))
        self._waiting.append((received, record))
        return list(self._pump(now_ms))

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        """Take what became of a delivery."""
        effects: list[Effect] = []
        if reply.last and reply.call_id in self._under_way:
            effects += self._finish(*self._under_way.pop(reply.call_id), reply, now_ms)
        if reply.call_id == self._queueing and (reply.last or isinstance(reply.value, Queued)):
            self._queueing = None
        return [*effects, *self._pump(now_ms)]

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        """Nothing waits for a time."""
        return []

    def wake_at_ms(self) -> int | None:
        """Never."""
        return None

    def held_bytes(self) -> int:
        """Nothing: what is in lanes has been taken by the delivery, which bounds it."""
        return 0

    def snapshot(self) -> bytes:
        """What was given to listeners; it is stored only when the deliveries are over."""
        behind = sorted(language for language, one in self._lateness.items() if one.behind)
        delivered, lacking = list(self._known), dict(self._lacking)
        return snapshots.encode(BroadcastState(VERSION, delivered, lacking, behind, self._speaker))

    def on_emitted(self, record: Record) -> None:
        """Learn from a receipt what was delivered since the snapshot."""
        if isinstance(record, Receipt):
            match record.of:
                case "speech":
                    self._remember(_clause_id(record.utterance_id, record.clause, record.language))
                    self._lateness_of(record.language).behind = record.skipped_by == STAGE
                case "caption":
                    self._remember(_final_id(record.utterance_id, record.language))
                case "event":
                    self._remember(record.utterance_id)

    def _remember(self, record_id: str) -> bool:
        """Whether it is new. A clause that has its receipt covers all its parts."""
        clause_id, _, part = record_id.partition("#")
        if record_id in self._known or (part and clause_id in self._known):
            return False
        self._known[record_id] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return True

    def _pump(self, now_ms: int) -> Iterator[Effect]:
        while self._waiting and self._queueing is None:
            received, waited = self._waiting.popleft()
            record = self._in_time(waited, lag_ms(waited.times_ms, received.written_ms, now_ms), now_ms)
            if record is None:
                if isinstance(waited, Caption):
                    yield Count("PartialsSkipped")
                yield Done(received.position)
                continue
            if record is not waited:
                yield Count("SpeechSkipped")
            self._calls += 1
            self._queueing = f"deliver-{self._calls}"
            self._under_way[self._queueing] = (received, record)
            yield Call(self._queueing, Deliver(record, now_ms // 1000))

    def _in_time(self, record: Deliverable, late_ms: int, now_ms: int) -> Deliverable | None:
        """What listeners get of it, late as it is; None: nothing.

        A clause is spoken or left out as a whole, as its first part finds it.
        """
        if isinstance(record, Caption):
            is_partial = not record.final and record.committed < len(record.text)
            return None if is_partial and late_ms > self._budget.partials_ms else record
        if not isinstance(record, SpeechPart) or record.skipped_by:
            return record
        clause_id = _clause_id(record.utterance_id, record.clause, record.language)
        if record.part:
            return None if self._left_out.get(record.language) == clause_id else record
        if not self._lateness_of(record.language).leaves_out(late_ms, now_ms):
            return record
        self._left_out[record.language] = clause_id
        self._remember(clause_id)
        return msgspec.structs.replace(record, pcm=b"", part=0, parts=1, total_bytes=0, skipped_by=STAGE)

    def _lateness_of(self, language: str) -> Lateness:
        return self._lateness.setdefault(language, Lateness(self._budget))

    def _finish(self, received: Input, record: Deliverable, reply: Reply, now_ms: int) -> Iterator[Effect]:
        if reply.failure is not None or not isinstance(reply.value, Delivered):
            yield Count("ListenerNotificationFailures")
            failure = reply.failure or Failure("UnexpectedReply", "the delivery did not end as agreed", retryable=False)
            yield Reject(received.position, failure)
            return
        delivered = reply.value
        if delivered.failed:
            yield Count("ListenerNotificationFailures", delivered.failed)
        if delivered.posted_ms:
            yield Count("ListenerNotificationLatency", max(0, delivered.posted_ms - received.read_ms), "Milliseconds")
        if isinstance(record, SpeechPart) and record.parts > 1:
            delivered = self._of_clause(record, delivered)
        receipt = _receipt(received, record, delivered, now_ms)
        if receipt is not None:
            yield Emit(receipt)
        yield Done(received.position)

    def _of_clause(self, record: SpeechPart, delivered: Delivered) -> Delivered:
        """What became of the clause so far: who lacks any of its records lacks the clause."""
        clause_id = _clause_id(record.utterance_id, record.clause, record.language)
        before = self._lacking.pop(clause_id, (0, 0, 0))
        of_part = (delivered.gone, delivered.failed, delivered.dropped)
        gone, failed, dropped = (max(pair) for pair in zip(before, of_part, strict=True))
        if record.part < record.parts - 1:
            self._lacking[clause_id] = (gone, failed, dropped)
            if len(self._lacking) > CLAUSES_REMEMBERED:
                self._lacking.popitem(last=False)
            return delivered
        reached = max(0, delivered.reached + sum(of_part) - gone - failed - dropped)
        return msgspec.structs.replace(delivered, reached=reached, gone=gone, failed=failed, dropped=dropped)


def _receipt(received: Input, record: Deliverable, delivered: Delivered, now_ms: int) -> Receipt | None:
    """For a clause's last record, a final caption, an event that listeners are told; None for what is on its way."""
    base = Receipt(
        session_id=record.session_id,
        of="event",
        language="",
        utterance_id="",
        clause=-1,
        reached=delivered.reached,
        gone=delivered.gone,
        failed=delivered.failed,
        dropped=delivered.dropped,
        timestamp=now_ms,
        times_ms=record.times_ms
        | {times.SPEECH_WRITTEN: received.written_ms, times.BROADCAST_READ: received.read_ms}
        | ({times.POSTED: delivered.posted_ms} if delivered.posted_ms else {}),
    )
    replace = msgspec.structs.replace
    match record:
        case SessionEvent():
            return replace(base, utterance_id=record.event_id)
        case SpeechPart() if record.part == record.parts - 1:
            audio_ms, skipped_by = clause_duration_ms(record), record.skipped_by
            of_clause = replace(base, of="speech", clause=record.clause, audio_ms=audio_ms, skipped_by=skipped_by)
        case Caption(final=True):
            of_clause = replace(base, of="caption")
        case _:
            return None
    return replace(
        of_clause,
        language=record.language,
        utterance_id=record.utterance_id,
        start_ms=record.start_ms,
        end_ms=record.end_ms,
    )


def _id_of(record: Deliverable) -> str:
    match record:
        case SpeechPart():
            clause_id = _clause_id(record.utterance_id, record.clause, record.language)
            return clause_id if record.part == record.parts - 1 else f"{clause_id}#{record.part}"
        case Caption(final=True):
            return _final_id(record.utterance_id, record.language)
        case Caption():
            return f"caption/{record.utterance_id}/{record.language}/{record.revision}"
        case SessionEvent():
            return record.event_id


def _clause_id(utterance_id: str, clause: int, language: str) -> str:
    return f"speech/{utterance_id}/{language}/{clause}"


def _final_id(utterance_id: str, language: str) -> str:
    return f"final/{utterance_id}/{language}"


def builder(settings: BroadcastSettings) -> StageBuilder:
    """Makes sessions' stages."""

    def build(session_id: str, snapshot: bytes | None) -> Broadcast:
        return Broadcast(session_id, settings, snapshot)

    return build
