"""The contract of `Recogniser` and `Engine`, on both engines, each with sound that it understands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from local.tones import Script
from local.transcribe.engine import MAX_RESULT_MS, Engine, EngineFull
from local.transcribe.pool import PoolOptions, SphinxEngine
from local.transcribe.recognise import read_wav
from local.transcribe.request import StreamRequest
from local.transcribe.results import Result
from local.transcribe.tone_engine import Habits, ToneEngine
from tests.support.wer import RECORDINGS

SESSION = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
REQUEST = StreamRequest(SESSION, "en-US", "high")
PLACES = 2


@dataclass
class Case:
    """An engine with two places, an utterance that it understands, and what that says."""

    engine: Engine
    utterance: bytes
    words: list[str]


@pytest.fixture(params=["tones", "pocketsphinx"])
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    engine: Engine
    if request.param == "tones":
        engine = ToneEngine(Habits(), max_streams=PLACES)
        sound = Script([[1, 2, 3, 4]], tail_ms=1000).render().tobytes()
        yield Case(engine, sound, ["w000001", "w000002", "w000003", "w000004"])
    else:
        engine = await SphinxEngine.start(PoolOptions(workers=1, streams_per_worker=PLACES))
        sound = read_wav(RECORDINGS / "go-somewhere.wav") + bytes(32_000)
        yield Case(engine, sound, ["go", "somewhere", "and", "do", "something"])
    await engine.close()


async def hear(engine: Engine, sound: bytes, chunk_ms: int = 100, *, finish: bool = True) -> list[Result]:
    recogniser = await engine.open(REQUEST)
    try:
        size = chunk_ms * 32
        results = [
            result for at in range(0, len(sound), size) for result in await recogniser.feed(sound[at : at + size])
        ]
        return [*results, *(await recogniser.finish())] if finish else results
    finally:
        recogniser.close()


def words(result: Result) -> list[str]:
    return [word.text for word in result.words]


async def test_partials_lead_to_a_final_of_the_same_id(case: Case) -> None:
    results = await hear(case.engine, case.utterance, finish=False)
    assert [result.is_partial for result in results] == [True] * (len(results) - 1) + [False]
    assert len(results) > 3
    assert words(results[-1]) == case.words
    assert len({result.result_id for result in results}) == 1


async def test_stable_words_come_first_and_never_change(case: Case) -> None:
    settled: list[str] = []
    for result in await hear(case.engine, case.utterance * 2):
        stable = [word.text for word in result.words if word.stable]
        assert words(result)[: len(stable)] == stable
        assert stable[: len(settled)] == settled
        settled = stable if result.is_partial else []


async def test_every_utterance_has_its_own_id_and_time_goes_on(case: Case) -> None:
    finals = [result for result in await hear(case.engine, case.utterance * 3) if not result.is_partial]
    assert [words(final) for final in finals] == [case.words] * 3
    assert len({final.result_id for final in finals}) == 3
    length_ms = len(case.utterance) // 32
    first = finals[0].words[0].start_ms
    for i, final in enumerate(finals):
        assert final.words[0].start_ms == pytest.approx(first + i * length_ms, abs=100)
        assert final.end_ms - final.start_ms <= MAX_RESULT_MS


async def test_a_stream_starts_afresh_whatever_its_place_was_used_for(case: Case) -> None:
    first = await hear(case.engine, case.utterance)
    await hear(case.engine, case.utterance[: len(case.utterance) // 2], finish=False)  # given up in mid-speech
    assert await hear(case.engine, case.utterance) == first


async def test_finish_flushes_what_is_open(case: Case) -> None:
    results = await hear(case.engine, case.utterance[: len(case.utterance) - 32_000])
    assert not results[-1].is_partial
    assert words(results[-1]) == case.words


async def test_silence_says_nothing(case: Case) -> None:
    assert await hear(case.engine, bytes(3 * 32_000)) == []


async def test_the_bound_is_kept_and_a_place_given_back_is_free(case: Case) -> None:
    open_streams = [await case.engine.open(REQUEST) for _ in range(PLACES)]
    with pytest.raises(EngineFull, match=f"full: {PLACES} streams"):
        await case.engine.open(REQUEST)
    open_streams.pop().close()
    open_streams.append(await case.engine.open(REQUEST))
    for stream in open_streams:
        stream.close()


async def test_languages(case: Case) -> None:
    assert "en-US" in case.engine.language_codes
