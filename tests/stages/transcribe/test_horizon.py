import pytest

from stages.transcribe.horizon import REMEMBERED_WORDS, Horizon
from streams.records import Word

COMMITTED = [Word("we", 0, 200), Word("say", 200, 500), Word("yes", 520, 800)]


def horizon() -> Horizon:
    made = Horizon()
    made.commit(COMMITTED)
    return made


@pytest.mark.parametrize(
    ("heard", "new"),
    [
        pytest.param(COMMITTED, [], id="the same again"),
        pytest.param([Word("we", 20, 190), Word("say", 215, 480), Word("yes", 540, 830)], [], id="cut elsewhere"),
        pytest.param([*COMMITTED, Word("yes", 820, 1_100)], ["yes"], id="said twice"),
        pytest.param([*COMMITTED, Word("yes", 1_500, 1_800)], ["yes"], id="said twice with a pause"),
        pytest.param([Word("yes", 1_500, 1_800)], ["yes"], id="equal text alone is no repeat"),
        pytest.param([Word("Yes.", 500, 790), Word("a", 790, 805)], ["a"], id="a short word after one that is known"),
        pytest.param([Word("a", 770, 805)], [], id="a short word whose middle lies before"),
        pytest.param([Word("jess", 500, 790), Word("and", 800, 950)], ["and"], id="heard differently: by time"),
        pytest.param([Word("yes", 690, 920)], [], id="heard far off, but near enough for its text"),
        pytest.param([Word("and", 790, 940)], ["and"], id="new at the border"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_which_words_are_new(heard: list[Word], new: list[str]) -> None:
    assert [word.text for word in heard[horizon().first_new(heard) :]] == new


def test_of_two_equal_words_the_nearer_one_is_known() -> None:
    quick = Horizon()
    quick.commit([Word("no", 0, 110)])
    assert quick.first_new([Word("no", 5, 112), Word("no", 112, 230)]) == 1


def test_new_words_begin_after_the_horizon_and_after_each_other() -> None:
    moved = horizon().after([Word("a", 770, 805), Word("b", 801, 805), Word("c", 900, 1_000, 0.5)])
    assert moved == [Word("a", 800, 820), Word("b", 820, 840), Word("c", 900, 1_000, 0.5)]
    assert all(word.middle_ms >= 800 for word in moved)


def test_what_is_remembered_is_bounded() -> None:
    made = Horizon()
    made.commit(Word("w", 100 * i, 100 * i + 90) for i in range(100))
    assert len(made.recent) == REMEMBERED_WORDS
    assert made.end_ms == 9_990
