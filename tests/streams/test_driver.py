"""The driver's decisions, as tables of steps and deeds."""

from collections.abc import Callable, Iterable
from typing import ClassVar

import pytest

from streams.driver import (
    IDLE_MS,
    MAX_HELD_BYTES,
    MAX_OPEN_BYTES,
    MAX_SESSION_RECORDS,
    SAVES_PER_S,
    SNAPSHOT_EVERY_MS,
    Bury,
    Driver,
    Forget,
    GiveUp,
    Perform,
    Put,
    Save,
)
from streams.errors import Failure
from streams.isolation import Isolated
from streams.parking import Place
from streams.records import Record, SessionEvent
from streams.stage import Call, Count, Done, Effect, Emit, Input, Position, Reject, Reply, Request

Script = Callable[[Input], Iterable[Effect]]


class Ask(Request, frozen=True):
    dependency: ClassVar[str] = "oracle"


class Scripted:
    """A stage that answers inputs by a script, and counts what it was given."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.given = 0
        self.held = 0
        self.wake: int | None = None
        self.replies: list[Reply] = []

    def on_record(self, received: Input, now_ms: int) -> Iterable[Effect]:
        self.given += 1
        return self.script(received)

    def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
        self.replies.append(reply)
        return [Done(reply.value)] if reply.value else []

    def on_timer(self, now_ms: int) -> Iterable[Effect]:
        self.wake = None
        return [Count("Woken")]

    def wake_at_ms(self) -> int | None:
        return self.wake

    def held_bytes(self) -> int:
        return self.held

    def snapshot(self) -> bytes:
        return b"%d" % self.given

    def on_emitted(self, record: Record) -> None:
        raise AssertionError("the driver's runtime restores, not the driver")


def at(sequence: int) -> Position:
    return Position("shard", sequence)


def given(sequence: int, session_id: str = "s") -> Input:
    return Input(at(sequence), SessionEvent(session_id=session_id, event="paused", timestamp=sequence), 0, 0)


def copy(received: Input) -> Iterable[Effect]:
    return [Emit(received.record), Done(received.position)]


def ask(received: Input) -> Iterable[Effect]:
    return [Call(str(received.position.sequence), Ask())]


def driver_with(
    script: Script, *session_ids: str, now_ms: int = 0, parks: bool = False
) -> tuple[Driver, list[Scripted]]:
    driver = Driver(parks=parks)
    stages = []
    for session_id in session_ids or ("s",):
        stages.append(Scripted(script))
        driver.admit(session_id, stages[-1], None, None, now_ms)
    return driver, stages


def test_an_input_is_done_only_when_its_emit_is_durable() -> None:
    driver, _ = driver_with(copy)
    assert driver.on_input(given(1), 10, 0) == [Put("s", given(1).record)]
    assert driver.open_records() == 1
    assert not driver.settled()
    assert driver.on_written("s", at(100)) == []
    assert driver.open_records() == 0
    assert driver.settled()


def test_within_a_session_the_second_emit_waits_but_another_session_s_does_not() -> None:
    driver, _ = driver_with(copy, "s", "t")
    assert driver.on_input(given(1), 10, 0) == [Put("s", given(1).record)]
    assert driver.on_input(given(2), 10, 0) == []
    assert driver.on_input(given(3, "t"), 10, 0) == [Put("t", given(3, "t").record)]
    assert driver.on_written("s", at(100)) == [Put("s", given(2).record)]


def test_no_checkpoint_before_a_snapshot_is_stored_that_covers_the_input() -> None:
    driver, _ = driver_with(copy)
    driver.on_input(given(1), 10, 0)
    driver.on_written("s", at(100))
    assert driver.checkpoint() is None
    assert driver.on_timer(SNAPSHOT_EVERY_MS) == [Save("s", 1, at(1), at(100), b"1")]
    assert driver.checkpoint() is None
    driver.on_saved("s", 1)
    assert driver.checkpoint() == at(1)


def test_the_checkpoint_is_held_by_the_session_that_is_furthest_behind() -> None:
    def script(received: Input) -> Iterable[Effect]:
        return ask(received) if received.record.session_id == "slow" else copy(received)

    driver, _ = driver_with(script, "slow", "fast")
    driver.on_input(given(1, "slow"), 10, 0)
    driver.on_input(given(2, "fast"), 10, 0)
    driver.on_written("fast", at(100))
    for deed in driver.on_timer(SNAPSHOT_EVERY_MS):
        assert isinstance(deed, Save)
        assert deed.session_id == "fast"
        driver.on_saved("fast", deed.ordinal)
    assert driver.checkpoint() is None
    assert driver.on_reply("slow", Reply("1", at(1)), SNAPSHOT_EVERY_MS) == []
    assert [type(deed) for deed in driver.on_timer(SNAPSHOT_EVERY_MS)] == [Save]
    driver.on_saved("slow", 1)
    assert driver.checkpoint() == at(2)


def test_a_snapshot_waits_until_every_input_up_to_it_is_done_and_only_the_newest_is_stored() -> None:
    driver, stages = driver_with(ask)
    for sequence in (1, 2, 3):
        driver.on_input(given(sequence), 10, sequence * SNAPSHOT_EVERY_MS)
    assert driver.on_reply("s", Reply("2", at(2)), 3_100) == []
    assert driver.on_timer(3_150) == []
    assert driver.on_reply("s", Reply("1", at(1)), 3_200) == []
    assert driver.on_timer(3_200) == [Save("s", 2, at(2), None, b"2")]
    assert driver.on_reply("s", Reply("3", at(3)), 3_300) == []
    assert driver.on_timer(3_300) == []  # one save at a time
    driver.on_saved("s", 2)
    assert driver.on_timer(3_400) == [Save("s", 3, at(3), None, b"3")]
    assert stages[0].given == 3


def test_a_rejected_input_is_done_when_it_is_buried() -> None:
    failure = Failure("Bad", "no", retryable=False)
    driver, _ = driver_with(lambda received: [Reject(received.position, failure)])
    assert driver.on_input(given(1), 10, 0) == [Bury("s", at(1), failure)]
    assert driver.open_records() == 1
    driver.on_buried("s", at(1))
    assert driver.open_records() == 0


def test_an_input_that_cannot_be_read_holds_the_checkpoint_until_it_is_kept() -> None:
    driver, _ = driver_with(copy)
    driver.hold(at(1))
    driver.hold(at(2))
    driver.release(at(2))
    assert driver.checkpoint() is None
    driver.release(at(1))
    assert driver.checkpoint() == at(2)


def test_reading_stops_at_each_bound_and_starts_again_below_it() -> None:
    driver, stages = driver_with(ask)
    assert driver.wants_input()
    stages[0].held = MAX_HELD_BYTES + 1
    driver.on_input(given(1), 10, 0)
    assert not driver.wants_input()
    stages[0].held = MAX_HELD_BYTES
    driver.on_input(given(2), MAX_OPEN_BYTES, 0)
    assert not driver.wants_input()
    driver.on_reply("s", Reply("2", at(2)), 0)
    assert driver.wants_input()


def test_a_session_that_holds_too_much_is_parked_and_the_others_are_given_theirs() -> None:
    driver, (slow, good) = driver_with(ask, "slow", "good", parks=True)
    slow.held = MAX_HELD_BYTES + 1
    driver.on_input(given(1, "slow"), 10, 0)
    assert driver.wants_input()
    assert driver.on_input(given(2, "slow"), 10, 0) == [Count("SessionsParked")]
    assert driver.on_input(given(3, "good"), 10, 0) == [Perform("good", Call("3", Ask()))]
    assert driver.on_input(given(4, "slow"), 10, 0) == []
    assert (slow.given, good.given, driver.open_records()) == (1, 1, 2)
    assert driver.read_on_from() is None


def test_a_parked_session_goes_on_when_it_has_room_and_takes_part_again() -> None:
    driver, (slow,) = driver_with(ask, "s", parks=True)
    slow.held = MAX_HELD_BYTES + 1
    for sequence in (1, 2, 3):
        driver.on_input(given(sequence), 10, 0)
    slow.held = MAX_HELD_BYTES // 2 + 1
    driver.on_reply("s", Reply("1", at(1)), 0)
    assert driver.read_on_from() is None  # not for one input at a time
    slow.held = 0
    driver.on_timer(0)
    driver.on_reply("s", Reply("none"), 0)
    start = driver.read_on_from()
    assert start == Place(at(2), after=False)
    assert not driver.takes("s", start, at(1))
    assert driver.takes("s", start, at(2))
    assert driver.on_late_input(given(2), 10, 0) == [Perform("s", Call("2", Ask()))]
    assert driver.takes("s", start, at(3))
    assert Count("SessionsUnparked") in driver.on_late_input(given(3), 10, 0)
    assert driver.on_input(given(4), 10, 0) == [Perform("s", Call("4", Ask()))]
    assert slow.given == 4


def test_a_parked_session_takes_no_more_than_it_has_room_for() -> None:
    driver, (slow,) = driver_with(ask, "s", parks=True)
    for sequence in range(MAX_SESSION_RECORDS + 3):
        driver.on_input(given(sequence), 10, 0)
    assert slow.given == MAX_SESSION_RECORDS
    for sequence in range(MAX_SESSION_RECORDS):
        driver.on_reply("s", Reply(str(sequence), at(sequence)), 0)
    start = driver.read_on_from()
    assert start == Place(at(MAX_SESSION_RECORDS), after=False)
    slow.held = MAX_HELD_BYTES + 1
    driver.on_late_input(given(MAX_SESSION_RECORDS), 10, 0)
    assert not driver.takes("s", start, at(MAX_SESSION_RECORDS + 1))


def test_no_checkpoint_passes_an_input_that_was_passed_by_nor_does_a_snapshot_cover_it() -> None:
    driver, (slow, _) = driver_with(copy, "slow", "good", parks=True)
    slow.held = MAX_HELD_BYTES + 1
    driver.on_input(given(1, "slow"), 10, 0)
    driver.on_input(given(2, "slow"), 10, 0)
    driver.on_input(given(3, "good"), 10, 0)
    driver.on_written("slow", at(100))
    driver.on_written("good", at(101))
    saves = [deed for deed in driver.on_timer(SNAPSHOT_EVERY_MS) if isinstance(deed, Save)]
    assert [(save.session_id, save.upto) for save in saves] == [("slow", at(1)), ("good", at(3))]
    for save in saves:
        driver.on_saved(save.session_id, save.ordinal)
    assert driver.checkpoint() == at(1)
    driver.on_late_input(given(2, "slow"), 10, SNAPSHOT_EVERY_MS)
    driver.on_written("slow", at(102))
    assert driver.checkpoint() == at(1)
    (save,) = (deed for deed in driver.on_timer(3 * SNAPSHOT_EVERY_MS) if isinstance(deed, Save))
    driver.on_saved("slow", save.ordinal)
    assert (save.upto, driver.checkpoint()) == (at(2), at(3))


def test_a_parked_session_does_not_leave_memory() -> None:
    driver, (slow,) = driver_with(copy, "s", parks=True)
    slow.held = MAX_HELD_BYTES + 1
    driver.on_input(given(1), 10, 0)
    driver.on_input(given(2), 10, 0)
    driver.on_written("s", at(100))
    driver.on_timer(IDLE_MS)
    driver.on_saved("s", 1)
    driver.on_timer(2 * IDLE_MS)
    assert driver.knows("s")


def test_whoever_is_held_up_is_told() -> None:
    class Patient(Scripted):
        held_up_at: int | None = None

        def on_held_up(self, now_ms: int) -> None:
            self.held_up_at = now_ms

    driver = Driver(parks=True)
    slow, good, other = Patient(ask), Patient(ask), Scripted(ask)
    for session_id, stage in (("slow", slow), ("good", good), ("other", other)):
        driver.admit(session_id, stage, None, None, 0)
    slow.held = MAX_HELD_BYTES + 1
    driver.on_input(given(1, "slow"), 10, 0)
    driver.on_input(given(2, "slow"), 10, 0)
    driver.on_held_up(5, everybody=False)
    assert (slow.held_up_at, good.held_up_at) == (5, None)
    driver.on_held_up(6, everybody=True)
    assert (slow.held_up_at, good.held_up_at) == (6, 6)


def test_calls_are_performed_and_late_replies_to_forgotten_sessions_dropped() -> None:
    driver, stages = driver_with(ask)
    deeds = driver.on_input(given(1), 10, 0)
    assert deeds == [Perform("s", Call("1", Ask()))]
    assert driver.open_calls() == 1
    driver.on_reply("s", Reply("1", None, last=False), 0)
    assert driver.open_calls() == 1
    driver.on_reply("s", Reply("1", at(1)), 0)
    assert driver.open_calls() == 0
    assert driver.on_reply("nobody", Reply("1", at(1)), 0) == []
    assert len(stages[0].replies) == 2


def test_a_session_whose_stage_failed_is_given_up_once_with_all_that_it_had() -> None:
    class Failing(Scripted):
        def on_reply(self, reply: Reply, now_ms: int) -> Iterable[Effect]:
            raise KeyError("the words that were said")

    driver = Driver()
    driver.admit("s", Isolated(lambda: Failing(ask), None), None, None, 0)
    driver.on_input(given(1), 10, 0)
    driver.on_input(given(2), 10, 0)
    bury, give_up = sorted(driver.on_reply("s", Reply("1", at(1)), 0), key=lambda deed: type(deed).__name__)
    assert isinstance(bury, Bury)
    assert bury.position == at(1)
    assert isinstance(give_up, GiveUp)
    assert "words" not in give_up.failure.message
    assert driver.open_calls() == 0
    (second,) = driver.on_buried("s", at(1))
    assert isinstance(second, Bury)
    assert second.position == at(2)
    driver.on_buried("s", at(2))
    assert driver.settled()
    assert [type(deed) for deed in driver.on_timer(SNAPSHOT_EVERY_MS)] == [Save]


def test_stages_are_woken_when_they_asked_for_it() -> None:
    driver, stages = driver_with(copy, "s", "t")
    assert driver.wake_at_ms() is None
    stages[1].wake = 500
    assert driver.wake_at_ms() == 500
    assert Count("Woken") not in driver.on_timer(499)
    assert Count("Woken") in driver.on_timer(500)
    assert driver.wake_at_ms() is None


def test_an_idle_session_leaves_memory_only_when_all_it_did_is_covered() -> None:
    driver, _ = driver_with(copy)
    driver.on_input(given(1), 10, 0)
    driver.on_written("s", at(100))
    assert [type(deed) for deed in driver.on_timer(IDLE_MS)] == [Save]
    assert driver.knows("s")
    driver.on_saved("s", 1)
    assert driver.on_timer(IDLE_MS) == [Forget("s")]
    assert not driver.knows("s")
    assert driver.sessions() == 0


def test_a_restored_session_saves_again_without_passing_inputs_it_has_not_seen() -> None:
    driver = Driver()
    stage = Scripted(lambda received: [Call("1", Ask())])
    driver.admit("s", stage, at(41), at(99), 0)
    assert driver.on_timer(SNAPSHOT_EVERY_MS) == []  # nothing has happened since
    driver.on_input(given(42), 10, 0)
    assert driver.on_timer(SNAPSHOT_EVERY_MS) == []  # its input is not done
    assert driver.checkpoint() is None


def test_a_shard_stores_its_sessions_in_turn_and_no_faster_than_its_pace() -> None:
    names = [f"s{n}" for n in range(4 * SAVES_PER_S)]
    driver, _ = driver_with(copy, *names)
    for n, name in enumerate(names):
        driver.on_input(given(n, name), 10, 0)
        driver.on_written(name, at(n))
    saved = []
    for now_ms in range(SNAPSHOT_EVERY_MS, 5 * SNAPSHOT_EVERY_MS + 1, 100):
        deeds = [deed for deed in driver.on_timer(now_ms) if isinstance(deed, Save)]
        saved += [deed.session_id for deed in deeds]
        for deed in deeds:
            driver.on_saved(deed.session_id, deed.ordinal)
        assert len(saved) <= SAVES_PER_S + 1 + SAVES_PER_S * (now_ms - SNAPSHOT_EVERY_MS) / 1000
    assert saved == names


@pytest.mark.parametrize("number_of_candidates", [200])
def test_snapshots_that_wait_are_bounded(number_of_candidates: int) -> None:
    driver, _ = driver_with(lambda received: [Call("1", Ask())] if received.position.sequence == 1 else copy(received))
    driver.on_input(given(1), 10, 0)
    for n in range(2, number_of_candidates):
        driver.on_input(given(n), 10, n * SNAPSHOT_EVERY_MS)
        driver.on_written("s", at(n))
    now_ms = number_of_candidates * SNAPSHOT_EVERY_MS
    assert driver.on_reply("s", Reply("1", at(1)), now_ms) == []
    newest = number_of_candidates - 1
    assert driver.on_timer(now_ms) == [Save("s", newest, at(newest), at(newest), b"%d" % newest)]


def test_an_emit_waits_for_the_burial_of_the_rejected_input_before_it() -> None:
    failure = Failure("Bad", "no", retryable=False)
    driver, _ = driver_with(
        lambda received: [Reject(received.position, failure)] if received.position.sequence == 1 else copy(received)
    )
    assert driver.on_input(given(1), 10, 0) == [Bury("s", at(1), failure)]
    assert driver.on_input(given(2), 10, 0) == []
    assert driver.on_buried("s", at(1)) == [Put("s", given(2).record)]


def test_a_session_that_was_told_of_emits_stays_until_a_snapshot_holds_them() -> None:
    driver = Driver()
    driver.admit("s", Scripted(copy), at(41), at(99), 0, told=True)
    assert driver.on_timer(IDLE_MS) == [Save("s", 0, at(41), at(99), b"0")]
    assert driver.knows("s")
    driver.on_saved("s", 0)
    assert driver.on_timer(IDLE_MS + 200) == [Forget("s")]


def test_when_nothing_is_under_way_the_state_of_now_is_stored() -> None:
    driver, stages = driver_with(lambda received: [Call("1", Ask())])
    driver.on_input(given(1), 10, SNAPSHOT_EVERY_MS)  # its snapshot cannot hold the answer
    driver.on_reply("s", Reply("1", at(1)), SNAPSHOT_EVERY_MS + 100)
    stages[0].given = 7  # what the reply changed
    assert driver.on_timer(SNAPSHOT_EVERY_MS + 100) == [Save("s", 1, at(1), None, b"7")]
    driver.on_saved("s", 1)
    assert driver.on_timer(3 * SNAPSHOT_EVERY_MS) == []
