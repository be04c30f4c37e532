from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.tones import Script, number_of
from local.transcribe.engine import MAX_RESULT_MS
from local.transcribe.request import Stability, StreamRequest
from local.transcribe.results import Result
from local.transcribe.tone_engine import HELD_BACK, UNSETTLED_WORDS, Habits, ToneEngine

SESSION = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"


def hear(
    script: Script, habits: Habits | None = None, *, stability: Stability | None = "high", chunk_ms: int = 100
) -> list[Result]:
    async def run() -> list[Result]:
        recogniser = await ToneEngine(habits or Habits()).open(StreamRequest(SESSION, "fr-FR", stability))
        sound, size = script.render().tobytes(), chunk_ms * 32
        results: list[Result] = []
        for at in range(0, len(sound), size):
            results += await recogniser.feed(sound[at : at + size])
        return [*results, *await recogniser.finish()]

    return asyncio.run(run())


def finals(results: Sequence[Result]) -> list[list[int | None]]:
    return [[number_of(word.text) for word in result.words] for result in results if not result.is_partial]


LONG = Script([list(range(20)), list(range(30, 50))], pauses_ms=(600,))


@settings(max_examples=20, deadline=None)
@given(chunk_ms=st.integers(10, 5000), seed=st.integers(0, 99))
def test_finals_are_exact_in_any_pieces_with_any_seed(chunk_ms: int, seed: int) -> None:
    assert finals(hear(LONG, Habits(seed), chunk_ms=chunk_ms)) == [list(range(20)), list(range(30, 50))]


def test_a_pause_shorter_than_a_recogniser_s_does_not_close() -> None:
    script = Script([[1, 2], [3], [4]], pauses_ms=(480, 520))
    assert finals(hear(script)) == [[1, 2, 3], [4]]


def test_a_result_is_cut_at_its_longest_span() -> None:
    spoken = list(range(200))  # 71 s without a pause
    results = hear(Script([spoken]))
    assert [number for words in finals(results) for number in words] == spoken
    assert len(finals(results)) == 3
    assert all(result.end_ms - result.start_ms <= MAX_RESULT_MS for result in results)


def test_partials_come_about_every_300_ms_of_speech() -> None:
    partials = [result for result in hear(LONG) if result.is_partial]
    spoken_ms = sum(said[-1].end_ms - said[0].start_ms for said in LONG.utterances)
    assert len(partials) == pytest.approx(spoken_ms / 300, rel=0.15)


def test_the_last_words_of_partials_are_wrong_or_missing_and_only_those() -> None:
    wrong = missing = 0
    for result in hear(Script([list(range(40))])):
        numbers = [number_of(word.text) for word in result.words]
        settled = max(0, len(numbers) - UNSETTLED_WORDS)
        assert numbers[:settled] == list(range(settled))
        wrong += sum(number != i for i, number in enumerate(numbers))
        missing += result.is_partial and len(numbers) * 357 < result.words[-1].end_ms - 357
    assert wrong > 10
    assert missing > 2


def test_the_seed_decides() -> None:
    assert hear(LONG, Habits(seed=1)) == hear(LONG, Habits(seed=1))
    assert hear(LONG, Habits(seed=1)) != hear(LONG, Habits(seed=2))


@pytest.mark.parametrize("stability", ["high", "medium", "low", None])
def test_stable_flags_are_honest_and_come_later_with_less_stability(stability: Stability | None) -> None:
    results = hear(LONG, stability=stability)
    truth = {word.start_ms: word.number for word in LONG.words}
    for result in results:
        for word in result.words:
            assert not word.stable or number_of(word.text) == truth[word.start_ms]
    held = HELD_BACK[stability]
    steady = hear(LONG, Habits(unsettled=0.0), stability=stability)
    for result in steady:
        if result.is_partial:
            assert sum(not word.stable for word in result.words) == min(held, len(result.words))


def test_on_request_a_stable_word_is_contradicted() -> None:
    results = hear(LONG, Habits(contradicted=0.3))
    truth = {word.start_ms: word.number for word in LONG.words}
    lies = {
        word.start_ms
        for result in results
        for word in result.words
        if word.stable and number_of(word.text) != truth[word.start_ms]
    }
    assert 3 <= len(lies) <= 25
    assert finals(results) == [list(range(20)), list(range(30, 50))], "the final has the last word"


def test_a_fragment_at_the_start_is_no_word() -> None:
    async def run() -> list[Result]:
        recogniser = await ToneEngine(Habits()).open(StreamRequest(SESSION, "en-US", "high"))
        sound = Script([[1, 2, 3]], lead_ms=0).render()[150 * 16 :].tobytes()
        return [*await recogniser.feed(sound), *await recogniser.finish()]

    assert finals(asyncio.run(run())) == [[2, 3]]
