import msgspec
import numpy as np

from local import tones
from ops.account import Account, account, audible_ms, unheard_ms
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


def test_sound_that_no_utterance_covers_is_unheard() -> None:
    pcm = np.zeros(16_000, np.int16)
    pcm[1600:6400] = 1000  # 100 to 400 ms
    assert audible_ms(pcm) == unheard_ms(pcm, []) == 300
    assert unheard_ms(pcm, [said(100, 0)]) == 180  # 100 to 200 ms, and an edge
    assert unheard_ms(pcm, [said(100, clause) for clause in range(3)]) == 0
    assert unheard_ms(pcm, [said(100, clause, text=" ") for clause in range(3)]) == 300


def test_silence_is_not_missed() -> None:
    assert audible_ms(np.full(16_000, 20, np.int16)) == 0
    assert audible_ms(np.zeros(0, np.int16)) == 0


def test_of_tones_it_is_exact() -> None:
    script = tones.Script([[1, 2, 3], [4, 5]])
    first, second = (
        msgspec.structs.replace(said(0, 0), start_ms=words[0].start_ms, end_ms=words[-1].end_ms)
        for words in script.utterances
    )
    pcm = np.asarray(script.render())
    assert unheard_ms(pcm, [first, second]) == 0
    assert 2 * tones.WORD_MS - 20 <= unheard_ms(pcm, [first]) <= 2 * tones.WORD_MS + 20


def test_what_was_too_late_and_said_to_be_is_not_lost() -> None:
    spoken = [said(0, clause) for clause in range(3)]
    assert account(spoken, [heard(0, 0, 0)], {("s:0", 0), ("s:0", 1)}) == Account(1, 0, 0, 1)
    assert Account(1, 2, 3, 4).plus(Account(1, 1, 1, 1)) == Account(2, 3, 4, 5)
