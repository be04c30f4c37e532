"""Cutting long texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.translate.sentences import split


@given(st.text(alphabet="ab .!?,。、é🙂\n", max_size=200), st.integers(1, 40), st.integers(4, 60))
def test_nothing_is_lost_and_all_fits(text: str, characters: int, size: int) -> None:
    pieces = split(text, characters, size)
    assert "".join(pieces) == text
    assert all(len(piece) <= characters and len(piece.encode()) <= size for piece in pieces)
    assert all(pieces) or text == ""


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One two. Three four. Five.", ["One two. Three four. ", "Five."]),
        ('He said "no." Then he left.', ['He said "no." ', "Then he left."]),
        ("one two, three four five six", ["one two, ", "three four five six"]),
        ("one two three four five six", ["one two three four five ", "six"]),
        ("a" * 30, ["a" * 25, "a" * 5]),
        ("short", ["short"]),
    ],
)
def test_the_best_place_is_taken(text: str, pieces: list[str]) -> None:
    assert split(text, 25, 1_000) == pieces


def test_cjk_sentences() -> None:
    assert split("これは文です。次の文です。", 8, 1_000) == ["これは文です。", "次の文です。"]
