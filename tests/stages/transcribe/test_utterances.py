from collections.abc import Sequence

import pytest

from stages.transcribe.clauses import ClauseRule
from stages.transcribe.utterances import PARTIAL_EVERY_MS, UNSCORED_WAIT_MS, HeardResult, Outcome, Utterances
from streams.records import Transcript, Word

SESSION = "golden-eagle-427"
NOW = 1_700_000_000_000


def utterances(language: str = "en-US", threshold: float = 0.75) -> Utterances:
    return Utterances(SESSION, language, threshold, ClauseRule(300, 3_000, 2))


def heard(
    text: str,
    stable: int | None,
    *,
    final: bool = False,
    key: str = "r1",
    start_ms: int = 1_000,
    word_ms: int = 200,
    end_ms: int = 0,
) -> HeardResult:
    """Words of word_ms each, the first `stable` of them stable; None: the recogniser does not say."""
    words = [
        Word(one, start_ms + i * word_ms, start_ms + (i + 1) * word_ms, 0.9 if final else None)
        for i, one in enumerate(text.split())
    ]
    flags: Sequence[bool | None] = [None if stable is None else i < stable for i in range(len(words))]
    end_ms = end_ms or (words[-1].end_ms if words else start_ms)
    return HeardResult(key, words, flags, end_ms, not final, NOW)


def said(outcomes: list[Outcome]) -> list[tuple[str, str, int, int]]:
    return [(t.status, t.transcript_text, t.clause, t.revision) for t, _ in outcomes]


def test_an_utterance_from_the_first_partial_to_the_final() -> None:
    made = utterances()
    outcomes = made.on_result(heard("we go there", 1), NOW)
    assert said(outcomes) == []
    outcomes = made.on_result(heard("we go there now", 3), NOW + 100)
    assert said(outcomes) == [("partial", "we go there now", 0, 1)]
    outcomes = made.on_result(heard("we go there, then we", 3), NOW + 400)
    assert said(outcomes) == [("clause", "we go there,", 0, 2)]
    outcomes = made.on_result(heard("we go there, then we wait", 5, final=True), NOW + 900)
    assert said(outcomes) == [
        ("clause", "then we wait", 1, 3),
        ("final", "we go there, then we wait", 2, 4),
    ]
    final = outcomes[-1].transcript
    assert final.utterance_id == f"{SESSION}:1000"
    assert (final.start_ms, final.end_ms) == (1_000, 2_200)
    assert [word.confidence for word in final.words] == [0.9] * 6
    assert not made.is_open()


def test_partials_pass_at_the_threshold_five_a_second_and_the_latest_wins() -> None:
    made = utterances()
    assert said(made.on_result(heard("a b c", 2), NOW)) == []  # two thirds
    assert len(made.on_result(heard("a b c d", 3), NOW)) == 1
    passed = 0
    for i in range(1, 101):  # ten a second, for ten seconds; all unlike the one before
        now_ms = NOW + 100 * i
        outcomes = made.on_timer(now_ms)
        outcomes += made.on_result(heard(f"a b c d{i}", 3), now_ms)
        passed += len(outcomes)
        if outcomes:
            assert outcomes[-1].transcript.transcript_text in (f"a b c d{i}", f"a b c d{i - 1}")
    assert passed == 10_000 // PARTIAL_EVERY_MS
    wake_at_ms = made.wake_at_ms()
    if wake_at_ms is not None:
        assert said(made.on_timer(wake_at_ms))[0][1] == "a b c d100"


def test_the_last_partial_held_back_comes_by_the_timer() -> None:
    made = utterances()
    made.on_result(heard("a b c d", 3), NOW)
    assert made.on_result(heard("a b c e", 3), NOW + 10) == []
    assert made.on_result(heard("a b c f", 3), NOW + 20) == []
    assert made.wake_at_ms() == NOW + PARTIAL_EVERY_MS
    assert made.on_timer(NOW + PARTIAL_EVERY_MS - 1) == []
    assert [text for _, text, _, _ in said(made.on_timer(NOW + PARTIAL_EVERY_MS))] == ["a b c f"]
    assert made.wake_at_ms() is None


def test_a_partial_like_the_one_before_is_not_repeated() -> None:
    made = utterances()
    assert len(made.on_result(heard("a b c d", 3), NOW)) == 1
    assert made.on_result(heard("a b c d", 3), NOW + 5_000) == []
    assert made.wake_at_ms() is None


def test_without_stability_a_partial_passes_after_three_seconds() -> None:
    made = utterances()
    assert made.on_result(heard("a", None), NOW) == []
    assert made.on_result(heard("a b", None), NOW + 2_000) == []
    assert made.wake_at_ms() == NOW + UNSCORED_WAIT_MS
    assert said(made.on_timer(NOW + UNSCORED_WAIT_MS)) == [("partial", "a b", 0, 1)]
    assert said(made.on_result(heard("a b", 0, final=True), NOW + 4_000)) == [
        ("clause", "a b", 0, 2),
        ("final", "a b", 1, 3),
    ]


def test_committed_words_never_change_and_contradictions_are_counted_once() -> None:
    made = utterances()
    made.on_result(heard("cold hearted, and", 2), NOW)
    outcomes = made.on_result(heard("gold harder, and rather", 2), NOW + 300)
    assert made.contradictions == 2
    assert not [t for t, _ in outcomes if t.status != "partial"]
    outcomes = made.on_result(heard("gold harder, and rather selfish", 0, final=True), NOW + 600)
    assert said(outcomes)[-1][:2] == ("final", "cold hearted, and rather selfish")
    assert made.contradictions == 2


def test_a_word_whose_time_wanders_in_the_same_result_is_neither_lost_nor_repeated() -> None:
    made = utterances()
    made.on_result(heard("we go, a b", 2), NOW)
    shifted = heard("we go, a b", 0, final=True, start_ms=900)
    outcomes = made.on_result(shifted, NOW)
    assert said(outcomes)[0][:2] == ("clause", "a b")
    words = outcomes[0].transcript.words
    assert words[0].start_ms == 1_400
    assert [word.text for word in outcomes[-1].transcript.words] == ["we", "go,", "a", "b"]


def test_another_stream_goes_on_where_the_words_were_committed() -> None:
    made = utterances()
    made.on_result(heard("we go, then", 2), NOW)
    made.forget_results()
    again = heard("we go, then there", 0, final=True, key="other:r0", start_ms=1_020)
    assert said(made.on_result(again, NOW)) == [("clause", "then there", 1, 2), ("final", "we go, then there", 2, 3)]


def test_a_final_that_repeats_closes_and_one_that_ends_earlier_does_not() -> None:
    made = utterances()
    made.on_result(heard("we go there, then", 3), NOW)
    made.forget_results()
    assert said(made.on_result(heard("we go", 0, final=True, key="o:0"), NOW)) == []
    assert made.is_open()
    assert said(made.on_result(heard("we go there,", 0, final=True, key="o:1"), NOW)) == [
        ("final", "we go there,", 1, 3)
    ]


def test_partials_that_came_to_nothing_are_emptied_and_the_utterance_goes_on() -> None:
    made = utterances()
    made.on_result(heard("er the hm ah", 3), NOW)
    assert said(made.on_result(heard("", 0, final=True, end_ms=2_000), NOW)) == [("partial", "", 0, 2)]
    outcomes = made.on_result(heard("we go", 0, final=True, key="r2", start_ms=3_000), NOW)
    assert said(outcomes) == [("clause", "we go", 0, 3), ("final", "we go", 1, 4)]
    assert {t.utterance_id for t, _ in outcomes} == {f"{SESSION}:1000"}


def test_closing_says_what_is_committed() -> None:
    made = utterances()
    assert made.close(NOW) == []
    made.on_result(heard("we go, then", 2), NOW)
    assert said(made.close(NOW)) == [("final", "we go,", 1, 2)]
    assert made.close(NOW) == []


@pytest.mark.parametrize(("language", "text"), [("en-US", "a b"), ("ja-JP", "ab"), ("zh-CN", "ab"), ("ko-KR", "a b")])
def test_words_are_joined_as_the_language_writes_them(language: str, text: str) -> None:
    assert said(utterances(language).on_result(heard("a b", 0, final=True), NOW))[0][1] == text


def test_an_utterance_goes_on_after_a_restore() -> None:
    first = utterances()
    emitted = first.on_result(heard("we go, then there now and", 5), NOW)
    restored = Utterances(SESSION, "en-US", 0.75, ClauseRule(300, 3_000, 2), utterances().state())
    for transcript, _ in emitted:
        restored.on_emitted(transcript)
    assert restored.state() == first.state()
    outcomes = restored.on_result(heard("we go, then there", 0, final=True, key="o:0"), NOW)
    revision = emitted[-1].transcript.revision
    assert said(outcomes) == [
        ("clause", "then there", 1, revision + 1),
        ("final", "we go, then there", 2, revision + 2),
    ]
    restored.on_emitted(outcomes[-1].transcript)
    assert not restored.is_open()


def test_what_an_owner_of_the_past_says_too_late_changes_nothing() -> None:
    made = utterances()
    (clause, _), *_ = made.on_result(heard("we go, then", 2), NOW)
    before = made.state()
    late = utterances().on_result(heard("we go, then", 2, start_ms=1_010), NOW)
    for transcript, _ in late:
        made.on_emitted(transcript)
    made.on_emitted(_final_of(late[0].transcript))
    assert made.state().utterance == before.utterance
    assert made.horizon.end_ms == max(clause.end_ms, late[0].transcript.end_ms)


def _final_of(clause: Transcript) -> Transcript:
    made = utterances()
    made.on_emitted(clause)
    return made.close(NOW)[0].transcript
