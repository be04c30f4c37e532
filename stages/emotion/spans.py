"""Hops become spans: half seconds of the media clock, with what is speech in them (rows E1, E3). Pure.

Spans end at whole half seconds; the first and last of a stretch of audio may be shorter. Hops lie on a grid of 10 ms of
the media clock, and audio is measured in blocks that end on its whole 100 ms, so the figures depend neither on the
lengths of the chunks nor on where a restarted reader began.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.emotion.engine import HOP_SAMPLES, MIN_FLOOR, WINDOW_SAMPLES, Engine, EngineFactory, Floats, Hops
from streams.media_clock import SAMPLES_PER_MS
from streams.records import NEUTRAL

SPAN_SAMPLES: Final = 500 * SAMPLES_PER_MS
BLOCK_SAMPLES: Final = 100 * SAMPLES_PER_MS
HOP_MS: Final = HOP_SAMPLES // SAMPLES_PER_MS
FULL_SCALE: Final = 32_768.0

LISTENING_SAMPLES: Final = 3_000 * SAMPLES_PER_MS
"""So much of the past says how loud the voice is and how loud the room."""
BELOW_PEAK: Final = 10.0 ** (-25.0 / 10.0)
"""Speech is what is less than 25 dB below the loudest hop of the past: vowels, and most consonants."""
ABOVE_FLOOR: Final = 10.0 ** (8.0 / 10.0)
"""... and more than 8 dB above the quietest: hops of steady noise stay within 2 dB of each other."""
MIN_SPEECH: Final = 10.0 ** (-70.0 / 10.0)
"""... and above -70 dBFS, where converters murmur."""
FLOOR_BELOW: Final = 10.0 ** (-21.0 / 10.0)
"""The engine's floor lies 21 dB below the loudest block of the past; chosen together with its PEAK_DELTA_DB."""
SYLLABLE_HOPS: Final = 5
"""An onset is a syllable's if speech is among so many hops from it on."""

FLOOR_DB: Final = -100.0
"""The level of digital silence: below half a bit of 16."""
QUIETEST_DB: Final = -50.0
LOUDEST_DB: Final = 0.0
"""Volume 0 and 1. Read speech at a close microphone lies near -25 dBFS, the neutral 0.5."""
NORMAL_ONSETS_PER_MINUTE: Final = 280.0
"""Rate 1.0: the mean of eight recordings of read English (140 to 240 words per minute of speech), deviation 36."""
DULLEST_HZ: Final = 500.0
ENERGY_OCTAVES: Final = 3.0
"""Energy 0 is a centroid of 500 Hz, 1 is 4,000: a raised voice has more in its upper bands. Read speech: 1,500."""
MIN_RATE: Final = 0.5
MAX_RATE: Final = 2.0
MIN_VOICED_MS: Final = 200
"""With less speech than a syllable or two, a rate of onsets says nothing."""


class Span(NamedTuple):
    """The voice over samples start to end of the media clock.

    volume 0..1, rate 0.5..2.0, energy 0..1; level_db: mean power of the speech, or of everything where there is none,
    in dBFS. onsets_ms: on the media clock.
    """

    start: int
    end: int
    volume: float
    rate: float
    energy: float
    level_db: float
    voiced_ms: int
    onsets_ms: list[int]


class Heard(NamedTuple):
    """How loud a block of audio was that ends at this sample: its own power, and its quietest and loudest hop's."""

    end: int
    power: float
    quietest: float
    loudest: float


class Spans:
    """One session's audio, given in order, as spans.

    measured_to: the sample up to which spans have been given; none will be given for what lies before it. heard: what
    is known of the past's loudness. errors: how often an engine failed, all in all (row E3).
    """

    def __init__(self, make_engine: EngineFactory, measured_to: int = 0, heard: Iterable[Heard] = ()) -> None:
        self.measured_to = measured_to
        self.heard = deque(heard)
        self.errors = 0
        self._make_engine = make_engine
        self._stretch: _Stretch | None = None

    def feed(self, start: int, samples: NDArray[np.int16]) -> Iterator[Span]:
        """Take the samples that begin at this place of the media clock. What was never given (a gap) ends a stretch:
        nothing is measured across it.
        """
        if self._stretch is None or self._stretch.end != start:
            yield from self.flush()
            self._stretch = _Stretch(self._make_engine(), start, origin=_ceil(start, HOP_SAMPLES))
            self.measured_to = max(self.measured_to, start)
        self._stretch.append(samples)
        while (block := self._stretch.take_block()) is not None:
            yield from self._measure(self._stretch, block)

    def flush(self) -> Iterator[Span]:
        """Nothing follows for now: the spans of all that is there."""
        stretch = self._stretch
        if stretch is None:
            return
        if self.measured_to < stretch.end:
            yield from self._measure(stretch, stretch.take_rest(), is_last=True)
        self._stretch = None
        while self.measured_to < stretch.end:
            yield self._close(stretch, min(_span_end(self.measured_to), stretch.end))

    def _measure(self, stretch: "_Stretch", block: NDArray[np.int16], *, is_last: bool = False) -> Iterator[Span]:
        samples = block / FULL_SCALE
        power = float(np.square(samples).mean()) if len(block) else 0.0
        floor = max(FLOOR_BELOW * max([power, *(heard.power for heard in self._recent(stretch.taken))]), MIN_FLOOR)
        try:
            hops = stretch.measure(samples, floor, is_last=is_last)
        except Exception:  # noqa: BLE001 - whatever it is: neutral values, counted, and nothing stops (row E3)
            self.errors += 1
            yield from self._give_up(stretch, stretch.end if is_last else _ceil(stretch.taken, SPAN_SAMPLES))
            return
        if len(hops.power):
            self.heard.append(Heard(stretch.taken, power, float(hops.power.min()), float(hops.power.max())))
        while (end := _span_end(self.measured_to)) <= stretch.decided_to:
            yield self._close(stretch, end)

    def _give_up(self, stretch: "_Stretch", end: int) -> Iterator[Span]:
        """Neutral up to `end`, where a new engine begins."""
        if end > self.measured_to:
            yield _neutral(self.measured_to, end)
            self.measured_to = end
        self._stretch = stretch.begin_again(self._make_engine(), end)

    def _close(self, stretch: "_Stretch", end: int) -> Span:
        start, self.measured_to = self.measured_to, end
        hops = stretch.hops_between(start, end)
        if not len(hops.power):
            return _neutral(start, end)
        threshold = self._speech_threshold(end)
        is_speech = hops.power >= threshold
        voiced_ms = int(is_speech.sum()) * HOP_MS
        if voiced_ms == 0:
            return _neutral(start, end, _db(float(hops.power.mean())))
        onsets_ms = stretch.onsets_between(start, end, threshold)
        level_db = _db(float(hops.power[is_speech].mean()))
        rate = len(onsets_ms) * 60_000 / voiced_ms / NORMAL_ONSETS_PER_MINUTE
        octaves = math.log2(max(float(hops.centroid_hz[is_speech].mean()), DULLEST_HZ) / DULLEST_HZ)
        return Span(
            start,
            end,
            volume=_volume(level_db),
            rate=min(max(rate, MIN_RATE), MAX_RATE) if voiced_ms >= MIN_VOICED_MS else NEUTRAL.rate,
            energy=min(octaves / ENERGY_OCTAVES, 1.0),
            level_db=level_db,
            voiced_ms=voiced_ms,
            onsets_ms=onsets_ms,
        )

    def _recent(self, end: int) -> deque[Heard]:
        """What was heard in the LISTENING_SAMPLES before; forgets the rest."""
        while self.heard and self.heard[0].end <= end - LISTENING_SAMPLES:
            self.heard.popleft()
        return self.heard

    def _speech_threshold(self, end: int) -> float:
        recent = self._recent(end)
        loudest = max(heard.loudest for heard in recent)
        quietest = min(heard.quietest for heard in recent)
        return max(loudest * BELOW_PEAK, quietest * ABOVE_FLOOR, MIN_SPEECH)


class _Measured(NamedTuple):
    power: Floats
    centroid_hz: Floats


class _Stretch:
    """Audio without a gap, and what the engine said of it.

    end: the sample after the newest. origin: where hop 0 begins. taken: the sample up to which the engine has it.
    """

    def __init__(self, engine: Engine, end: int, origin: int) -> None:
        self.end = end
        self.origin = self.taken = origin
        self._engine = engine
        self._rest: NDArray[np.int16] = np.empty(0, np.int16)  # from `taken` on
        self._first = 0  # the hop that the lists begin with
        self._power: list[float] = []
        self._centroid_hz: list[float] = []
        self._onsets: list[int] = []
        self._decided = 0

    def append(self, samples: NDArray[np.int16]) -> None:
        """The next samples; those before `origin` are left out."""
        self._rest = np.concatenate([self._rest, samples[max(0, self.origin - self.end) :]])
        self.end += len(samples)

    def take_block(self) -> NDArray[np.int16] | None:
        """The samples up to the next whole 100 ms, if they are there."""
        count = (self.taken // BLOCK_SAMPLES + 1) * BLOCK_SAMPLES - self.taken
        if len(self._rest) < count:
            return None
        return self._take(count)

    def take_rest(self) -> NDArray[np.int16]:
        """All that is left."""
        return self._take(len(self._rest))

    def measure(self, samples: Floats, floor: float, *, is_last: bool) -> _Measured:
        """What the block completes. Raises whatever the engine raises."""
        hops = self._engine.push(samples, floor)
        self._add(hops)
        if is_last:
            self._add(self._engine.finish())
        return _Measured(hops.power, hops.centroid_hz)

    def begin_again(self, engine: Engine, origin: int) -> "_Stretch":
        """The same audio from `origin` on, with another engine."""
        stretch = _Stretch(engine, self.taken, origin)
        stretch.append(self._rest)
        return stretch

    @property
    def decided_to(self) -> int:
        """Up to this sample all is known: the middle of the first hop that may yet turn out to be an onset."""
        return self._middle(self._decided)

    def hops_between(self, start: int, end: int) -> _Measured:
        """The hops whose middles lie in the span, and forget those before."""
        first, last = self._hop_at(start), self._hop_at(end)
        low, high = max(0, first - self._first), max(0, last - self._first)
        measured = _Measured(np.array(self._power[low:high]), np.array(self._centroid_hz[low:high]))
        del self._centroid_hz[:low]
        del self._power[:low]
        self._first += low
        return measured

    def onsets_between(self, start: int, end: int, threshold: float) -> list[int]:
        """Onsets of the span at which speech is, or begins, in ms of the media clock. Call `hops_between` before."""
        first, last = self._hop_at(start), self._hop_at(end)
        onsets = [hop for hop in self._onsets if first <= hop < last]
        self._onsets = [hop for hop in self._onsets if hop >= last]
        return [
            self._middle(hop) // SAMPLES_PER_MS
            for hop in onsets
            if max(self._power[hop - self._first : hop - self._first + SYLLABLE_HOPS]) >= threshold
        ]

    def _take(self, count: int) -> NDArray[np.int16]:
        block, self._rest = self._rest[:count], self._rest[count:]
        self.taken += count
        return block

    def _add(self, hops: Hops) -> None:
        self._power += hops.power.tolist()
        self._centroid_hz += hops.centroid_hz.tolist()
        self._onsets += hops.onsets
        self._decided = hops.decided

    def _middle(self, hop: int) -> int:
        return self.origin + hop * HOP_SAMPLES + WINDOW_SAMPLES // 2

    def _hop_at(self, sample: int) -> int:
        """The first hop whose middle is at this sample or later."""
        return max(0, -((self._middle(0) - sample) // HOP_SAMPLES))


def _neutral(start: int, end: int, level_db: float | None = None) -> Span:
    """No speech. Without a level nothing at all is known (row E3)."""
    volume = NEUTRAL.volume if level_db is None else _volume(level_db)
    level_db = FLOOR_DB if level_db is None else level_db
    return Span(start, end, volume, NEUTRAL.rate, NEUTRAL.energy, level_db, voiced_ms=0, onsets_ms=[])


def _volume(level_db: float) -> float:
    return min(max((level_db - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB), 0.0), 1.0)


def _db(power: float) -> float:
    return max(10.0 * math.log10(max(power, 1e-30)), FLOOR_DB)


def _ceil(sample: int, grid: int) -> int:
    return -(-sample // grid) * grid


def _span_end(start: int) -> int:
    return (start // SPAN_SAMPLES + 1) * SPAN_SAMPLES
