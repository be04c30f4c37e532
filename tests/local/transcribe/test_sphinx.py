from __future__ import annotations

import random

import pocketsphinx
import pytest

from local.transcribe.engine import MAX_RESULT_MS
from local.transcribe.recognise import read_wav, recognise_file
from local.transcribe.request import Stability
from local.transcribe.results import Result
from local.transcribe.sphinx import SphinxRecogniser, new_decoder
from tests.support.wer import RECORDINGS, recordings, word_error_rate

SESSION = "0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0"
ALLOWED_ABOVE_DIRECT = 0.03


@pytest.fixture(scope="module")
def decoder() -> pocketsphinx.Decoder:
    return new_decoder()


@pytest.fixture(scope="module")
def direct_error_rate(decoder: pocketsphinx.Decoder) -> float:
    """Of PocketSphinx run directly on each whole recording."""
    said = [word for recording in recordings() for word in recording.words]
    heard = [word.text for recording in recordings() for word in recognise_file(read_wav(recording.path), decoder)]
    return word_error_rate(said, heard)


def hear(
    decoder: pocketsphinx.Decoder, sound: bytes, chunk_ms: int = 100, stability: Stability | None = "high"
) -> list[Result]:
    recogniser = SphinxRecogniser(decoder, "40,3,-1", SESSION, stability)
    size = chunk_ms * 32
    results = [result for at in range(0, len(sound), size) for result in recogniser.feed(sound[at : at + size])]
    results += recogniser.finish()
    recogniser.abandon()
    return results


def final_words(results: list[Result]) -> list[str]:
    return [word.text for result in results if not result.is_partial for word in result.words]


def test_streaming_costs_few_words_on_single_recordings(
    decoder: pocketsphinx.Decoder, direct_error_rate: float
) -> None:
    said = [word for recording in recordings() for word in recording.words]
    heard = [word for recording in recordings() for word in final_words(hear(decoder, read_wav(recording.path)))]
    assert word_error_rate(said, heard) <= direct_error_rate + ALLOWED_ABOVE_DIRECT


def test_streaming_costs_few_words_in_a_talk_with_pauses(
    decoder: pocketsphinx.Decoder, direct_error_rate: float
) -> None:
    order = recordings() * 2
    generator = random.Random(5)
    generator.shuffle(order)
    talk = b"".join(
        read_wav(recording.path) + bytes(2 * int(16_000 * generator.uniform(0.3, 3))) for recording in order
    )
    results = hear(decoder, talk)
    said = [word for recording in order for word in recording.words]
    assert word_error_rate(said, final_words(results)) <= direct_error_rate + ALLOWED_ABOVE_DIRECT
    assert len({result.result_id for result in results}) >= len(order) / 2
    starts = [word.start_ms for result in results if not result.is_partial for word in result.words]
    assert starts == sorted(starts)
    assert starts[-1] <= len(talk) / 32


def test_speech_without_a_pause_is_cut_behind_a_word(decoder: pocketsphinx.Decoder) -> None:
    once = read_wav(RECORDINGS / "austen-0870.wav")[32 * 400 : 32 * 6800]
    results = [result for result in hear(decoder, once * 6) if not result.is_partial]
    assert len(results) == 2
    for result in results:
        assert result.end_ms - result.start_ms <= MAX_RESULT_MS
    # The border between the results is as well heard as any other place.
    words = final_words(results)
    assert words.count("leisure") == words.count("consider") == 6


def test_pieces_do_not_change_the_words(decoder: pocketsphinx.Decoder) -> None:
    sound = read_wav(RECORDINGS / "sentence-3.wav") + bytes(32_000)
    spoken = ["sunday", "is", "the", "best", "part", "of", "the", "week"]
    for chunk_ms in (10, 37, 100, 700):
        assert final_words(hear(decoder, sound, chunk_ms, stability=None)) == spoken


def test_words_have_times_and_confidence(decoder: pocketsphinx.Decoder) -> None:
    lead_ms = 1500
    sound = bytes(32 * lead_ms) + read_wav(RECORDINGS / "sentence-3.wav")
    direct = recognise_file(sound[32 * lead_ms :], decoder)
    (final,) = [result for result in hear(decoder, sound) if not result.is_partial]
    for word, expected in zip(final.words, direct, strict=True):
        assert word.text == expected.text
        assert word.start_ms == pytest.approx(expected.start_ms + lead_ms, abs=100)
        assert word.end_ms == pytest.approx(expected.end_ms + lead_ms, abs=100)
        assert 0.0 <= word.confidence <= 1.0
