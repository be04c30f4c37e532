from stages.transcribe.speaker_clock import WINDOW_MS, SpeakerClock

WRONG_BY_MS = 3 * 365 * 24 * 3_600_000


def clock_of(*chunks: tuple[int, int]) -> SpeakerClock:
    clock = SpeakerClock()
    for captured_ms, admitted_ms in chunks:
        clock.note(captured_ms, admitted_ms)
    return clock


def test_a_speakers_clock_may_be_wrong_by_years() -> None:
    for wrong_ms in (-WRONG_BY_MS, 0, WRONG_BY_MS):
        clock = clock_of(*((at_ms + wrong_ms, at_ms + 30) for at_ms in range(0, 5_000, 100)))
        assert clock.spoken_ms(4_900 + wrong_ms, 4_930) == 4_930


def test_what_was_held_up_was_said_when_it_was_captured() -> None:
    clock = clock_of(*((at_ms, at_ms + 30) for at_ms in range(0, 5_000, 100)))
    for at_ms in range(5_000, 65_000, 100):  # sent again, all at once
        clock.note(at_ms, 65_000)
        assert clock.spoken_ms(at_ms, 65_000) == at_ms + 30


def test_a_clock_that_is_set_is_believed_after_a_while() -> None:
    clock = clock_of(*((at_ms, at_ms) for at_ms in range(0, 5_000, 100)))
    set_back_ms = 3_600_000
    for at_ms in range(5_000, 5_000 + 2 * WINDOW_MS + 100, 100):
        clock.note(at_ms - set_back_ms, at_ms)
    assert clock.spoken_ms(at_ms - set_back_ms, at_ms) == at_ms


def test_nothing_was_said_after_it_came() -> None:
    clock = clock_of((1_000, 1_500))
    assert clock.spoken_ms(2_000, 2_400) == 2_400


def test_who_does_not_say_when_is_taken_at_the_gateways_word() -> None:
    assert clock_of((1_000, 1_500)).spoken_ms(None, 7_000) == 7_000
    assert SpeakerClock().spoken_ms(1_000, 7_000) == 7_000


def test_a_snapshot_takes_it_along() -> None:
    clock = clock_of((1_000, 1_030))
    assert SpeakerClock(clock.state).spoken_ms(1_100, 9_000) == 1_130
