import msgspec
import pytest

from stages.transcribe.requests import (
    Abandon,
    Answer,
    EndAudio,
    Ended,
    Heard,
    Opened,
    OpenRecogniser,
    RecognisedWord,
    Result,
    SendAudio,
    Taken,
)
from streams.stage import Request


def test_opening_is_retried_by_the_driver_and_waits_for_the_breaker() -> None:
    assert OpenRecogniser.long_lived
    assert OpenRecogniser.guarded
    assert OpenRecogniser.attempts == 3


@pytest.mark.parametrize("kind", [SendAudio, EndAudio, Abandon])
def test_what_concerns_an_open_stream_is_tried_once_whatever_the_breaker(kind: type[Request]) -> None:
    assert not kind.long_lived
    assert not kind.guarded
    assert kind.attempts == 1


@pytest.mark.parametrize("kind", [OpenRecogniser, SendAudio, EndAudio, Abandon])
def test_all_go_to_one_dependency(kind: type[Request]) -> None:
    assert kind.dependency == "transcribe"


@pytest.mark.parametrize(
    "answer",
    [Opened(), Ended(), Taken(), Heard([Result("r", 0, 300, True, [RecognisedWord("yes", 0, 300, None, True)])])],
)
def test_answers_can_be_kept_in_a_journal(answer: Answer) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=Answer) == answer
