"""One emit in flight per session; what stands behind it waits for it."""

from streams.errors import Failure
from streams.outbox import Mark, Outbox, Settle
from streams.records import SessionEvent
from streams.stage import Position


def at(sequence: int) -> Position:
    return Position("shard", sequence)


def event(timestamp: int) -> SessionEvent:
    return SessionEvent(session_id="s", event="paused", timestamp=timestamp)


def test_what_stands_before_any_emit_counts_at_once() -> None:
    outbox = Outbox()
    done, rejected = Settle(at(1), None), Settle(at(2), Failure("x", "y", retryable=False))
    outbox.append(done)
    outbox.append(rejected)
    assert outbox.take() == ([done, rejected], None)
    outbox.buried()
    assert len(outbox) == 0


def test_nothing_passes_an_emit_that_is_not_durable() -> None:
    outbox = Outbox()
    first, second = event(1), event(2)
    for item in (first, Settle(at(1), None), second, Mark(1, at(1), b"state")):
        outbox.append(item)
    assert outbox.take() == ([], first)
    assert outbox.take() == ([], None)
    outbox.written(at(70))
    assert outbox.place == at(70)
    assert outbox.take() == ([Settle(at(1), None)], second)
    assert outbox.take() == ([], None)
    outbox.written(at(71))
    assert outbox.take() == ([Mark(1, at(1), b"state")], None)
    assert len(outbox) == 0


def test_nothing_passes_a_rejection_that_is_not_in_the_dead_letter_store() -> None:
    outbox = Outbox()
    rejected = Settle(at(1), Failure("x", "y", retryable=False))
    for item in (rejected, event(2), Settle(at(2), None)):
        outbox.append(item)
    assert outbox.take() == ([rejected], None)
    assert outbox.take() == ([], None)
    outbox.buried()
    assert outbox.take() == ([], event(2))
