"""Numbered words coded as tones in PCM, and read back without error at a tiny cost.

With real speech nobody can say whether a missing word was lost by the system or misheard. A tone word is heard
exactly or not at all, and carries a number, so that a test accounts for every word, and a hundred sessions fit a
laptop. Sound is 16 kHz mono PCM16, times are milliseconds; pure, deterministic.

A word is `SYMBOLS` symbols of one pure tone each: a start tone that nothing else uses, nine symbols of four bits
(20 bits of number, then 16 of checksum), an end tone. Between words is silence, of any length from `MIN_GAP_MS`::

    silence | START  n n n n n  c c c c  END | silence

A fragment lacks its start or its end, two joined halves fail the checksum, noise has no pure tone: none is a word.
Single tones keep their shape at any level, even clipped. As text, word 123 is ``w000123``: one token of letters and
digits, which machine translation leaves as it is.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
NUMBERS = 1_000_000
"""Words are numbered 0 to ``NUMBERS - 1``."""
WORD_MS = 297
GAP_MS = 60
MIN_GAP_MS = 20
PEAK = 8192
"""The amplitude at level 0 dB: -12 dBFS, about that of speech. +6 dB does not clip and -12 dB is far above noise."""

_DATA_SYMBOLS = 9
SYMBOLS = _DATA_SYMBOLS + 2
_START, _END = 16, 17
_TONES_HZ = 500.0 + 125.0 * np.arange(18)
"""18 tones; 125 Hz apart they stay orthogonal over the 16 ms that `Decoder` looks at in a symbol of 27 ms or 20 ms."""

_PER_MS = SAMPLE_RATE_HZ // 1000
_SILENCE = 256
"""Samples below this are silence: a thirty-second of `PEAK`, a quarter of the amplitude at -18 dB."""
_SILENT_RUN = 8 * _PER_MS
"""So much silence ends a tone: longer than half a period of the lowest tone by far, shorter than `MIN_GAP_MS`."""
_RAMP = 1 * _PER_MS
_TAIL = 2 * _PER_MS
"""A word's last sound is looked for here, so nobody can miss more than this of its beginning and hear it still."""
_PURITY = 0.6
"""The least share of a symbol's energy that one tone must have: 1 for a sine, 0.81 for one clipped to a square."""
_TEXT = re.compile(r"[wW](\d{6})")

Pcm = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class DecodedWord:
    """A word that was heard whole; times in milliseconds from the first sample that the decoder was given."""

    number: int
    start_ms: int
    end_ms: int


def text_of(number: int) -> str:
    """How a word is written: ``w000123``."""
    _check(number)
    return f"w{number:06d}"


def number_of(text: str) -> int | None:
    """The number of a written word (a capital W too), or None when it is none."""
    match = _TEXT.fullmatch(text)
    return int(match[1]) if match else None


def numbers_in(text: str) -> list[int]:
    """The numbers of all words in a text, in order, whatever stands between them."""
    return [int(digits) for digits in re.findall(rf"\b{_TEXT.pattern}\b", text)]


def encode_word(number: int, *, word_ms: int = WORD_MS, level_db: float = 0.0) -> Pcm:
    """One word's sound, ``word_ms`` long, no silence around it. Raises ``ValueError`` for what can't be coded."""
    _check(number)
    length = _symbol_length(word_ms)
    frequencies = np.repeat(_TONES_HZ[_symbols(number)], length)
    # One phase for the whole word: no jump, so no click, where the tone changes.
    phase = 2 * np.pi * np.cumsum(frequencies) / SAMPLE_RATE_HZ
    sound = PEAK * 10 ** (level_db / 20) * np.sin(phase)
    ramp = np.linspace(0.25, 1.0, _RAMP)
    sound[:_RAMP] *= ramp
    sound[-_RAMP:] *= ramp[::-1]
    padded = np.zeros(word_ms * _PER_MS)
    padded[: len(sound)] = sound
    return np.clip(np.rint(padded), -32768, 32767).astype(np.int16)


def encode(
    words: Sequence[int],
    *,
    word_ms: int = WORD_MS,
    gap_ms: int = GAP_MS,
    lead_ms: int = 0,
    tail_ms: int = 0,
    level_db: float = 0.0,
) -> Pcm:
    """One utterance's sound: words with ``gap_ms`` of silence between, and silence before and after. int16, mono."""
    script = Script([words], word_ms=word_ms, gap_ms=gap_ms, pauses_ms=(), lead_ms=lead_ms, tail_ms=tail_ms)
    return script.render(level_db=level_db)


class Script:
    """What will be said and when: utterances (groups of words) with pauses between them.

    ``pauses_ms`` has one pause between two utterances each, used over and over when they are fewer (none: 1,000 ms).
    A pause of 500 ms and more makes a recogniser close the utterance.
    """

    def __init__(
        self,
        utterances: Sequence[Sequence[int]],
        *,
        word_ms: int = WORD_MS,
        gap_ms: int = GAP_MS,
        pauses_ms: Sequence[int] = (1000,),
        lead_ms: int = 200,
        tail_ms: int = 1000,
    ) -> None:
        if gap_ms < MIN_GAP_MS:
            raise ValueError(f"gap_ms is {gap_ms}, and words need {MIN_GAP_MS} ms of silence between them")
        _symbol_length(word_ms)
        self._word_ms = word_ms
        self.utterances: list[list[DecodedWord]] = []
        """The words of each utterance, with the times at which a decoder will hear them."""
        at = lead_ms
        for i, numbers in enumerate(utterances):
            if i:
                at += (pauses_ms[(i - 1) % len(pauses_ms)] if pauses_ms else 1000) - gap_ms
            said = []
            for number in numbers:
                said.append(DecodedWord(number, at, at + word_ms))
                at += word_ms + gap_ms
            self.utterances.append(said)
        spoken_to = max((word.end_ms for word in self.words), default=lead_ms)
        self.duration_ms = spoken_to + tail_ms

    @property
    def words(self) -> list[DecodedWord]:
        """All words in order."""
        return [word for said in self.utterances for word in said]

    def render(self, *, level_db: float = 0.0) -> Pcm:
        """The whole script's sound, int16, mono, 16 kHz, ``duration_ms`` long."""
        sound = np.zeros(self.duration_ms * _PER_MS, np.int16)
        for word in self.words:
            coded = encode_word(word.number, word_ms=self._word_ms, level_db=level_db)
            sound[word.start_ms * _PER_MS :][: len(coded)] = coded
        return sound


class Decoder:
    """Hears words in PCM that comes in pieces of any size. ``word_ms`` must be the encoder's."""

    def __init__(self, *, word_ms: int = WORD_MS) -> None:
        self._word_ms = word_ms
        self._symbol = _symbol_length(word_ms)
        self._length = self._symbol * SYMBOLS
        inner = min(self._symbol, 16 * _PER_MS)
        self._inner = slice((self._symbol - inner) // 2, (self._symbol - inner) // 2 + inner)
        angle = 2 * np.pi * np.outer(np.arange(inner), _TONES_HZ) / SAMPLE_RATE_HZ
        self._probe = np.hstack([np.cos(angle), np.sin(angle)]).astype(np.float32)
        self._buffer = np.zeros(0, np.int16)
        self._at = 0
        self._skipping = False
        self._odd = b""

    @property
    def heard_ms(self) -> int:
        """How much sound it was given."""
        return (self._at + len(self._buffer)) // _PER_MS

    @property
    def sounding_since_ms(self) -> int | None:
        """When the sound began that may yet become a word; None in silence."""
        return None if self._skipping or not len(self._buffer) else self._at // _PER_MS

    def feed(self, pcm: bytes | Pcm) -> list[DecodedWord]:
        """The words that end in this piece of sound (bytes are PCM16LE; a byte left over waits for its other half)."""
        if isinstance(pcm, bytes):
            pcm = self._odd + pcm
            whole = len(pcm) & ~1
            self._odd, pcm = pcm[whole:], np.frombuffer(pcm[:whole], "<i2")
        self._buffer = np.concatenate([self._buffer, pcm]) if len(self._buffer) else np.array(pcm, np.int16)
        words: list[DecodedWord] = []
        while len(self._buffer):
            if self._skipping:
                if not self._skip_to_silence():
                    break
            elif not self._skip_to_sound() or len(self._buffer) < self._length:
                break
            else:
                number = self._read()
                if number is None:
                    self._skipping = True
                    continue
                start_ms = round(self._at / _PER_MS)
                words.append(DecodedWord(number, start_ms, start_ms + self._word_ms))
                self._drop(self._length)
        return words

    def _skip_to_sound(self) -> bool:
        loud = _loud(self._buffer)
        first = int(loud.argmax())
        if not loud[first]:
            self._drop(len(self._buffer))
            return False
        self._drop(first)
        return True

    def _skip_to_silence(self) -> bool:
        """Drop what can't become a word any more, up to a silence. False when none has come yet."""
        last = np.flatnonzero(_loud(self._buffer))
        edges = np.concatenate([[-1], last, [len(self._buffer)]])
        runs = np.flatnonzero(np.diff(edges) > _SILENT_RUN)
        if not len(runs):
            self._drop(int(edges[-2]) + 1)
            return False
        self._drop(int(edges[runs[0]]) + 1)
        self._skipping = False
        return True

    def _read(self) -> int | None:
        """The number of the word that begins at the buffer's start, or None."""
        if not _loud(self._buffer[self._length - _TAIL : self._length]).any():
            return None  # it is silent before a whole word is over: the word's beginning is missing
        symbols = self._buffer[: self._length].reshape(SYMBOLS, self._symbol)[:, self._inner].astype(np.float32)
        parts = symbols @ self._probe
        tones = len(_TONES_HZ)
        energy = parts[:, :tones] ** 2 + parts[:, tones:] ** 2
        best = energy.argmax(axis=1)
        # A sine's energy shows up in one tone as (n/2) times its energy in time.
        total = (symbols**2).sum(axis=1) * (symbols.shape[1] / 2)
        if (energy.max(axis=1) < _PURITY * total).any() or best[0] != _START or best[-1] != _END:
            return None
        return _number(best[1:-1].tolist())

    def _drop(self, samples: int) -> None:
        self._buffer = self._buffer[samples:]
        self._at += samples


def _loud(sound: Pcm) -> NDArray[np.bool_]:
    return (sound >= _SILENCE) | (sound <= -_SILENCE)


def _check(number: int) -> None:
    if not 0 <= number < NUMBERS:
        raise ValueError(f"word numbers are 0 to {NUMBERS - 1}, not {number}")


def _symbol_length(word_ms: int) -> int:
    length = word_ms * _PER_MS // SYMBOLS
    if length < 18 * _PER_MS:
        raise ValueError(f"word_ms is {word_ms}, and {SYMBOLS} symbols of 18 ms are the least")
    return length


def _symbols(number: int) -> list[int]:
    coded = number << 16 | _checksum(number)
    data = [coded >> 4 * i & 15 for i in reversed(range(_DATA_SYMBOLS))]
    return [_START, *data, _END]


def _number(symbols: Iterable[int]) -> int | None:
    coded = 0
    for symbol in symbols:
        if symbol >= _START:
            return None
        coded = coded << 4 | symbol
    number, checksum = coded >> 16, coded & 0xFFFF
    return number if number < NUMBERS and checksum == _checksum(number) else None


def _checksum(number: int) -> int:
    return crc_hqx(number.to_bytes(3, "big"), 0xFFFF)
