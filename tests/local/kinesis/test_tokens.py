from __future__ import annotations

import base64

import pytest

from local.kinesis import tokens
from local.kinesis.errors import KinesisError

_POSITION = tokens.Position("talk", 3, 1_000, 42, 5_000)
_PAGE = tokens.Page("shards", "talk", "7", 5_000, "AT_TIMESTAMP", "", 99)


def test_an_iterator_gives_its_position_back() -> None:
    text = tokens.iterator(_POSITION)
    assert tokens.parse_iterator(text, 5_000) == _POSITION
    assert len(tokens.iterator(tokens.Position("n" * 128, 1 << 31, 1 << 43, 1 << 47, 1 << 43))) <= 512


def test_a_page_gives_itself_back() -> None:
    assert tokens.parse_next_token(tokens.next_token(_PAGE), "shards", 5_000) == _PAGE


def test_an_iterator_lives_five_minutes() -> None:
    text = tokens.iterator(_POSITION)
    assert tokens.parse_iterator(text, 5_000 + tokens.LIFETIME_MS) == _POSITION
    with pytest.raises(KinesisError, match="ExpiredIteratorException") as raised:
        tokens.parse_iterator(text, 5_001 + tokens.LIFETIME_MS)
    assert "Thu Jan 01 00:05:05 UTC 1970" in raised.value.message


def test_a_next_token_lives_five_minutes() -> None:
    with pytest.raises(KinesisError, match="ExpiredNextTokenException"):
        tokens.parse_next_token(tokens.next_token(_PAGE), "shards", 5_001 + tokens.LIFETIME_MS)


@pytest.mark.parametrize("text", ["", "A", "AAAA", "!!!!", base64.b64encode(b"some bytes").decode(), "ü"])
def test_rubbish_is_no_iterator(text: str) -> None:
    with pytest.raises(KinesisError, match="InvalidArgumentException"):
        tokens.parse_iterator(text, 0)


def test_a_damaged_iterator_is_refused() -> None:
    raw = bytearray(base64.b64decode(tokens.iterator(_POSITION)))
    for place in range(len(raw)):
        damaged = raw.copy()
        damaged[place] ^= 1
        with pytest.raises(KinesisError, match="InvalidArgumentException"):
            tokens.parse_iterator(base64.b64encode(damaged).decode(), 5_000)


def test_a_token_of_another_list_is_refused() -> None:
    with pytest.raises(KinesisError, match="InvalidArgumentException"):
        tokens.parse_next_token(tokens.next_token(_PAGE), "streams", 5_000)
    with pytest.raises(KinesisError, match="InvalidArgumentException"):
        tokens.parse_iterator(tokens.next_token(_PAGE), 5_000)
