"""A talk whose every millisecond of audio says when it was spoken, and a recogniser that hears exactly that.

The recogniser is as unsteady as real ones: it cuts the same audio differently each time, changes its mind about the
last words, breaks off. So whatever comes out right is right because of the stage.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stages.transcribe.requests import (
    Abandon,
    EndAudio,
    Ended,
    Heard,
    Opened,
    OpenRecogniser,
    RecognisedWord,
    Result,
    SendAudio,
    Taken,
)
from streams.errors import Failure
from streams.records import AudioChunk, Word
from streams.stage import Call
from tests.support.stage_driver import START_MS, Owner, World

SAMPLES_PER_MS = 16
Name: TypeAlias = tuple[int, str]  # an owner's epoch, and its stream
BROKEN = Failure("StreamBroken", "broken by the test", retryable=True)


class Talk:
    """Words on the media clock, and their sound."""

    def __init__(self, words: list[Word], duration_ms: int) -> None:
        self.words = words
        self.duration_ms = duration_ms
        ms = np.arange(duration_ms)
        samples = np.zeros((duration_ms, SAMPLES_PER_MS), "<i2")
        for word in words:
            samples[word.start_ms : word.end_ms] = 2_000
        samples[:, 0] = ms & 0x7FFF
        samples[:, 1] = (ms >> 15) + 1
        self._pcm = samples.tobytes()

    def pcm(self, start_ms: int, end_ms: int) -> bytes:
        """The sound of a span."""
        return self._pcm[start_ms * SAMPLES_PER_MS * 2 : end_ms * SAMPLES_PER_MS * 2]


def sentence(text: str, start_ms: int = 300, *, word_ms: int = 250, gap_ms: int = 20) -> list[Word]:
    """Words one after another."""
    step_ms = word_ms + gap_ms
    return [Word(one, start_ms + i * step_ms, start_ms + i * step_ms + word_ms) for i, one in enumerate(text.split())]


def chunk_of(talk: Talk, session_id: str, start_ms: int, ms: int = 100) -> AudioChunk:
    """A chunk of the talk as the gateway writes it."""
    return AudioChunk(
        session_id=session_id,
        connection="c",
        admitted_at_ms=START_MS + start_ms + ms,
        captured_at_ms=START_MS + start_ms,
        sequence=start_ms // ms,
        pcm=talk.pcm(start_ms, start_ms + ms),
    )


def speak(world: World, talk: Talk, start_ms: int = 0, end_ms: int | None = None, ms: int = 100) -> None:
    """Let a part of the talk be spoken when its time comes."""
    for at_ms in range(start_ms, talk.duration_ms if end_ms is None else end_ms, ms):
        chunk = chunk_of(talk, world.session_id, at_ms, ms)
        world.at(START_MS + at_ms + ms + 5, partial(world.publish, chunk))


def spoken_ms(pcm: bytes) -> NDArray[np.int64]:
    """For each millisecond, when it was spoken on the media clock; -1 for silence that was put in."""
    samples = np.frombuffer(pcm, "<i2").reshape(-1, SAMPLES_PER_MS).astype(np.int64)
    return np.where(samples[:, 1] > 0, samples[:, 0] + ((samples[:, 1] - 1) << 15), -1)


@dataclass
class Habits:
    """How the recogniser behaves. Probabilities are per block of audio, but for opening ones."""

    jitter_ms: int = 0
    unsettled: float = 0.0
    pause_ms: int = 300
    longest_ms: int = 12_000
    breaks: float = 0.0
    refuses_opening: float = 0.0
    flags: bool = True
    answer_ms: tuple[int, ...] = (20,)
    deaf: bool = False
    down: bool = False


@dataclass
class _Heard:
    """One stream, as the recogniser has it."""

    owner: Owner
    call_id: str
    random: random.Random
    at: NDArray[np.int64]  # for each ms of the talk: where in the stream it was heard, -1: not
    ms: int = 0
    newest: int = -1
    first_word: int = 0
    segment: int = 0
    jitter: dict[int, tuple[int, int]] = field(default_factory=dict)
    alive: bool = True
    free_at_ms: int = 0
    said_at_ms: int = 0


class SimulatedRecogniser:
    """A `Service` of `World`."""

    def __init__(self, talk: Talk, habits: Habits, seed: int = 0) -> None:
        self.talk = talk
        self.habits = habits
        self.random = random.Random(seed)
        self.streams: dict[Name, _Heard] = {}
        self.abandoned: set[Name] = set()
        self.opened = 0
        self.fed_ms = 0

    def gone(self, owner: Owner) -> None:
        self.streams = {name: heard for name, heard in self.streams.items() if heard.owner is not owner}

    def perform(self, owner: Owner, call: Call) -> None:
        match call.request:
            case OpenRecogniser(stream=stream):
                name = (owner.epoch, stream)
                self._later(owner, 50, lambda: self._open(owner, call.call_id, name))
            case SendAudio(stream=stream, pcm=pcm):
                name = (owner.epoch, stream)
                self._in_turn(owner, name, lambda: self._hear(owner, name, call.call_id, pcm))
            case EndAudio(stream=stream):
                name = (owner.epoch, stream)
                self._in_turn(owner, name, lambda: self._end(owner, name, call.call_id))
            case Abandon(stream=stream):
                heard = self.streams.pop((owner.epoch, stream), None)
                self.abandoned.add((owner.epoch, stream))
                owner.reply(call.call_id, Taken())
                if heard is not None:
                    owner.reply(heard.call_id, failure=BROKEN)

    def break_all(self) -> None:
        """Every stream breaks, now."""
        for name in list(self.streams):
            self._break(name)

    def _later(self, owner: Owner, delay_ms: int, step: Callable[[], None]) -> None:
        owner.world.at(owner.world.now_ms + delay_ms, step)

    def _in_turn(self, owner: Owner, name: Name, step: Callable[[], None]) -> None:
        now_ms = owner.world.now_ms
        heard = self.streams.get(name)
        at_ms = now_ms + 2 if heard is None else max(now_ms + 2, heard.free_at_ms)
        if heard is not None:
            heard.free_at_ms = at_ms
        owner.world.at(at_ms, step)

    def _open(self, owner: Owner, call_id: str, name: Name) -> None:
        refused = self.random.random() < self.habits.refuses_opening
        if self.habits.down or refused or name in self.abandoned:
            owner.reply(call_id, failure=BROKEN)
            return
        self.opened += 1
        at = np.full(self.talk.duration_ms, -1)
        self.streams[name] = _Heard(owner, call_id, random.Random(self.random.random()), at)
        owner.reply(call_id, Opened(), last=False)

    def _break(self, name: Name) -> None:
        heard = self.streams.pop(name)
        heard.alive = False
        heard.owner.reply(heard.call_id, failure=BROKEN)

    def _hear(self, owner: Owner, name: Name, call_id: str, pcm: bytes) -> None:
        heard = self.streams.get(name)
        if heard is None:
            owner.reply(call_id, failure=BROKEN)
            return
        spoken = spoken_ms(pcm)
        real = spoken >= 0
        heard.at[spoken[real]] = heard.ms + np.flatnonzero(real)
        heard.ms += len(spoken)
        self.fed_ms += len(spoken)
        if real.any():
            heard.newest = max(heard.newest, int(spoken.max()))
        owner.reply(call_id, Taken())
        if heard.random.random() < self.habits.breaks:
            self._break(name)
        elif not self.habits.deaf:
            self._answer(heard, self._listen(heard, at_end=False))

    def _end(self, owner: Owner, name: Name, call_id: str) -> None:
        heard = self.streams.get(name)
        if heard is None:
            owner.reply(call_id, failure=BROKEN)
            return
        owner.reply(call_id, Taken())
        if self.habits.deaf:
            return  # it stays, until it is abandoned
        del self.streams[name]
        self._answer(heard, self._listen(heard, at_end=True))
        ended_ms = max(*self.habits.answer_ms, heard.said_at_ms - owner.world.now_ms)
        self._later(owner, ended_ms, lambda: owner.reply(heard.call_id, Ended()))

    def _answer(self, heard: _Heard, results: list[Result]) -> None:
        now_ms = heard.owner.world.now_ms
        heard.said_at_ms = max(heard.said_at_ms, now_ms + heard.random.choice(self.habits.answer_ms))
        for result in results:
            self._later(heard.owner, heard.said_at_ms - now_ms, partial(self._say, heard, result))

    def _say(self, heard: _Heard, result: Result) -> None:
        if heard.alive:
            heard.owner.reply(heard.call_id, Heard([result]), last=False)

    # --- what it makes of the audio ------------------------------------------------------------------------------

    def _listen(self, heard: _Heard, *, at_end: bool) -> list[Result]:
        results: list[Result] = []
        segment: list[RecognisedWord] = []
        for i in range(heard.first_word, len(self.talk.words)):
            span = self._span(heard, i)
            if span is None:
                if self.talk.words[i].end_ms > heard.newest + 1:
                    break
                if not segment:
                    heard.first_word = i + 1
                continue  # its sound is missing or cut off
            start_ms, end_ms, text = span
            if segment and (
                start_ms - segment[-1].end_ms >= self.habits.pause_ms
                or end_ms - segment[0].start_ms > self.habits.longest_ms
            ):
                results.append(self._final(heard, segment))
                segment, heard.first_word = [], i
            segment.append(RecognisedWord(text, max(start_ms, segment[-1].end_ms if segment else 0), end_ms))
        if segment and (at_end or heard.ms - segment[-1].end_ms >= self.habits.pause_ms):
            results.append(self._final(heard, segment))
            heard.first_word = len(self.talk.words) if at_end else self._after(heard)
            segment = []
        if segment and heard.random.random() < 0.5:
            results.append(self._partial(heard, segment))
        return results

    def _after(self, heard: _Heard) -> int:
        return next((i for i, word in enumerate(self.talk.words) if word.end_ms > heard.newest + 1), 10**9)

    def _span(self, heard: _Heard, i: int) -> tuple[int, int, str] | None:
        word = self.talk.words[i]
        at = heard.at[word.start_ms : word.end_ms]
        if at[-1] < 0:
            return None
        first = int(at[at >= 0][0])
        whole = at[0] >= 0
        jitter = heard.jitter.setdefault(i, self._jitter(heard, whole))
        end_ms = min(int(at[-1]) + 1 + jitter[1], heard.ms)
        start_ms = max(0, first + jitter[0])
        return start_ms, max(end_ms, start_ms + 20), word.text if whole else f"~{word.text}"

    def _jitter(self, heard: _Heard, whole: bool) -> tuple[int, int]:
        most = self.habits.jitter_ms
        return (heard.random.randint(-most, most) if whole else 0, heard.random.randint(-most, most))

    def _final(self, heard: _Heard, words: list[RecognisedWord]) -> Result:
        stable = True if self.habits.flags else None
        words = [RecognisedWord(w.text, w.start_ms, w.end_ms, 0.9, stable) for w in words]
        result = Result(f"r{heard.segment}", words[0].start_ms, words[-1].end_ms, False, words)
        heard.segment += 1
        return result

    def _partial(self, heard: _Heard, words: list[RecognisedWord]) -> Result:
        shown = []
        for i, word in enumerate(words):
            stable = i < len(words) - 2
            text = word.text
            if not stable and heard.random.random() < self.habits.unsettled:
                text = heard.random.choice(["er", "the", text + "s"])
            shown.append(RecognisedWord(text, word.start_ms, word.end_ms, None, stable if self.habits.flags else None))
        return Result(f"r{heard.segment}", shown[0].start_ms, shown[-1].end_ms, True, shown)
