from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.tones import (
    NUMBERS,
    PEAK,
    WORD_MS,
    DecodedWord,
    Decoder,
    Pcm,
    Script,
    encode,
    encode_word,
    number_of,
    numbers_in,
    text_of,
)

NUMBER = st.integers(0, NUMBERS - 1)
LOST = st.integers(1, 600)


def heard_in(sound: Pcm, pieces: list[int] | None = None) -> list[DecodedWord]:
    """What a decoder hears, given sound in pieces of these sizes (samples), over and over."""
    decoder, words, at = Decoder(), [], 0
    for i in range(len(sound) + 1):
        size = len(sound) if pieces is None else pieces[i % len(pieces)]
        words += decoder.feed(sound[at : at + size])
        at += size
        if at >= len(sound):
            break
    return words


@given(number=NUMBER)
def test_every_number_is_read_back_with_its_times(number: int) -> None:
    assert heard_in(encode([number], lead_ms=70)) == [DecodedWord(number, 70, 70 + WORD_MS)]


@settings(max_examples=40, deadline=None)
@given(
    utterances=st.lists(st.lists(NUMBER, min_size=1, max_size=4), min_size=1, max_size=4),
    pieces=st.lists(st.integers(40, 5000), min_size=1, max_size=5),
    level_db=st.floats(-12, 6),
    gap_ms=st.integers(20, 200),
)
def test_any_pieces_at_any_level(utterances: list[list[int]], pieces: list[int], level_db: float, gap_ms: int) -> None:
    script = Script(utterances, gap_ms=gap_ms, pauses_ms=(500, 2000))
    assert heard_in(script.render(level_db=level_db), pieces) == script.words


def test_levels_beyond_what_is_asked_for() -> None:
    script = Script([list(range(0, NUMBERS, 99_991))])
    for level_db in (-18.0, 12.0, 24.0):  # the last is clipped to squares
        found = heard_in(script.render(level_db=level_db))
        assert [word.number for word in found] == [word.number for word in script.words]
        for word, said in zip(found, script.words, strict=True):
            assert abs(word.start_ms - said.start_ms) <= 1


def test_level_is_what_was_asked_for() -> None:
    assert int(np.abs(encode_word(5)).max()) == PEAK
    assert int(np.abs(encode_word(5, level_db=-6.02)).max()) == pytest.approx(PEAK / 2, rel=0.01)


def test_a_start_in_mid_stream_hears_whole_words_only() -> None:
    script = Script([[11, 22, 33], [44, 55]], lead_ms=0)
    sound = script.render()
    for cut_ms in [*range(3, 1300, 7), 357, 358, 359, 360]:
        found = heard_in(sound[cut_ms * 16 :])
        # Of a word that begins no more than 2 ms before the cut nothing is missing that matters: it may be heard.
        numbers = {word.number for word in found}
        assert numbers >= {word.number for word in script.words if word.start_ms >= cut_ms}
        assert numbers <= {word.number for word in script.words if word.start_ms >= cut_ms - 2}
        for word in found:
            said = next(said for said in script.words if said.number == word.number)
            assert abs(word.start_ms + cut_ms - said.start_ms) <= 2


def test_an_end_in_a_word_does_not_hear_it() -> None:
    script = Script([[11, 22]], lead_ms=0)
    sound = script.render()
    for end_ms in range(1, 640, 9):
        assert heard_in(sound[: end_ms * 16]) == [word for word in script.words if word.end_ms <= end_ms]


@given(words=st.lists(NUMBER, min_size=4, max_size=4, unique=True), at_ms=st.integers(1, 1200), lost_ms=LOST)
def test_sound_that_is_lost_or_repeated_makes_no_false_word(words: list[int], at_ms: int, lost_ms: int) -> None:
    sound = encode(words, lead_ms=100, tail_ms=100)
    lost = np.concatenate([sound[: at_ms * 16], sound[(at_ms + lost_ms) * 16 :]])
    repeated = np.concatenate([sound[: (at_ms + lost_ms) * 16], sound[at_ms * 16 :]])
    assert {word.number for word in heard_in(lost)} <= set(words)
    assert {word.number for word in heard_in(repeated)} <= set(words)


def test_noise_is_never_a_word() -> None:
    generator = np.random.default_rng(3)
    for peak in (300, 3000, 30_000):
        assert heard_in(generator.integers(-peak, peak, 60 * 16_000).astype(np.int16), [1600]) == []


def test_quiet_noise_under_the_words_does_no_harm() -> None:
    script = Script([[1, 2, 3], [4, 5, 6]])
    noise = np.random.default_rng(4).integers(-100, 100, script.duration_ms * 16)
    found = heard_in((script.render() + noise).astype(np.int16), [1600])
    assert [word.number for word in found] == [1, 2, 3, 4, 5, 6]


def test_bytes_in_odd_pieces() -> None:
    decoder, sound = Decoder(), encode([7, 8], tail_ms=10).tobytes()
    words = [word.number for at in range(0, len(sound), 333) for word in decoder.feed(sound[at : at + 333])]
    assert words == [7, 8]


def test_what_may_still_become_a_word_is_known() -> None:
    decoder, sound = Decoder(), encode([7], lead_ms=50, tail_ms=50)
    known = []
    for piece in (sound[: 20 * 16], sound[20 * 16 : 100 * 16], sound[100 * 16 :]):
        decoder.feed(piece)
        known.append((decoder.sounding_since_ms, decoder.heard_ms))
    assert known == [(None, 20), (50, 100), (None, 50 + WORD_MS + 50)]


def test_another_word_length() -> None:
    decoder = Decoder(word_ms=250)
    found = decoder.feed(encode([123_456], word_ms=250, lead_ms=10))
    assert found == [DecodedWord(123_456, 10, 260)]


def test_a_script_says_when() -> None:
    script = Script([[1, 2], [3]], word_ms=297, gap_ms=60, pauses_ms=(700,), lead_ms=200, tail_ms=500)
    assert [(word.start_ms, word.end_ms) for word in script.words] == [(200, 497), (557, 854), (1554, 1851)]
    assert len(script.render()) == script.duration_ms * 16 == (1851 + 500) * 16


@pytest.mark.parametrize("wrong", [-1, NUMBERS])
def test_numbers_out_of_range_are_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="word numbers"):
        encode_word(wrong)


def test_words_that_would_run_together_are_refused() -> None:
    with pytest.raises(ValueError, match="gap_ms"):
        Script([[1, 2]], gap_ms=5)
    with pytest.raises(ValueError, match="word_ms"):
        encode_word(1, word_ms=150)


def test_text_there_and_back() -> None:
    assert text_of(123) == "w000123"
    assert number_of("w000123") == number_of("W000123") == 123
    assert number_of("w123") is number_of("word") is None
    assert numbers_in("W000001 w000002, and w000003. xw000004 w0000055") == [1, 2, 3]
