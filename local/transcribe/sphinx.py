"""PocketSphinx as a streaming recogniser: speech found in a stream, decoded as it comes, words with times.

Runs in a worker process, because the decoder holds the interpreter's lock. No I/O here.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence

import pocketsphinx

from local.transcribe.engine import MAX_RESULT_MS, MIN_PAUSE_MS, PARTIAL_EVERY_MS
from local.transcribe.request import SAMPLE_RATE_HZ, Stability
from local.transcribe.results import Result, Word
from local.transcribe.stabiliser import RULES, Stabiliser

DECODER_SETTINGS = {"samprate": SAMPLE_RATE_HZ, "fwdflat": False, "maxhmmpf": 3000, "maxwpf": 10, "loglevel": "FATAL"}
"""Without the second pass and with narrower beams: fewer errors on read speech, and a tenth of a core per stream."""
PRE_ROLL_MS = 300
"""How much sound from before the detected start of speech is decoded with it, so that no word's onset is cut."""
CUT_BACK_MS = 500
"""Where speech has no pause, a result ends with a word that ended so long ago: the decoder is sure of its end."""

_FRAME_MS = 10  # PocketSphinx decodes 100 frames a second
_BYTES_PER_MS = SAMPLE_RATE_HZ * 2 // 1000
_WINDOW_MS = 300
_KEPT_MS = 3000
_VARIANT = re.compile(r"\(\d+\)$")


def new_decoder() -> pocketsphinx.Decoder:
    """A decoder with its US-English model: 0.3 to 1 s and 90 MB."""
    return pocketsphinx.Decoder(**DECODER_SETTINGS)


def words_of(decoder: pocketsphinx.Decoder, start_ms: int) -> list[Word]:
    """The decoder's hypothesis without silences and noises; times from ``start_ms``, where its utterance began."""
    words = []
    for segment in decoder.seg() or ():
        if segment.word[0] in "<[+":
            continue
        words.append(
            Word(
                text=_VARIANT.sub("", segment.word),
                start_ms=start_ms + segment.start_frame * _FRAME_MS,
                end_ms=start_ms + (segment.end_frame + 1) * _FRAME_MS,
                confidence=min(1.0, max(0.0, segment.prob)),
            )
        )
    return words


class SphinxRecogniser:
    """Hears one stream with a decoder that it has to itself until it is done."""

    def __init__(
        self, decoder: pocketsphinx.Decoder, initial_mean: str, session_id: str, stability: Stability | None
    ) -> None:
        # A new speaker: back to the model's cepstral mean. Within the stream it adapts and is kept.
        decoder.set_cmn(initial_mean)
        self._decoder = decoder
        self._session_id = uuid.UUID(session_id)
        self._rule = None if stability is None else RULES[stability]
        self._endpointer = pocketsphinx.Endpointer(
            window=_WINDOW_MS / 1000, vad_mode=pocketsphinx.Vad.LOOSE, sample_rate=SAMPLE_RATE_HZ
        )
        self._frame_bytes: int = self._endpointer.frame_bytes
        self._unframed = b""
        self._kept = bytearray()
        """The last seconds of sound, up to what is heard."""
        self._heard_bytes = 0
        self._undecoded = bytearray()
        self._closed_to_ms = 0
        self._utterances = 0
        self._open = False

    def feed(self, pcm: bytes) -> Sequence[Result]:
        """Hear more; PCM16LE, whole samples."""
        results: list[Result] = []
        self._unframed += pcm
        while len(self._unframed) >= self._frame_bytes:
            frame, self._unframed = self._unframed[: self._frame_bytes], self._unframed[self._frame_bytes :]
            self._endpointer.process(frame)
            self._keep(frame)
            if self._open:
                self._undecoded += frame
                results += self._advance()
            elif self._endpointer.in_speech:
                speech_ms = round(self._endpointer.speech_start * 1000)
                self._begin(max(speech_ms - PRE_ROLL_MS, self._closed_to_ms))
        if self._open:
            results += self._partial()
        return results

    def finish(self) -> Sequence[Result]:
        """The audio is over: close what is open."""
        if not self._open:
            return []
        self._undecoded += self._unframed
        return self._final()

    def abandon(self) -> None:
        """Leave the decoder ready for another stream."""
        if self._open:
            self._decoder.end_utt()
            self._open = False

    @property
    def _heard_ms(self) -> int:
        return self._heard_bytes // _BYTES_PER_MS

    def _keep(self, frame: bytes) -> None:
        self._kept += frame
        self._heard_bytes += len(frame)
        excess = len(self._kept) - _KEPT_MS * _BYTES_PER_MS
        if excess > 0:
            del self._kept[:excess]

    def _begin(self, start_ms: int) -> None:
        """Open an utterance at a time that is past, with what is kept since then."""
        kept_from_ms = (self._heard_bytes - len(self._kept)) // _BYTES_PER_MS
        self._start_ms = max(start_ms, kept_from_ms)
        self._undecoded = self._kept[(self._start_ms - kept_from_ms) * _BYTES_PER_MS :]
        self._speech_to_ms = self._heard_ms
        self._last_partial_ms = self._heard_ms
        self._stabiliser = Stabiliser(self._rule)
        self._decoder.start_utt()
        self._open = True

    def _advance(self) -> Sequence[Result]:
        """Close the utterance where it is time to."""
        if self._endpointer.in_speech:
            self._speech_to_ms = self._heard_ms
        # The endpointer says "silence" a window late.
        elif self._heard_ms - self._speech_to_ms >= MIN_PAUSE_MS - _WINDOW_MS:
            return self._final()
        if self._heard_ms - self._start_ms >= MAX_RESULT_MS:
            return self._cut()
        return []

    def _partial(self) -> Sequence[Result]:
        self._decode()
        if self._heard_ms - self._last_partial_ms < PARTIAL_EVERY_MS:
            return []
        self._last_partial_ms = self._heard_ms
        words = self._stabiliser.partial(words_of(self._decoder, self._start_ms), self._heard_ms)
        return self._results(words, is_partial=True)

    def _final(self) -> Sequence[Result]:
        words = self._stabiliser.final(self._end_utterance())
        self._closed_to_ms = self._heard_ms
        return self._close(words)

    def _cut(self) -> Sequence[Result]:
        """Close an utterance that has no pause, behind a word; what follows the word opens the next one."""
        words = self._stabiliser.final(self._end_utterance())
        sure = [word for word in words if word.end_ms <= self._heard_ms - CUT_BACK_MS]
        cut_ms = sure[-1].end_ms if sure else self._heard_ms
        results = self._close(tuple(sure))
        self._begin(cut_ms)
        return results

    def _close(self, words: tuple[Word, ...]) -> Sequence[Result]:
        results = self._results(words, is_partial=False)
        self._utterances += 1
        return results

    def _end_utterance(self) -> list[Word]:
        self._decode()
        self._decoder.end_utt()
        self._open = False
        return words_of(self._decoder, self._start_ms)

    def _decode(self) -> None:
        if self._undecoded:
            self._decoder.process_raw(bytes(self._undecoded))
            self._undecoded.clear()

    def _results(self, words: tuple[Word, ...], *, is_partial: bool) -> Sequence[Result]:
        if not words:
            return []
        result_id = str(uuid.uuid5(self._session_id, str(self._utterances)))
        return [Result(result_id, words[0].start_ms, words[-1].end_ms, is_partial, words)]
