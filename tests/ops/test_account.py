from ops.account import Account, account
from ops.listener import ClauseHeard
from streams.records import Transcript


def said(utterance: int, clause: int, text: str = "words") -> Transcript:
    return Transcript(
        session_id="s",
        utterance_id=f"s:{utterance}",
        status="clause",
        source_language="en-US",
        transcript_text=text,
        words=[],
        start_ms=utterance + clause * 100,
        end_ms=utterance + clause * 100 + 100,
        clause=clause,
        revision=clause,
        stability_score=1.0,
        timestamp=0,
    )


def heard(utterance: int, clause: int, sequence: int, parts: int = 1) -> ClauseHeard:
    start_ms = utterance + clause * 100
    return ClauseHeard(
        f"s:{utterance}", clause, sequence, "palabras", start_ms, start_ms + 100, 0, 16_000, {0: b"\0\0"}, parts
    )


def test_all_heard_once_and_in_order() -> None:
    assert account([said(0, 0), said(0, 1)], [heard(0, 0, 0), heard(0, 1, 1)]) == Account(0, 0, 0)


def test_a_clause_that_never_came_or_came_in_part_is_lost() -> None:
    assert account([said(0, 0), said(0, 1)], [heard(0, 0, 0, parts=2)]) == Account(2, 0, 0)


def test_a_clause_without_words_is_not_missed() -> None:
    assert account([said(0, 0, text=" ")], []) == Account(0, 0, 0)


def test_the_same_time_heard_under_two_names_is_twice() -> None:
    assert account([], [heard(0, 0, 0), heard(20, 0, 1)]).duplicated == 1


def test_a_later_clause_before_an_earlier_one() -> None:
    assert account([], [heard(0, 1, 1), heard(0, 0, 0)]).reordered == 1


def test_accounts_add_up() -> None:
    assert Account(1, 2, 3).plus(Account(1, 1, 1)) == Account(2, 3, 4)
