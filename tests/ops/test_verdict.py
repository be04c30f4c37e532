from typing import Any

import msgspec
import pytest

from ops.report import Chunks
from ops.verdict import shortcomings
from tests.ops.test_report import a_report


def test_a_talk_that_came_through() -> None:
    assert not list(shortcomings(a_report(), "tones"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"chunks": Chunks(10, 9, 1)}, "1 of 10 chunks"),
        ({"lost": 1}, "1 clauses were lost"),
        ({"duplicated": 2}, "2 heard twice"),
        ({"reordered": 3}, "3 out of order"),
        ({"not_told": 2}, "2 listeners were not told"),
        ({"said": []}, "nothing was recognised, though 1.0 s"),
        ({"unheard_ms": 300}, "300 ms of tones"),
    ],
)
def test_each_shortcoming_is_a_sentence(changed: dict[str, Any], said: str) -> None:
    found = list(shortcomings(msgspec.structs.replace(a_report(), **changed), "tones"))
    assert len(found) == 1
    assert said in found[0]


def test_what_was_too_late_and_said_to_be_is_no_shortcoming() -> None:
    assert not list(shortcomings(msgspec.structs.replace(a_report(), skipped=3), "tones"))


def test_silence_needs_no_words() -> None:
    assert not list(shortcomings(msgspec.structs.replace(a_report(), said=[], audible_ms=0), "pocketsphinx"))


def test_of_speech_breath_may_stay_unheard() -> None:
    assert not list(shortcomings(msgspec.structs.replace(a_report(), unheard_ms=300), "pocketsphinx"))
