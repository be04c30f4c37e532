from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.translate.text import (
    MAX_PIECE_CHARS,
    between_codes,
    codes,
    from_engine,
    has_words,
    match_case,
    split,
    to_engine,
)

texts = st.text(st.sampled_from("ab \n\t.!?\r…é0\x00\ud800"), max_size=200)


@given(texts, st.integers(5, 40))
def test_nothing_is_lost_by_splitting(text: str, size: int) -> None:
    pieces = list(split(text, size))
    assert "".join(piece.before + piece.text for piece in pieces) == text
    assert all(len(piece.text) <= size for piece in pieces)
    assert all(piece.text == piece.text.strip() for piece in pieces)
    assert all("\n" not in piece.text for piece in pieces)


def test_splits_at_sentence_ends() -> None:
    assert [piece.text for piece in split("One two. Three four! Five six", 22)] == ["One two. Three four!", "Five six"]


def test_splits_at_blanks_if_no_sentence_ends() -> None:
    assert [piece.text for piece in split("one two three four", 9)] == ["one two", "three", "four"]


def test_a_sentence_is_kept_whole() -> None:
    text = "word " * 90 + "end."
    assert [piece.text for piece in split(text)] == [text]
    assert len(text) < MAX_PIECE_CHARS


@given(texts)
def test_a_request_is_one_line_that_never_ends_in_a_word(text: str) -> None:
    prepared, _ = to_engine("a " + text, "en")
    assert b"\0" not in prepared
    assert prepared.endswith((b".[]\n", b"?[]\n", b"![]\n"))
    assert prepared.count(b"\n") == 1


def test_special_characters_are_escaped() -> None:
    assert to_engine(r"a [b] {c} ^d$ e/f @g <h> \ i~j", "es") == (
        rb"a \[b\] \{c\} \^d\$ e\/f \@g \<h\> \\ i j.[]" + b"\n",
        True,
    )


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("i know i am", "I know I am"),
        ("i'm here", "I'm here"),
        ("i.e. this", "i.e. this"),
        ("ski i-beam", "ski i-beam"),
    ],
)
def test_english_i(text: str, prepared: str) -> None:
    assert to_engine(text, "en")[0] == f"{prepared}.[]\n".encode()
    assert to_engine(text, "it")[0] == f"{text}.[]\n".encode()


@pytest.mark.parametrize(
    ("answer", "open_end", "text"),
    [
        (b"hola  mundo.[]\n", True, "hola mundo"),
        (b"hola mundo.[]\n", False, "hola mundo."),
        (rb"a \[b\]\\.[]" + b"\n", True, r"a [b]\ "[:-1]),
        (rb"\[\].[]" + b"\n", True, "[]"),
        (b"caf\xc3\xa9?[]\n", False, "café?"),
        (b"sin marca", True, "sin marca"),
    ],
)
def test_reading_back(answer: bytes, open_end: bool, text: str) -> None:
    assert from_engine(answer, open_end) == text


@pytest.mark.parametrize(
    ("source", "translation", "matched"),
    [
        ("the house", "La casa", "la casa"),
        ("The house", "La casa", "La casa"),
        ("i know", "No sé", "no sé"),
        ("so says Mark", "Mark dice", "Mark dice"),
        ("big NASA", "NASA grande", "NASA grande"),
        ("what?", "¿Qué?", "¿qué?"),
        ("a", "", ""),
        ("123", "Uno", "Uno"),
    ],
)
def test_lower_case_starts_stay_lower(source: str, translation: str, matched: str) -> None:
    assert match_case(source, translation) == matched


def test_codes() -> None:
    text = "the w000123 and b2b, not 3rd or 12 (w000124)"
    assert codes(text) == ["w000123", "b2b", "w000124"]
    assert between_codes(text)[1::2] == codes(text)
    assert "".join(between_codes(text)) == text


def test_has_words() -> None:
    assert has_words("é")
    assert not has_words(" 12, 34. 😀 ")
