"""Captions for those who come back."""

from stages.broadcast.recent import KEPT_MS, MAX_UTTERANCES, Recent
from tests.stages.broadcast.speech import SESSION, caption


def noted(recent: Recent, utterance: int, now_ms: int, session_id: str = SESSION, said: str = "") -> None:
    one = caption(utterance=utterance, session_id=session_id)
    recent.note(one, f"{utterance}{said}".encode(), now_ms)


def test_the_last_caption_of_each_utterance_in_order_and_once() -> None:
    recent = Recent()
    noted(recent, 1, 0)
    noted(recent, 2, 10)
    noted(recent, 2, 20, said=" more")
    assert recent.missed("a", SESSION, "es", 30) == [b"1", b"2 more"]
    assert recent.missed("a", SESSION, "es", 40) == []
    assert recent.missed("b", SESSION, "es", 40) == [b"1", b"2 more"]


def test_nothing_of_other_languages_and_sessions() -> None:
    recent = Recent()
    noted(recent, 1, 0)
    assert recent.missed("a", SESSION, "ca", 0) == []
    assert recent.missed("b", "calm-fox-123", "es", 0) == []


def test_what_is_old_is_not_shown_and_not_kept() -> None:
    recent = Recent()
    noted(recent, 1, 0)
    noted(recent, 2, 100)
    assert recent.missed("a", SESSION, "es", KEPT_MS + 50) == [b"2"]
    noted(recent, 1, KEPT_MS + 101, "calm-fox-123")
    assert len(recent) == 1
    assert recent.missed("b", SESSION, "es", KEPT_MS + 101) == []


def test_a_talk_has_its_bound() -> None:
    recent = Recent()
    for utterance in range(3 * MAX_UTTERANCES):
        noted(recent, utterance, 0)
    assert len(recent.missed("a", SESSION, "es", 0)) == MAX_UTTERANCES
