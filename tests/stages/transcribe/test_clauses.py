import pytest

from stages.transcribe.clauses import ClauseRule, clause_lengths
from streams.records import Word

RULE = ClauseRule(pause_ms=300, span_ms=2_000, min_words=2)


def words(*spans: tuple[str, int, int]) -> list[Word]:
    return [Word(*span) for span in spans]


def running(count: int, *, length_ms: int = 300, gaps: dict[int, int] | None = None) -> list[Word]:
    """Words of running speech; gaps: by index of the word before."""
    said, at_ms = [], 0
    for i in range(count):
        said.append(Word(f"w{i}", at_ms, at_ms + length_ms))
        at_ms += length_ms + (gaps or {}).get(i, 0)
    return said


@pytest.mark.parametrize(
    ("said", "stable", "end_ms", "expected"),
    [
        pytest.param([], 0, 0, [], id="nothing"),
        pytest.param(running(3), 3, 900, [], id="too short, and it goes on"),
        pytest.param(running(3), 3, 1_200, [3], id="a pause at the end"),
        pytest.param(running(4, gaps={1: 300}), 4, 1_500, [2], id="a pause inside"),
        pytest.param(running(4, gaps={1: 299}), 4, 1_499, [], id="no pause yet"),
        pytest.param(running(4, gaps={1: 300}), 2, 1_500, [2], id="an unstable word shows the pause"),
        pytest.param(running(4, gaps={1: 300}), 1, 1_500, [], id="never past the stable words"),
        pytest.param(running(9), 7, 2_700, [7], id="long enough, cut at the end for want of a better place"),
        pytest.param(running(9, gaps={3: 40}), 7, 2_740, [4], id="long enough, cut at the widest gap"),
        pytest.param(running(9, gaps={0: 90}), 7, 2_790, [7], id="but no single word is cut off"),
        pytest.param(running(2, gaps={0: 400}), 1, 1_000, [1], id="a word alone between pauses"),
        pytest.param(words(("So.", 0, 200), ("We", 210, 300)), 1, 300, [1], id="the end of a sentence"),
        pytest.param(words(("So,", 0, 200), ("we", 210, 300)), 2, 300, [], id="a comma after one word"),
        pytest.param(words(("so", 0, 90), ("then,", 90, 200), ("we", 210, 300)), 3, 300, [2], id="a comma"),
        pytest.param(running(20), 20, 6_000, [7, 7], id="several at once"),
    ],
)
def test_where_clauses_end(said: list[Word], stable: int, end_ms: int, expected: list[int]) -> None:
    assert clause_lengths(said, stable, end_ms, RULE) == expected
