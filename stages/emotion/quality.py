"""The quality of the incoming audio: noise, clipping, echo, silence (row A5). Pure.

Every 500 ms of received audio the last 5 s are looked at; a measure that crosses its bound is reported once when it
begins and once when it is over. Gaps are passed over: what was lost on the way says nothing about the microphone.

- Signal-to-noise ratio: the mean power of the hops of 20 ms that stand out from the noise, over the noise, which is the
  power of the quietest 3 % of the hops. Needs speech: in steady sound there is nothing to compare, and nothing changes.
- Clipping: the share of samples at or above 98 % of full scale in any 100 ms.
- Echo: a copy of the voice, delayed and weaker, ripples the spectrum; in the cepstrum (the spectrum of the mean log
  spectrum) it stands as a peak at the delay, as high as the copy is strong. Windows of 2 s at 4 kHz.
- Silence: the level of each 500 ms.
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.media_clock import SAMPLES_PER_MS

Code: TypeAlias = Literal["AUDIO_LOW_SNR", "AUDIO_CLIPPING", "AUDIO_ECHO", "AUDIO_SILENCE"]
Floats: TypeAlias = NDArray[np.float64]

UPDATE_SAMPLES: Final = 500 * SAMPLES_PER_MS
UPDATES: Final = 10
"""5 s of them."""
DEFAULT_MIN_SNR_DB: Final = 20.0
SNR_MARGIN_DB: Final = 2.0
"""A low ratio is over when it is this much better than where it begins, so that it does not flicker."""
CLIPPED: Final = math.ceil(0.98 * 32_768)
MAX_CLIPPED_SHARE: Final = 0.01
CLIPPING_SAMPLES: Final = 100 * SAMPLES_PER_MS
MAX_ECHO_DB: Final = -15.0
ECHO_MARGIN_DB: Final = 2.0
MIN_ECHO_MS: Final = 10
MAX_ECHO_MS: Final = 500
SILENCE_DB: Final = -50.0
SOUND_DB: Final = -40.0

HOP_SAMPLES: Final = 20 * SAMPLES_PER_MS
NOISE_HOPS: Final = 8
"""Of the 250 hops of 5 s; even running speech has so many pauses and closures."""
NOISE_BIAS: Final = 1.21
"""The mean of the quietest 3 % of hops of white noise lies 0.8 dB below its power."""
STANDS_OUT: Final = 3.0
"""A hop with 3 times the power of the noise, 5 dB, is signal."""
MIN_SIGNAL_SHARE: Final = 0.04
"""Less signal than 200 ms in 5 s is a cough."""

ECHO_DECIMATION: Final = 4
ECHO_RATE_PER_MS: Final = SAMPLES_PER_MS // ECHO_DECIMATION
ECHO_WINDOW: Final = 8_192
"""2.048 s at 4 kHz: four times the longest echo."""
ECHO_WINDOWS: Final = 7
"""One per update: 5 s in all."""
MIN_ECHO_WINDOWS: Final = 4
ECHO_FLOOR: Final = 8e-7
"""Added to the power spectrum of a window: below what 16 bits resolve."""
_HANN: Final = np.hanning(ECHO_WINDOW)
_LAGS: Final = np.arange(MIN_ECHO_MS * ECHO_RATE_PER_MS, MAX_ECHO_MS * ECHO_RATE_PER_MS + 1)
_SHARE_IN_WINDOW: Final = 1.0 - _LAGS / ECHO_WINDOW
"""Of a delayed copy, the part whose original lies in the window too."""


class Change(NamedTuple):
    """A measure has crossed its bound, at this sample of the media clock. value, threshold: dB, or share of samples."""

    code: Code
    active: bool
    value: float
    threshold: float
    end: int


class QualityState(msgspec.Struct):
    """What a snapshot keeps. active: which are on. reported_ms: by code, where the last report was."""

    active: list[Code] = []
    reported_ms: dict[Code, int] = {}


class Quality:
    """One session's audio, given in order."""

    def __init__(self, min_snr_db: float = DEFAULT_MIN_SNR_DB, state: QualityState | None = None) -> None:
        state = state or QualityState()
        self._min_snr_db = min_snr_db
        self._active: set[Code] = set(state.active)
        self._reported_ms: dict[Code, int] = dict(state.reported_ms)
        self._rest: NDArray[np.int16] = np.empty(0, np.int16)
        self._hop_powers: deque[Floats] = deque(maxlen=UPDATES)
        self._levels_db: deque[float] = deque(maxlen=UPDATES)
        self._clipped_shares: deque[float] = deque(maxlen=UPDATES)
        self._echo = EchoMeter()

    def state(self) -> QualityState:
        """What a snapshot keeps. The last 5 s are not in it: they are measured anew."""
        return QualityState(sorted(self._active), dict(self._reported_ms))

    def on_reported(self, code: Code, media_ms: int, *, active: bool) -> None:
        """Learn what had been reported; no change up to there is reported again."""
        self._note(code, media_ms, active=active)

    def feed(self, start: int, samples: NDArray[np.int16]) -> Iterator[Change]:
        """Take the samples that begin at this place of the media clock."""
        end = start + len(samples)
        self._rest = np.concatenate([self._rest, samples])
        while len(self._rest) >= UPDATE_SAMPLES:
            update, self._rest = self._rest[:UPDATE_SAMPLES], self._rest[UPDATE_SAMPLES:]
            yield from self._update(update, end - len(self._rest))

    def _update(self, samples: NDArray[np.int16], end: int) -> Iterator[Change]:
        loud = (samples >= CLIPPED) | (samples <= -CLIPPED)
        self._clipped_shares.append(float(loud.reshape(-1, CLIPPING_SAMPLES).mean(axis=1).max()))
        scaled = samples / 32_768.0
        powers = np.square(scaled).reshape(-1, HOP_SAMPLES).mean(axis=1)
        self._hop_powers.append(powers)
        self._levels_db.append(_db(float(powers.mean())))
        self._echo.push(scaled)
        yield from self._judge_snr(end)
        yield from self._judge_clipping(end)
        yield from self._judge_echo(end)
        yield from self._judge_silence(end)

    def _judge_snr(self, end: int) -> Iterator[Change]:
        if len(self._hop_powers) < UPDATES:
            return
        snr_db = signal_to_noise_db(np.concatenate(self._hop_powers))
        if snr_db is not None:
            bound_db = self._min_snr_db
            over = snr_db > bound_db + SNR_MARGIN_DB
            yield from self._change("AUDIO_LOW_SNR", snr_db < bound_db, over, snr_db, bound_db, end)

    def _judge_clipping(self, end: int) -> Iterator[Change]:
        share = self._clipped_shares[-1]
        over = len(self._clipped_shares) == UPDATES and max(self._clipped_shares) <= MAX_CLIPPED_SHARE
        yield from self._change("AUDIO_CLIPPING", share > MAX_CLIPPED_SHARE, over, share, MAX_CLIPPED_SHARE, end)

    def _judge_echo(self, end: int) -> Iterator[Change]:
        echo_db = self._echo.level_db()
        if echo_db is not None:
            over = echo_db < MAX_ECHO_DB - ECHO_MARGIN_DB
            yield from self._change("AUDIO_ECHO", echo_db > MAX_ECHO_DB, over, echo_db, MAX_ECHO_DB, end)

    def _judge_silence(self, end: int) -> Iterator[Change]:
        begins = len(self._levels_db) == UPDATES and max(self._levels_db) < SILENCE_DB
        level_db = self._levels_db[-1]
        threshold = SOUND_DB if level_db > SOUND_DB else SILENCE_DB
        yield from self._change("AUDIO_SILENCE", begins, level_db > SOUND_DB, level_db, threshold, end)

    def _change(
        self, code: Code, begins: bool, over: bool, value: float, threshold: float, end: int
    ) -> Iterator[Change]:
        is_active = code in self._active
        media_ms = end // SAMPLES_PER_MS
        if media_ms <= self._reported_ms.get(code, -1) or not (over if is_active else begins):
            return
        self._note(code, media_ms, active=not is_active)
        yield Change(code, not is_active, value, threshold, end)

    def _note(self, code: Code, media_ms: int, *, active: bool) -> None:
        self._reported_ms[code] = media_ms
        if active:
            self._active.add(code)
        else:
            self._active.discard(code)


def signal_to_noise_db(hop_powers: Floats) -> float | None:
    """The ratio of the signal's mean power to the noise's, from the powers of 250 hops of 20 ms, shape (250,).

    None where nothing, or too little, stands out. With white noise added to clean speech so that the true ratio is 5 to
    25 dB it reads within 2 dB; where running speech has hardly a pause, up to 4 dB low. Below 5 dB it reads high.
    """
    noise = max(float(np.sort(hop_powers)[:NOISE_HOPS].mean()) * NOISE_BIAS, 1e-10)
    signal = hop_powers[hop_powers > STANDS_OUT * noise]
    if len(signal) < MIN_SIGNAL_SHARE * len(hop_powers) or _db(float(signal.mean())) < SILENCE_DB:
        return None
    return _db((float(signal.mean()) - noise) / noise)


class EchoMeter:
    """The strongest echo of the last 5 s."""

    def __init__(self) -> None:
        self._samples: Floats = np.empty(0)  # at 4 kHz
        self._spectra: deque[Floats | None] = deque(maxlen=ECHO_WINDOWS)  # log power; None: too quiet to say

    def push(self, samples: Floats) -> None:
        """Take 500 ms, in -1..1."""
        # A mean of four is a poor low-pass filter, but an echo survives aliasing, and it costs nothing.
        slow = samples.reshape(-1, ECHO_DECIMATION).mean(axis=1)
        self._samples = np.concatenate([self._samples, slow])[-ECHO_WINDOW:]
        if len(self._samples) < ECHO_WINDOW:
            return
        if _db(float(np.square(self._samples).mean())) < SILENCE_DB:
            self._spectra.append(None)
            return
        spectrum = np.fft.rfft(self._samples * _HANN)
        self._spectra.append(np.log(spectrum.real**2 + spectrum.imag**2 + ECHO_FLOOR))

    def level_db(self) -> float | None:
        """The echo's level against its original, within 1 dB for -6 to -15 dB; None before there is enough speech.

        Of clean speech it reads -15.5 dB at the most, at 10 ms, where the pitch of a deep voice begins; -20 otherwise.
        """
        spectra = [spectrum for spectrum in self._spectra if spectrum is not None]
        if len(spectra) < MIN_ECHO_WINDOWS:
            return None
        cepstrum = np.fft.irfft(np.mean(spectra, axis=0))
        strongest = float((cepstrum[_LAGS] / _SHARE_IN_WINDOW).max())
        return 20.0 * math.log10(max(strongest, 1e-5))


def _db(power: float) -> float:
    return 10.0 * math.log10(max(power, 1e-10))
