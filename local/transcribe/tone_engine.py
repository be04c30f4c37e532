"""The tone engine: numbered words (`local.tones`) behind the service's protocol, with the habits of a recogniser.

What was said is known exactly, so the habits that make a recogniser hard to follow are put on, by a seeded rule: the
last words of a partial result are wrong or missing until they have settled, utterances close on pauses, a result
spans at most 30 s.
"""

from __future__ import annotations

import uuid
from binascii import crc32
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from local.tones import NUMBERS, DecodedWord, Decoder, text_of
from local.transcribe.engine import MAX_RESULT_MS, MIN_PAUSE_MS, PARTIAL_EVERY_MS, EngineFull
from local.transcribe.request import LANGUAGE_CODES, Stability, StreamRequest
from local.transcribe.results import Result, Word

UNSETTLED_WORDS = 2
"""So many words at the end of a partial may be wrong or missing."""
HELD_BACK: dict[Stability | None, int] = {"high": 2, "medium": 3, "low": 4, None: 2}
"""How many words at a partial's end are not flagged stable, by the stability asked for; never fewer than unsettled."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How unlike a perfect recogniser it behaves. Shares are 0 to 1."""

    seed: int = 0
    unsettled: float = 0.6
    """The share of a partial's last words that are wrong or missing."""
    contradicted: float = 0.0
    """The share of words that are first flagged stable while wrong, as the service promises never to: for tests."""


class ToneEngine:
    """Up to ``max_streams`` recognisers in this process; each costs about a ten-thousandth of a core."""

    language_codes = LANGUAGE_CODES

    def __init__(self, habits: Habits, max_streams: int = 1000) -> None:
        self._habits = habits
        self._max_streams = max_streams
        self._open = 0

    async def open(self, request: StreamRequest) -> ToneRecogniser:
        """A recogniser for one stream. Raises `EngineFull`."""
        if self._open >= self._max_streams:
            raise EngineFull(f"The tone engine is full: {self._max_streams} streams are open, which is its bound.")
        self._open += 1
        return ToneRecogniser(self._habits, request, self._leave)

    async def close(self) -> None:
        """Nothing to end."""

    def _leave(self) -> None:
        self._open -= 1


class ToneRecogniser:
    """Hears one stream. Finals depend on the sound alone, not on the pieces in which it comes."""

    def __init__(self, habits: Habits, request: StreamRequest, on_close: Callable[[], None]) -> None:
        self._habits = habits
        self._held_back = HELD_BACK[request.stability]
        self._session_id = uuid.UUID(request.session_id)
        self._on_close = on_close
        self._decoder = Decoder()
        self._said: list[DecodedWord] = []
        self._utterances = 0
        self._partials = 0
        self._last_partial_ms = 0

    async def feed(self, pcm: bytes) -> Sequence[Result]:
        """Hear more; see `local.transcribe.engine.Recogniser`."""
        results = []
        for word in self._decoder.feed(pcm):
            if self._said and self._closes_before(word):
                results.append(self._final())
            self._said.append(word)
        if self._said:
            results.extend(self._progress())
        return results

    async def finish(self) -> Sequence[Result]:
        """Close what is open."""
        return [self._final()] if self._said else []

    def close(self) -> None:
        """Give the place back."""
        self._on_close()

    def _closes_before(self, word: DecodedWord) -> bool:
        paused = word.start_ms - self._said[-1].end_ms >= MIN_PAUSE_MS
        return paused or word.end_ms - self._said[0].start_ms > MAX_RESULT_MS

    def _progress(self) -> Sequence[Result]:
        heard_ms = self._decoder.heard_ms
        last_end_ms = self._said[-1].end_ms
        sounding_ms = self._decoder.sounding_since_ms
        silent_from_ms = heard_ms if sounding_ms is None else sounding_ms
        if silent_from_ms - last_end_ms >= MIN_PAUSE_MS:
            return [self._final()]
        if heard_ms - self._last_partial_ms < PARTIAL_EVERY_MS:
            return []
        self._last_partial_ms = heard_ms
        words = self._unsettled_words()
        self._partials += 1
        if not words:
            return []
        return [Result(self._result_id(), words[0].start_ms, words[-1].end_ms, is_partial=True, words=words)]

    def _final(self) -> Result:
        words = tuple(Word(text_of(said.number), said.start_ms, said.end_ms, 1.0, stable=True) for said in self._said)
        result = Result(self._result_id(), words[0].start_ms, words[-1].end_ms, is_partial=False, words=words)
        self._said = []
        self._utterances += 1
        self._partials = 0
        return result

    def _unsettled_words(self) -> tuple[Word, ...]:
        words = []
        for i, said in enumerate(self._said):
            from_end = len(self._said) - i
            stable = from_end > self._held_back
            number = said.number
            if from_end <= UNSETTLED_WORDS and self._chance("unsettled", said, self._partials) < self._habits.unsettled:
                if self._chance("missing", said, self._partials) < 0.5:
                    continue
                number = self._misheard(said)
            elif from_end == self._held_back + 1 and self._chance("contradicted", said) < self._habits.contradicted:
                number = self._misheard(said)
            words.append(Word(text_of(number), said.start_ms, said.end_ms, 1.0, stable))
        return tuple(words)

    def _misheard(self, said: DecodedWord) -> int:
        return (said.number + 1 + int(self._chance("misheard", said, self._partials) * (NUMBERS - 1))) % NUMBERS

    def _chance(self, what: str, said: DecodedWord, *more: int) -> float:
        """A number from 0 to 1 that the seed, the word and where it stands decide."""
        return crc32(repr((self._habits.seed, what, said.number, said.start_ms, *more)).encode()) / 2**32

    def _result_id(self) -> str:
        return str(uuid.uuid5(self._session_id, str(self._utterances)))
