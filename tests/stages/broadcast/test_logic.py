"""The broadcast stage as a state machine."""

from functools import partial

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.broadcast.logic import REMEMBERED, builder
from stages.broadcast.requests import Deliver, Delivered, Queued
from stages.broadcast.settings import BroadcastSettings
from stages.broadcast.volume import at_volume
from streams import times
from streams.errors import BadRecord, Failure, NewerVersion
from streams.records import AudioChunk, Caption, Receipt, Record, SessionEvent, SpeechPart
from streams.stage import Call
from tests.stages.broadcast.speech import SESSION, caption, event, speech
from tests.support.stage_driver import START_MS, Owner, World

BUILD = builder(BroadcastSettings())


class Deliveries:
    """Queues after queue_ms, and delivers after deliver_ms; remembers what was posted, in order."""

    def __init__(self, queue_ms: int = 5, deliver_ms: int = 20) -> None:
        self.queue_ms, self.deliver_ms = queue_ms, deliver_ms
        self.posted: list[Record] = []
        self.failure: Failure | None = None
        self.outcomes: list[Delivered] = []

    def perform(self, owner: Owner, call: Call) -> None:
        at_ms = owner.world.now_ms
        owner.world.at(at_ms + self.queue_ms, lambda: self._queue(owner, call))

    def gone(self, owner: Owner) -> None:
        pass

    def _queue(self, owner: Owner, call: Call) -> None:
        if not owner.alive:
            return
        if self.failure is not None:
            owner.reply(call.call_id, failure=self.failure)
            return
        assert isinstance(call.request, Deliver)
        self.posted.append(call.request.record)
        owner.reply(call.call_id, Queued(), last=False)
        now_ms = owner.world.now_ms
        delivered = Delivered(reached=3, gone=1, failed=0, dropped=2, posted_ms=now_ms)
        if self.outcomes:
            delivered = self.outcomes.pop(0)
        owner.world.at(now_ms + self.deliver_ms, lambda: owner.reply(call.call_id, delivered))


def world(deliveries: Deliveries) -> World:
    return World(BUILD, SESSION, deliveries)


def test_a_clause_has_a_receipt() -> None:
    w = world(Deliveries())
    position = w.publish(speech(4))
    w.run_for(100)
    (receipt,) = w.emitted()
    assert isinstance(receipt, Receipt)
    assert (receipt.of, receipt.language, receipt.clause, receipt.audio_ms) == ("speech", "es", 4, 1_000)
    assert (receipt.reached, receipt.gone, receipt.failed, receipt.dropped) == (3, 1, 0, 2)
    assert set(receipt.times_ms) == {"captured", "speechWritten", "broadcastRead", "posted"}
    assert w.is_done(position)
    assert {count.metric for count in w.counts} == {"ListenerNotificationLatency"}


def test_the_next_begins_when_the_one_before_is_queued_not_when_it_is_delivered() -> None:
    deliveries = Deliveries(deliver_ms=5_000)
    w = world(deliveries)
    positions = [w.publish(speech(clause)) for clause in range(5)]
    w.run_for(100)
    assert [record.clause for record in deliveries.posted if isinstance(record, SpeechPart)] == [0, 1, 2, 3, 4]
    assert not any(w.is_done(position) for position in positions)
    w.run_for(6_000)
    assert all(w.is_done(position) for position in positions)


def test_receipts_are_for_what_is_whole() -> None:
    w = world(Deliveries())
    records: list[Record] = [
        event("created"),
        caption(0),
        caption(1, final=True),
        speech(0, ms=15_000, parts=2, total_ms=16_000),
        speech(0, part=1, parts=2, offset_ms=15_000, total_ms=16_000),
        event("ended"),
    ]
    for record in records:
        w.publish(record)
    w.run_for(1_000)
    receipts = [record for record in w.emitted() if isinstance(record, Receipt)]
    assert [(receipt.of, receipt.clause, receipt.audio_ms) for receipt in receipts] == [
        ("event", -1, 0),
        ("caption", -1, 0),
        ("speech", 0, 16_000),
        ("event", -1, 0),
    ]


def test_the_receipt_of_a_long_clause_counts_who_lacks_any_of_its_records() -> None:
    deliveries = Deliveries()
    w = world(deliveries)
    deliveries.outcomes = [Delivered(3, failed=1), Delivered(4), Delivered(2, dropped=2)]
    for part in range(3):
        w.publish(speech(part=part, parts=3, offset_ms=1_000 * part, total_ms=3_000))
        w.run_for(1_500)
        w.owner.tick()
        w.owner.kill()
        w.take_over()
    (receipt,) = w.emitted()
    assert isinstance(receipt, Receipt)
    assert (receipt.reached, receipt.failed, receipt.dropped) == (1, 1, 2)


def test_repeats_are_not_posted() -> None:
    deliveries = Deliveries()
    w = world(deliveries)
    records: list[Record] = [caption(0), speech(0), caption(1, final=True), event("ended")]
    positions = [w.publish(record) for record in [*records, *records]]
    w.run_for(1_000)
    assert deliveries.posted == records
    assert all(w.is_done(position) for position in positions)


def test_a_delivery_that_fails_is_named_and_the_next_goes_on() -> None:
    deliveries = Deliveries()
    deliveries.failure = Failure("TimedOut", "no answer", retryable=True)
    w = world(deliveries)
    first = w.publish(speech(0))
    w.run_for(20)
    deliveries.failure = None
    w.publish(speech(1))
    w.run_for(100)
    assert w.rejected[first].code == "TimedOut"
    assert [record.clause for record in w.emitted() if isinstance(record, Receipt)] == [1]


def test_other_records_are_rejected() -> None:
    w = world(Deliveries())
    position = w.publish(AudioChunk(session_id=SESSION, connection="c", admitted_at_ms=0, pcm=b""))
    w.run_for(10)
    assert w.rejected[position].code == "UnexpectedRecord"


def test_snapshots_of_others_are_refused() -> None:
    with pytest.raises(NewerVersion):
        BUILD(SESSION, msgspec.msgpack.encode({"v": 2}))
    with pytest.raises(BadRecord):
        BUILD(SESSION, b"\xc1")


def test_memory_is_bounded() -> None:
    w = world(Deliveries(1, 1))
    for clause in range(REMEMBERED + 50):
        w.publish(caption(clause))
    w.run_for(5_000)
    assert len(msgspec.msgpack.decode(w.owner.stage.snapshot())["delivered"]) == REMEMBERED


@given(kills=st.lists(st.integers(0, 8_000), max_size=4), deliver_ms=st.integers(1, 2_000), put_ms=st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_killed_at_any_step_nothing_is_lost_and_nothing_with_a_receipt_is_posted_again(
    kills: list[int], deliver_ms: int, put_ms: int
) -> None:
    deliveries = Deliveries(5, deliver_ms)
    w = World(BUILD, SESSION, deliveries, lambda: put_ms)
    started = w.now_ms
    records: list[Record] = []
    for clause in range(20):
        records += [caption(clause, text="hola " * (clause + 1)), speech(clause, ms=10)]
    records += [caption(20, final=True), event("ended")]
    for i, record in enumerate(records):
        w.at(started + i * 150, partial(w.publish, record))
    for kill_ms in sorted(kills):
        w.run_until(max(w.now_ms, started + kill_ms))
        w.owner.kill()
        w.run_for(2 * put_ms)
        had = [r.clause for r in w.emitted() if isinstance(r, Receipt) and r.of == "speech"]
        before = len(deliveries.posted)
        w.take_over()
        w.run_for(3_000)
        again = [r.clause for r in deliveries.posted[before:] if isinstance(r, SpeechPart)]
        assert set(had).isdisjoint(again)
    w.run_for(60_000)
    heard: list[Record] = []
    for record in deliveries.posted:  # as listeners do: repeats are dropped
        if record not in heard:
            heard.append(record)
    assert heard == records
    receipts = [r.clause for r in w.emitted() if isinstance(r, Receipt) and r.of == "speech"]
    assert sorted(receipts) == list(range(20))
    assert isinstance(records[0], Caption)
    assert isinstance(heard[-1], SessionEvent)


def _late(record: SpeechPart, late_ms: int) -> SpeechPart:
    return msgspec.structs.replace(record, times_ms={times.SPOKEN: START_MS - late_ms})


def test_what_piled_up_too_long_is_told_and_not_sent_until_the_speaker_is_near() -> None:
    deliveries = Deliveries(1, 1)
    w = world(deliveries)
    for clause, late_ms in enumerate([44_000, 46_000, 20_000, 11_000, 9_000, 20_000]):
        w.publish(_late(speech(clause), late_ms))
    w.run_for(100)
    sent = [record for record in deliveries.posted if isinstance(record, SpeechPart)]
    assert [record.skipped_by for record in sent] == ["", "broadcast", "broadcast", "broadcast", "", ""]
    assert all(bool(record.pcm) != bool(record.skipped_by) for record in sent)
    receipts = [record for record in w.emitted() if isinstance(record, Receipt)]
    assert [(r.clause, r.skipped_by, r.audio_ms) for r in receipts[:2]] == [(0, "", 1_000), (1, "broadcast", 0)]
    assert sum(count.value for count in w.counts if count.metric == "SpeechSkipped") == 3


def test_a_clause_is_left_out_or_spoken_as_a_whole() -> None:
    deliveries = Deliveries(1, 1)
    w = world(deliveries)
    for clause, late in enumerate([(50_000, 50_000, 9_000), (9_000, 60_000, 60_000)]):
        for part, late_ms in enumerate(late):
            one = speech(clause, part=part, parts=3, offset_ms=1_000 * part, total_ms=3_000)
            w.publish(_late(one, late_ms))
    w.run_for(100)
    sent = [(r.clause, r.part, r.skipped_by) for r in deliveries.posted if isinstance(r, SpeechPart)]
    assert sent == [(0, 0, "broadcast"), (1, 0, ""), (1, 1, ""), (1, 2, "")]
    assert [(r.clause, r.skipped_by) for r in w.emitted() if isinstance(r, Receipt)] == [(0, "broadcast"), (1, "")]
    assert w.owner.driver.settled()


def test_what_translate_left_out_has_its_receipt() -> None:
    deliveries = Deliveries()
    w = world(deliveries)
    w.publish(msgspec.structs.replace(_late(speech(0), 50_000), pcm=b"", total_bytes=0, skipped_by="translate"))
    w.publish(_late(speech(1), 20_000))
    w.run_for(100)
    assert [r.skipped_by for r in w.emitted() if isinstance(r, Receipt)] == ["translate", ""]


def test_late_partial_captions_are_not_sent() -> None:
    deliveries = Deliveries()
    w = world(deliveries)
    shown = [caption(1), caption(2), caption(3, final=True)]
    shown = [msgspec.structs.replace(one, times_ms={times.SPOKEN: START_MS - 60_000}) for one in shown]
    shown[1] = msgspec.structs.replace(shown[1], committed=2)
    for one in shown:
        w.publish(one)
    w.run_for(100)
    assert deliveries.posted == [shown[0], shown[2]]
    assert [count.metric for count in w.counts if count.metric == "PartialsSkipped"] == ["PartialsSkipped"]


def test_what_was_left_out_stays_out_for_the_next_owner() -> None:
    deliveries = Deliveries(1, 1)
    w = world(deliveries)
    w.publish(_late(speech(0), 46_000))
    w.run_for(20)
    for saved in (w.saved, None):  # by its snapshot, if there is one, and by its receipts
        w.owner.kill()
        w.saved = saved
        w.take_over()
    w.publish(_late(speech(1), 20_000))
    w.run_for(3_000)
    w.owner.kill()
    w.take_over()
    w.publish(_late(speech(2), 20_000))
    w.run_for(100)
    assert [(r.clause, r.skipped_by) for r in w.emitted() if isinstance(r, Receipt)] == [
        (clause, "broadcast") for clause in range(3)
    ]


def test_speech_has_the_volume_that_the_speaker_had_when_it_was_said() -> None:
    """Row B3, also where the stage is killed; a change that is out of date changes nothing. Nobody is told here."""
    deliveries = Deliveries(1, 1)
    w = world(deliveries)
    loud = speech(0)
    half, quarter = at_volume(loud.pcm, 0.5), at_volume(loud.pcm, 0.25)
    w.publish(loud)
    positions = [w.publish(event("volume", volume=0.5, version=2)), w.publish(event("volume", volume=0.9, version=1))]
    w.publish(speech(1))
    w.run_for(2_000)
    w.owner.tick()
    for saved in (w.saved, None):  # by its snapshot, if there is one, and by what it is given again
        w.owner.kill()
        w.saved = saved
        w.take_over()
    w.run_for(100)
    w.publish(speech(2))
    w.publish(event("state", volume=0.25, version=3))
    w.publish(event("muted", volume=0.25, version=4))
    w.publish(speech(3, text="said before"))
    w.publish(event("volume", volume=1.0, version=5))
    w.publish(speech(4))
    w.run_for(2_000)
    posted = {record.clause: record.pcm for record in deliveries.posted if isinstance(record, SpeechPart)}
    # the samples of `speech` are the same for each clause
    assert posted == {0: loud.pcm, 1: half, 2: half, 3: quarter, 4: loud.pcm}
    assert not any(isinstance(record, SessionEvent) for record in deliveries.posted)
    assert all(w.is_done(position) for position in positions)
    assert w.owner.driver.settled()
