"""eSpeak NG by `ctypes`: text in, samples at 22,050 Hz and the places of words out.

The library is one global state: not thread safe, and what it spoke before changes what it says next, by a few
samples. Whoever wants equal bytes forks a fresh process per request.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Final

import espeakng_loader
import numpy as np
import numpy.typing as npt

NORMAL_WPM: Final = 175
"""eSpeak's default speed, in words per minute."""
MIN_WPM: Final = 80
MAX_WPM: Final = 450
"""eSpeak's own bounds; below 80 it stays at 80."""

_SYNCHRONOUS: Final = 2
_DONT_EXIT: Final = 0x8000
_UTF8: Final = 1
_RATE, _VOLUME, _PITCH = 1, 2, 3
_VOLUME_SAFE: Final = 50
"""At the default of 100, eSpeak clips loud vowels; the gain is ours."""
_EVENT_END, _EVENT_WORD = 0, 1
_MAX_PATH_BYTES: Final = 150
"""eSpeak keeps its data path in a fixed buffer and cuts longer ones off."""


class EspeakError(Exception):
    """The library refused; the message says what was asked, never the text."""


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class Speech:
    """What eSpeak said: int16 samples, shape (n,), and (first character, characters, first sample) per word."""

    pcm: npt.NDArray[np.int16]
    words: tuple[tuple[int, int, int], ...]


class Espeak:
    """The library, loaded. One per process. Raises `EspeakError`."""

    def __init__(self) -> None:
        data = espeakng_loader.get_data_path()
        if len(data.encode()) > _MAX_PATH_BYTES:
            raise EspeakError(f"eSpeak cannot use a data path of over {_MAX_PATH_BYTES} bytes; install nearer the root")
        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self._lib.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        self._lib.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        self._lib.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        self._lib.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        self._lib.espeak_Synth.argtypes = [
            *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int),
            *(ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
        ]
        self.rate_hz: int = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT)
        if self.rate_hz <= 0:
            raise EspeakError("eSpeak's data cannot be read")
        self._lib.espeak_ng_SetRandSeed(1)  # its own choice is the time of day, which every run would hear
        self._chunks: list[bytes] = []
        self._words: list[tuple[int, int, int]] = []
        self._callback = _Callback(self._heard)  # the library keeps only a pointer: this must live as long
        self._lib.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: str, wpm: int, pitch: int) -> Speech:
        """Speak plain text. `wpm` is `MIN_WPM` to `MAX_WPM`, `pitch` 0 to 99 with 50 normal."""
        self._chunks.clear()
        self._words.clear()
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EspeakError(f"eSpeak has no voice {voice}")
        self._lib.espeak_SetParameter(_RATE, wpm, 0)
        self._lib.espeak_SetParameter(_VOLUME, _VOLUME_SAFE, 0)
        self._lib.espeak_SetParameter(_PITCH, pitch, 0)
        data = text.replace("\0", " ").encode("utf-8", errors="replace") + b"\0"
        if self._lib.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None) != 0:
            raise EspeakError("eSpeak refused to speak")
        self._lib.espeak_Synchronize()
        return Speech(np.frombuffer(b"".join(self._chunks), "<i2"), tuple(self._words))

    def _heard(self, wave: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
        if wave and count > 0:
            self._chunks.append(ctypes.string_at(wave, count * 2))
        i = 0
        while events[i].type != _EVENT_END:
            if events[i].type == _EVENT_WORD:
                at = events[i].audio_position * self.rate_hz // 1000
                self._words.append((events[i].text_position - 1, events[i].length, at))
            i += 1
        return 0
