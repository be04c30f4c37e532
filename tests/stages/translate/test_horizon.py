"""Which words are new."""

import pytest

from stages.translate.horizon import REMEMBERED_WORDS, Horizon
from streams.records import Word
from tests.stages.translate.transcripts import words


@pytest.mark.parametrize(
    ("heard", "new"),
    [
        ([Word("two", 300, 580), Word("three", 600, 880)], ["three"]),
        ([Word("three", 590, 880)], ["three"]),
        ([Word("Two,", 445, 725), Word("three", 740, 900)], ["three"]),
        ([Word("two", 740, 1020)], ["two"]),
        ([Word("one", 5_000, 5_280)], ["one"]),
        ([], []),
    ],
)
def test_after_two_words(heard: list[Word], new: list[str]) -> None:
    horizon = Horizon()
    horizon.commit(words("one two", 0))
    assert horizon.end_ms == 580
    assert [word.text for word in horizon.new_words(heard)] == new


def test_memory_is_bounded() -> None:
    horizon = Horizon()
    horizon.commit(words("word " * 100, 0))
    assert len(horizon.recent) == REMEMBERED_WORDS
