"""Chunks on their way: order, tries, bounds."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.outgoing import ANSWER_WITHIN_S, BASE_S, CAP_S, GIVE_UP_S, MAX_IN_FLIGHT, PACE_S, UNANSWERED, Outgoing


class Bench:
    """A speaker's end, with a clock of its own."""

    def __init__(self, chunks: int = 0) -> None:
        self.outgoing = Outgoing(lambda: 0.5)
        self.now_s = 1_000.0
        self.settled: list[int] = []
        for sequence in range(chunks):
            self.outgoing.add(sequence, self.now_s)

    def send(self, for_s: float = 0.0) -> list[int]:
        """What is sent until then."""
        until_s, sent = self.now_s + for_s, []
        while True:
            self.settled += self.outgoing.give_up_waiting(self.now_s)
            if (sequence := self.outgoing.take(self.now_s)) is not None:
                sent.append(sequence)
                continue
            at_s = self.outgoing.wake_at_s()
            if at_s is None or at_s > until_s:
                self.now_s = until_s
                return sent
            self.now_s = max(self.now_s, at_s)

    def acknowledge(self, sequence: int | None = None) -> None:
        self.note(self.outgoing.on_acknowledged(sequence))

    def refuse(self, sequence: int | None = None, code: str = "SERVICE_UNAVAILABLE") -> None:
        self.note(self.outgoing.on_refused(sequence, code, self.now_s))

    def note(self, settled: int | None) -> None:
        self.settled += [] if settled is None else [settled]


def test_chunks_go_out_in_order_no_faster_than_allowed() -> None:
    bench = Bench(40)
    assert bench.send(0) == [0]
    assert bench.send(PACE_S * 5.5) == [1, 2, 3, 4, 5]
    assert len(bench.send(10 * PACE_S)) + 6 <= MAX_IN_FLIGHT
    bench.send(1)
    assert len(bench.outgoing._in_flight) == MAX_IN_FLIGHT


def test_a_chunk_that_was_refused_in_passing_goes_before_what_came_after() -> None:
    bench = Bench(6)
    bench.send(3.5 * PACE_S)
    bench.refuse(1)
    bench.acknowledge(0)
    bench.refuse(2)
    bench.acknowledge(3)
    for sequence in (1, 2):  # until it is there, nothing else goes: it would be ahead
        assert bench.send(1) == [sequence]
        bench.acknowledge(sequence)
    assert bench.send(1) == [4, 5]
    assert bench.outgoing.resent == 2
    for sequence in (4, 5):
        bench.acknowledge(sequence)
    assert bench.outgoing.is_settled()
    assert (bench.outgoing.sent, bench.outgoing.acknowledged) == (6, 6)
    assert bench.settled == [0, 3, 1, 2, 4, 5]


def test_while_nothing_gets_through_one_tries_at_a_time_ever_slower() -> None:
    bench = Bench(6)
    bench.send(1)
    for sequence in range(6):
        bench.refuse(sequence)
    tries = []
    for _ in range(8):
        assert bench.send(2 * CAP_S) == [0]
        tries.append(bench.now_s)
        bench.refuse(0)
    bench.send(2 * CAP_S)
    for sequence in range(5):
        bench.acknowledge(sequence)
        assert bench.send(1) == [sequence + 1]


def test_what_was_under_way_together_and_fails_together_is_one_failure() -> None:
    bench = Bench(6)
    bench.send(1)
    for sequence in range(6):
        bench.refuse(sequence)
    refused_s = bench.now_s
    assert bench.send(BASE_S) == [0]
    assert bench.outgoing._in_flight[0] - refused_s <= BASE_S


def test_what_is_never_answered_is_sent_again_and_an_answer_after_all_counts() -> None:
    bench = Bench(2)
    bench.send(1)
    assert bench.send(ANSWER_WITHIN_S - 1.1) == []
    assert bench.send(1) == [0]
    bench.acknowledge(1)  # to the first try
    bench.acknowledge(0)
    bench.acknowledge(0)
    assert bench.outgoing.is_settled()
    assert (bench.outgoing.acknowledged, bench.outgoing.resent) == (2, 1)


def test_other_refusals_are_final() -> None:
    bench = Bench(3)
    bench.send(1)
    bench.refuse(0, "BROADCAST_MUTED")
    bench.refuse(None, "INVALID_AUDIO_FORMAT")
    bench.acknowledge()
    assert bench.outgoing.refused == {"BROADCAST_MUTED": 1, "INVALID_AUDIO_FORMAT": 1}
    assert bench.settled == [0, 1, 2]
    assert bench.outgoing.is_settled()


def test_answers_to_nothing_are_ignored() -> None:
    bench = Bench()
    bench.acknowledge()
    bench.refuse(None)
    bench.refuse(7)
    assert bench.outgoing.refused == {}
    assert bench.outgoing.acknowledged == 0


def test_it_is_not_tried_for_ever() -> None:
    bench = Bench(200)
    began_s = bench.now_s
    while not bench.outgoing.is_settled():
        bench.send(0.5)
        for sequence in list(bench.outgoing._in_flight)[::2]:
            bench.refuse(sequence)
    assert bench.now_s - began_s < GIVE_UP_S + 2 * ANSWER_WITHIN_S
    assert sorted(bench.settled) == list(range(200))
    assert sum(bench.outgoing.refused.values()) == 200
    assert set(bench.outgoing.refused) <= {UNANSWERED, "SERVICE_UNAVAILABLE"}
    assert bench.outgoing._captured_s == {}
    assert bench.outgoing._tried == set()


@given(seed=st.integers(0, 10_000), fails=st.floats(0, 0.6))
@settings(max_examples=50, deadline=None)
def test_whatever_fails_in_passing_every_chunk_arrives_in_order(seed: int, fails: float) -> None:
    draw = random.Random(seed)
    bench = Bench()
    arrived: list[int] = []
    for tick in range(900):  # of 20 ms: an answer comes before the next chunk goes
        if tick % 5 == 0 and tick < 300:
            bench.outgoing.add(tick // 5, bench.now_s)
        for sent in bench.send(0.02):
            if tick < 300 and draw.random() < fails:
                bench.refuse(sent)
            else:
                arrived.append(sent)
                bench.acknowledge(sent)
    assert bench.outgoing.is_settled()
    assert arrived == list(range(60))
