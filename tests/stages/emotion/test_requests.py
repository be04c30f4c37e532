"""Row W15: what is asked for the speaker is one try, and stops nothing when it fails."""

from stages.emotion.requests import Warn


def test_a_warning_is_tried_once_and_keeps_the_stage_from_nothing() -> None:
    assert Warn.attempts == 1
    assert not Warn.guarded
