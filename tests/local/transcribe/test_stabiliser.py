from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.transcribe.results import Word
from local.transcribe.stabiliser import RULES, Rule, Stabiliser


def words(*texts: str) -> list[Word]:
    """Words of 300 ms one after another from 0; ``_`` is a place where nothing is heard."""
    return [Word(text, i * 300, (i + 1) * 300, 0.9) for i, text in enumerate(texts) if text != "_"]


def shown(result: tuple[Word, ...]) -> str:
    return " ".join(word.text.upper() if word.stable else word.text for word in result)


def test_a_word_settles_when_it_is_old_enough_and_repeated() -> None:
    stabiliser = Stabiliser(Rule(age_ms=600, repeats=2))
    assert shown(stabiliser.partial(words("go", "for"), 600)) == "go for"
    assert shown(stabiliser.partial(words("go", "forward"), 900)) == "GO forward"
    assert shown(stabiliser.partial(words("go", "forward", "ten"), 1200)) == "GO FORWARD ten"


def test_a_word_that_wavers_does_not_settle() -> None:
    stabiliser = Stabiliser(Rule(age_ms=0, repeats=2))
    assert shown(stabiliser.partial(words("go"), 5000)) == "go"
    assert shown(stabiliser.partial(words("no"), 5300)) == "no"
    assert shown(stabiliser.partial(words("no"), 5600)) == "NO"


def test_second_thoughts_about_a_settled_word_are_lost() -> None:
    stabiliser = Stabiliser(Rule(age_ms=0, repeats=1))
    stabiliser.partial(words("go", "for"), 1000)
    assert shown(stabiliser.partial(words("no", "four", "words"), 1300)) == "GO FOR WORDS"
    assert shown(stabiliser.final(words("_", "_", "wards", "ten"))) == "GO FOR WORDS TEN"


def test_without_a_rule_hypotheses_pass_as_they_are() -> None:
    stabiliser = Stabiliser(None)
    assert shown(stabiliser.partial(words("go"), 9000)) == "go"
    assert shown(stabiliser.partial(words("no"), 9300)) == "no"
    assert shown(stabiliser.final(words("so"))) == "SO"


def test_high_settles_soonest() -> None:
    rules = [RULES["high"], RULES["medium"], RULES["low"]]
    assert rules == sorted(rules, key=lambda rule: (rule.age_ms, rule.repeats))


HYPOTHESES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "_"]), max_size=8), min_size=1, max_size=10)


@given(hypotheses=HYPOTHESES, rule=st.sampled_from([*RULES.values(), Rule(0, 1)]))
def test_whatever_is_heard_a_stable_word_never_changes(hypotheses: list[list[str]], rule: Rule) -> None:
    stabiliser = Stabiliser(rule)
    settled: list[Word] = []
    for i, hypothesis in enumerate(hypotheses):
        heard_ms = 600 + 300 * i
        result = stabiliser.partial(words(*hypothesis), heard_ms)
        assert list(result[: len(settled)]) == settled
        settled = [word for word in result if word.stable]
        assert list(result[: len(settled)]) == settled
    final = stabiliser.final(words(*hypotheses[-1]))
    assert list(final[: len(settled)]) == settled
