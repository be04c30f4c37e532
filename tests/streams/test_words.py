"""Equal text at about the same time is one word; equal text alone is not."""

from streams.records import Word
from streams.words import NEAR_MS, is_same, plain, well_formed


def test_case_and_punctuation_make_no_difference() -> None:
    assert plain("Don't,") == plain("dont") == "dont"
    assert plain("…") == "…"
    assert plain("?!") == "?!"


def test_a_word_said_twice_is_two() -> None:
    assert is_same(Word("Yes.", 0, 100), Word("yes", NEAR_MS - 1, NEAR_MS + 99))
    assert not is_same(Word("yes", 0, 100), Word("yes", NEAR_MS, NEAR_MS + 100))
    assert not is_same(Word("yes", 0, 100), Word("no", 0, 100))


def test_text_that_cannot_be_written_is_made_so_that_it_can() -> None:
    assert well_formed("sí \ud800!") == "sí ?!"
    assert well_formed("日本 😀") == "日本 😀"
