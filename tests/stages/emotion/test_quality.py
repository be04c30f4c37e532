"""Row A5, on real speech spoiled in known ways."""

import numpy as np
import pytest

from stages.emotion.quality import Change, EchoMeter, Quality, signal_to_noise_db
from tests.stages.emotion.speech import AUSTEN, NAMES, SENTENCES, Pcm, as_pcm, joined, noise, with_echo

CLEAN = joined(SENTENCES)
CLEAN_LEVEL_DB = -31.9
"""Of the speech in them."""


def changes(pcm: Pcm, quality: Quality | None = None, step: int = 1_600, start: int = 0) -> list[Change]:
    quality = quality or Quality()
    found: list[Change] = []
    for at in range(0, len(pcm), step):
        found += quality.feed(start + at, pcm[at : at + step])
    return found


def noisy(pcm: Pcm, snr_db: float) -> Pcm:
    return as_pcm(pcm + noise(len(pcm), CLEAN_LEVEL_DB - snr_db))


def of(code: str, found: list[Change]) -> list[Change]:
    """An echo fills the pauses, a step between noises looks like speech: so tests look at one code at a time."""
    return [change for change in found if change.code == code]


def codes(found: list[Change]) -> list[tuple[str, bool]]:
    return [(change.code, change.active) for change in found]


def test_clean_recordings_have_nothing_to_report() -> None:
    assert changes(joined(NAMES)) == []
    assert changes(joined([*AUSTEN, *AUSTEN])) == []


@pytest.mark.parametrize("step", [320, 1_234, 16_000])
def test_the_lengths_of_chunks_do_not_matter(step: int) -> None:
    pcm = noisy(CLEAN, 10.0)
    assert changes(pcm, step=step) == changes(pcm)


# --- signal to noise --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [5.0, 10.0, 15.0, 20.0, 25.0])
@pytest.mark.parametrize("at_s", [0, 1, 2, 3])
def test_the_ratio_is_measured_within_2_db(snr_db: float, at_s: int) -> None:
    pcm = noisy(CLEAN, snr_db)[at_s * 16_000 :][:80_000] / 32_768.0
    found_db = signal_to_noise_db(np.square(pcm).reshape(-1, 320).mean(axis=1))
    tolerance_db = 2.0 if snr_db > 5.0 else 3.5
    assert found_db == pytest.approx(snr_db, abs=tolerance_db)


def test_noise_is_reported_when_5_s_are_known_and_once() -> None:
    found = changes(noisy(np.tile(CLEAN, 2), 10.0))
    assert codes(found) == [("AUDIO_LOW_SNR", True)]
    assert found[0].end == 80_000
    assert found[0].value == pytest.approx(10.0, abs=2.0)
    assert found[0].threshold == 20.0


def test_noise_that_stops_is_over_some_seconds_later() -> None:
    found = changes(np.concatenate([noisy(CLEAN, 10.0), CLEAN]))
    assert codes(found) == [("AUDIO_LOW_SNR", True), ("AUDIO_LOW_SNR", False)]
    assert 0 <= found[1].end - len(CLEAN) <= 6 * 16_000
    assert found[1].value > 22.0


@pytest.mark.parametrize(("bound_db", "reported"), [(10.0, False), (40.0, True)])
def test_the_bound_can_be_set(bound_db: float, reported: bool) -> None:
    assert bool(changes(noisy(CLEAN, 20.0), Quality(bound_db))) is reported


def test_a_pause_in_a_noisy_room_says_nothing_about_the_ratio() -> None:
    assert changes(as_pcm(noise(160_000, -45.0))) == []


# --- clipping ---------------------------------------------------------------------------------------------------------


def test_an_overdriven_recording_is_clipping() -> None:
    loud = as_pcm(CLEAN * 30.0)
    found = of("AUDIO_CLIPPING", changes(np.concatenate([CLEAN, loud, CLEAN])))
    assert codes(found) == [("AUDIO_CLIPPING", True), ("AUDIO_CLIPPING", False)]
    assert 0 <= found[0].end - len(CLEAN) <= 16_000
    assert found[0].value > 0.01
    assert 0 <= found[1].end - 2 * len(CLEAN) <= 6 * 16_000


@pytest.mark.parametrize(
    ("value", "count", "reported"), [(32_113, 17, True), (32_112, 17, False), (-32_113, 17, True), (32_767, 16, False)]
)
def test_clipping_is_over_1_percent_of_100_ms_at_98_percent_of_full_scale(
    value: int, count: int, reported: bool
) -> None:
    pcm = as_pcm(noise(16_000, -40.0))
    pcm[3_200 : 3_200 + count] = value
    assert bool(changes(pcm)) is reported


# --- echo -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay_ms", [12, 30, 120, 250, 500])
@pytest.mark.parametrize("names", [AUSTEN, SENTENCES])
def test_an_echo_is_reported_with_its_level(delay_ms: int, names: list[str]) -> None:
    found = of("AUDIO_ECHO", changes(with_echo(joined(names), delay_ms, -10.0)))
    assert codes(found) == [("AUDIO_ECHO", True)]
    assert found[0].end <= 6 * 16_000
    assert found[0].value == pytest.approx(-10.0, abs=2.5)


@pytest.mark.parametrize("delay_ms", [120, 250])
def test_a_weak_echo_is_none(delay_ms: int) -> None:
    assert of("AUDIO_ECHO", changes(with_echo(joined(AUSTEN), delay_ms, -20.0))) == []


@pytest.mark.parametrize("level_db", [-6.0, -9.0, -12.0, -15.0])
def test_the_echo_s_level_is_measured_within_1_5_db(level_db: float) -> None:
    meter = EchoMeter()
    pcm = with_echo(CLEAN, 120, level_db) / 32_768.0
    for start in range(0, 80_000, 8_000):
        meter.push(pcm[start : start + 8_000])
    assert meter.level_db() == pytest.approx(level_db, abs=1.5)


def test_an_echo_that_stops_is_over() -> None:
    found = of("AUDIO_ECHO", changes(np.concatenate([with_echo(joined(AUSTEN), 250, -8.0), joined(AUSTEN)])))
    assert codes(found) == [("AUDIO_ECHO", True), ("AUDIO_ECHO", False)]


# --- silence ----------------------------------------------------------------------------------------------------------


def test_silence_begins_after_5_s_and_ends_with_sound() -> None:
    hush = as_pcm(noise(16_000 * 7, -60.0))
    murmur = as_pcm(noise(16_000 * 2, -45.0))
    sound = as_pcm(noise(16_000, -35.0))
    found = of("AUDIO_SILENCE", changes(np.concatenate([sound, hush, murmur, sound])))
    assert codes(found) == [("AUDIO_SILENCE", True), ("AUDIO_SILENCE", False)]
    assert found[0].end == 16_000 * 6
    assert found[0].value == pytest.approx(-60.0, abs=0.5)
    assert found[1].end == 16_000 * 10 + 8_000


def test_a_murmur_is_no_silence() -> None:
    assert changes(as_pcm(noise(160_000, -48.0))) == []


# --- restarts ---------------------------------------------------------------------------------------------------------


def test_a_successor_does_not_report_again() -> None:
    pcm = noisy(np.tile(CLEAN, 2), 10.0)
    first = Quality()
    assert codes(changes(pcm[:96_000], first)) == [("AUDIO_LOW_SNR", True)]
    assert changes(pcm[96_000:], Quality(state=first.state()), start=96_000) == []


def test_what_was_reported_after_the_snapshot_is_not_reported_again() -> None:
    second = Quality()
    second.on_reported("AUDIO_SILENCE", 6_000, active=True)
    second.on_reported("AUDIO_SILENCE", 10_000, active=False)
    assert changes(np.zeros(16_000 * 10, np.int16), second) == []
    assert codes(changes(np.zeros(16_000, np.int16), second, start=16_000 * 10)) == [("AUDIO_SILENCE", True)]
