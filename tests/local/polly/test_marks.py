from __future__ import annotations

import json

from local.polly.marks import lines
from local.polly.score import Mark, Passage, Pause, Prosody, Score, Spoken, Word

ALL = ("sentence", "word", "ssml")


def rows(request: str, score: Score, spoken: Spoken, *kinds: str) -> list[tuple[int, str, int, int, str]]:
    return [
        (row["time"], row["type"], row["start"], row["end"], row["value"])
        for row in map(json.loads, lines(request, score, spoken, kinds or ALL).splitlines())
    ]


def passage(text: str, **more: object) -> Passage:
    return Passage(text, Prosody(), tuple(range(len(text))), **more)  # type: ignore[arg-type] # keywords by name


def test_words_and_sentences() -> None:
    text = "Hi you. It's w000123"
    heard = [Word(0, 0, 2, 0.0), Word(0, 3, 3, 200.4), Word(0, 8, 4, 600.0)]
    split_by_espeak = [Word(0, 13, 1, 900.0), Word(0, 14, 6, 950.0), Word(0, 14, 6, 990.0)]
    spoken = Spoken(b"", [0.0, 2000.0], heard + split_by_espeak)
    assert rows(text, Score((passage(text),), 0), spoken) == [
        (0, "sentence", 0, 7, "Hi you."),
        (0, "word", 0, 2, "Hi"),
        (200, "word", 3, 6, "you"),
        (600, "sentence", 8, 20, "It's w000123"),
        (600, "word", 8, 12, "It's"),
        (900, "word", 13, 20, "w000123"),
    ]


def test_kinds_are_those_asked_for() -> None:
    spoken = Spoken(b"", [0.0, 500.0], [Word(0, 0, 2, 0.0)])
    assert [row[1] for row in rows("Hi", Score((passage("Hi"),), 2), spoken, "word")] == ["word"]


def test_marks_are_where_the_next_word_is() -> None:
    score = Score((passage("Hi you", marks=((3, Mark("a", 30, 40)), (6, Mark("b", 50, 60)))),), 6)
    spoken = Spoken(b"", [0.0, 500.0], [Word(0, 0, 2, 0.0), Word(0, 3, 3, 200.0)])
    assert rows("Hi you", score, spoken, "ssml") == [(200, "ssml", 30, 40, "a"), (500, "ssml", 50, 60, "b")]


def test_marks_alone_and_pauses() -> None:
    score = Score((Mark("a", 1, 2), Pause(300.0), Mark("b", 3, 4)), 0)
    spoken = Spoken(b"", [0.0, 0.0, 300.0, 300.0])
    assert rows("", score, spoken) == [(0, "ssml", 1, 2, "a"), (300, "ssml", 3, 4, "b")]


def test_an_alias_is_one_word() -> None:
    part = Passage("World Wide Web", Prosody(), (25, 28), source="WWW")
    spoken = Spoken(b"", [100.0, 900.0], [Word(0, 0, 5, 100.0), Word(0, 6, 4, 400.0)])
    assert rows("", Score((part,), 3), spoken) == [(100, "word", 25, 28, "WWW")]


def test_a_sentence_is_shown_with_its_tags() -> None:
    request = "<speak>Hi <b/>you.</speak>"
    part = Passage("Hi you.", Prosody(), (7, 8, 9, 14, 15, 16, 17))
    spoken = Spoken(b"", [0.0, 500.0], [Word(0, 0, 2, 0.0)])
    assert rows(request, Score((part,), 7), spoken, "sentence") == [(0, "sentence", 7, 18, "Hi <b/>you.")]


def test_what_was_not_heard_has_no_mark() -> None:
    assert rows("...", Score((passage("..."),), 3), Spoken(b"", [0.0, 0.0])) == []
