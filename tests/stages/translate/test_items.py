"""A transcript on its way, and open calls."""

import pytest

from stages.translate.items import OpenCalls, TranscriptItem, joined
from stages.translate.requests import FindLanguages
from stages.translate.state import Utterance
from streams.errors import Failure
from streams.stage import Done, Input, Position, Reject
from tests.stages.translate.transcripts import transcript, words

POSITION = Position("shard", 1)


def item(kept: int = 3) -> TranscriptItem:
    record = transcript("clause", "One two, three.", 100)
    return TranscriptItem(Input(POSITION, record, 5, 6), record, Utterance(100), record.words[3 - kept :], 0)


def test_all_words_are_the_transcripts_text() -> None:
    assert item().text == "One two, three."
    assert item(1).text == "three."
    assert (item(1).start_ms, item(1).end_ms) == (700, 980)
    assert words("One two, three.", 100)[2].start_ms == 700


def test_times_are_carried_on() -> None:
    assert item().hops == {"captured": 1, "transcriptsWritten": 5, "translateRead": 6}


@pytest.mark.parametrize("failing", [None, 0, 1])
def test_an_input_is_settled_with_its_last_language(failing: int | None) -> None:
    failure = Failure("Refused", "no", retryable=False)
    one = item()
    one.pending = 2
    assert list(one.finish_one(failure if failing == 0 else None)) == []
    settled = list(one.finish_one(failure if failing == 1 else None))
    assert settled == [Done(POSITION) if failing is None else Reject(POSITION, failure)]


@pytest.mark.parametrize(
    ("before", "after", "language", "text"),
    [("a", "b", "es", "a b"), ("", "b", "es", "b"), ("a", "", "es", "a"), ("一", "二", "zh", "一二")],
)
def test_joined(before: str, after: str, language: str, text: str) -> None:
    assert joined(before, after, language) == text


def test_a_call_is_answered_once() -> None:
    calls: OpenCalls[str] = OpenCalls()
    first, second = calls.ask("a", FindLanguages()), calls.ask("b", FindLanguages())
    assert first.call_id != second.call_id
    assert calls.take(second.call_id) == "b"
    assert calls.take(second.call_id) is None
    assert calls.take("listeners-99") is None
