from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import resample_poly

from local.polly import sound
from local.polly.sound import Samples

ESPEAK_HZ = 22_050


def tone(frequency_hz: float, seconds: float = 1.0, rate_hz: int = ESPEAK_HZ, amplitude: float = 0.5) -> Samples:
    return (amplitude * np.sin(2 * np.pi * frequency_hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(
        np.float32
    )


def level_db(samples: Samples) -> float:
    middle = samples[len(samples) // 10 : -len(samples) // 10]
    return 20 * float(np.log10(max(1e-9, np.sqrt(np.mean(middle.astype(float) ** 2)) / (0.5 / np.sqrt(2)))))


@pytest.mark.parametrize("to_hz", [8_000, 16_000])
@pytest.mark.parametrize("part", [0.02, 0.2, 0.5, 0.8])
def test_the_pass_band_is_flat_and_in_phase(to_hz: int, part: float) -> None:
    frequency_hz = part * to_hz / 2
    ours = sound.resample(tone(frequency_hz), ESPEAK_HZ, to_hz)
    wanted = tone(frequency_hz, rate_hz=to_hz)
    assert len(ours) == to_hz
    inner = slice(to_hz // 10, -to_hz // 10)
    assert float(np.max(np.abs(ours[inner] - wanted[inner]))) < 2e-3


@pytest.mark.parametrize("to_hz", [8_000, 16_000])
def test_nothing_folds_back(to_hz: int) -> None:
    """Tones from the new Nyquist frequency to the old one are at least 60 dB down."""
    for frequency_hz in np.linspace(to_hz / 2, ESPEAK_HZ / 2 - 50, 25):
        assert level_db(sound.resample(tone(frequency_hz), ESPEAK_HZ, to_hz)) < -60, frequency_hz


def test_agrees_with_scipy_on_noise_in_the_band() -> None:
    rng = np.random.default_rng(1)
    noise = resample_poly(rng.standard_normal(3_000), 22_050, 6_000).astype(np.float32) * 0.1
    ours = sound.resample(noise, ESPEAK_HZ, 16_000)
    theirs = resample_poly(noise, 320, 441, window=("kaiser", 9.0))
    assert len(ours) == len(theirs)
    assert np.sqrt(np.mean((ours[200:-200] - theirs[200:-200]) ** 2)) < 0.03 * np.sqrt(np.mean(theirs**2))


@pytest.mark.parametrize("count", [0, 1, 2, 440, 441, 442, 1000])
def test_lengths(count: int) -> None:
    assert len(sound.resample(np.ones(count, np.float32), ESPEAK_HZ, 16_000)) == -(-count * 320 // 441)


def test_the_same_rate_is_the_same() -> None:
    samples = tone(440)
    assert sound.resample(samples, 16_000, 16_000) is samples


def test_edges() -> None:
    samples = np.concatenate([np.zeros(2_000), 0.3 * np.ones(1_000), np.zeros(5_000)]).astype(np.float32)
    start, end = sound.edges(samples, 10_000)
    assert (start, end) == (1_900, 3_600)
    assert sound.edges(np.zeros(100, np.float32), 10_000) == (0, 0)
    assert sound.edges(np.ones(50, np.float32), 10_000) == (0, 50)


def test_gain_is_what_it_says() -> None:
    assert level_db(sound.amplify(tone(300), -12.0)) == pytest.approx(-12, abs=0.01)
    assert not sound.amplify(tone(300), None).any()


def test_the_limit_scales_and_never_bends() -> None:
    loud = tone(300, amplitude=3.0)
    limited = sound.limit(loud)
    assert float(np.max(np.abs(limited))) == pytest.approx(sound.CEILING, abs=1e-4)
    assert np.allclose(limited * (np.max(np.abs(loud)) / sound.CEILING), loud, atol=1e-5)
    quiet = tone(300)
    assert sound.limit(quiet) is quiet


@pytest.mark.parametrize("factor", [1.2, 1.7, 2.3])
def test_stretching_keeps_pitch_and_level(factor: float) -> None:
    samples = tone(150) + tone(450, amplitude=0.2)
    longer = sound.stretch(samples, factor, ESPEAK_HZ)
    assert len(longer) == int(len(samples) * factor)
    spectrum = np.abs(np.fft.rfft(longer[2_000:-2_000] * np.hanning(len(longer) - 4_000)))
    assert np.argmax(spectrum) * ESPEAK_HZ / (len(longer) - 4_000) == pytest.approx(150, abs=2)
    before, after = (float(np.sqrt(np.mean(x[2_000:-2_000] ** 2))) for x in (samples, longer))
    assert after == pytest.approx(before, rel=0.1)


def test_no_stretching_of_what_needs_none() -> None:
    samples = tone(150)
    assert sound.stretch(samples, 1.0, ESPEAK_HZ) is samples
    assert len(sound.stretch(samples[:100], 2.0, ESPEAK_HZ)) == 100


def test_pcm16_both_ways() -> None:
    pcm = np.array([-32768, -1, 0, 1, 32767], np.int16)
    assert np.array_equal(sound.to_pcm16(sound.from_pcm16(pcm)), pcm)
    assert np.array_equal(sound.to_pcm16(np.array([-2.0, 2.0], np.float32)), [-32768, 32767])


def test_mu_law() -> None:
    """Values of ITU-T G.711's tables: silence, the extremes, and both signs of a middle value."""
    assert sound.mu_law(np.array([0, 32767, -32768, 1000, -1000], np.int16)) == bytes([0xFF, 0x80, 0x00, 0xCE, 0x4E])


def test_a_law() -> None:
    assert sound.a_law(np.array([0, 32767, -32768, 1000, -1000], np.int16)) == bytes([0xD5, 0xAA, 0x2A, 0xFA, 0x7A])
