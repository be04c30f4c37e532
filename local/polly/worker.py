"""The process that speaks: `python -m local.polly.worker`. Jobs on stdin, sound on stdout, until stdin ends.

Frames both ways are four bytes of length, big endian, then MessagePack. Each job is spoken by a child
forked from this process, which itself never speaks: eSpeak remembers what it said, and only a process that
never said anything says the same thing twice. A fork costs less than a millisecond, and a crash in the
library costs one request.
"""

from __future__ import annotations

import math
import os
import struct
import sys
from typing import Any, BinaryIO, Final

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: its threads would not survive a fork

import msgspec
import numpy as np

from local import process
from local.polly import sound
from local.polly.espeak import MAX_WPM, MIN_WPM, NORMAL_WPM, Espeak, EspeakError
from local.polly.score import Failed, Job, Rest, Spoken, Utter, Word

LENGTH: Final = struct.Struct(">I")

_PITCH_STEP: Final = 0.0126
"""Measured: a step of eSpeak's pitch (50 is normal) changes the fundamental by this much, as a logarithm."""

Raw = tuple[bytes, tuple[tuple[int, int, int], ...]]
"""What the child says of one utterance: PCM16 at eSpeak's rate; (character, characters, sample) of each word."""


def speeds(rate: float) -> tuple[int, float]:
    """eSpeak's words per minute for a rate (1.0 is normal), and what must still be stretched: below 80 it can't."""
    wpm = rate * NORMAL_WPM
    if wpm < MIN_WPM:
        return MIN_WPM, MIN_WPM / wpm
    return round(min(wpm, MAX_WPM)), 1.0


def pitch(percent: float) -> int:
    """eSpeak's pitch, 0 to 99, for a relative change of the fundamental."""
    return round(min(99, max(0, 50 + math.log1p(percent / 100) / _PITCH_STEP)))


def utter(espeak: Espeak, parts: list[Utter | Rest]) -> list[Raw]:
    """Speak the utterances among the parts, in order."""
    said: list[Raw] = []
    for part in parts:
        if isinstance(part, Utter):
            speech = espeak.speak(part.text, part.voice, speeds(part.rate)[0], pitch(part.pitch_percent))
            said.append((speech.pcm.tobytes(), speech.words))
    return said


def assemble(job: Job, said: list[Raw], rate_hz: int) -> Spoken:
    """One sound of the parts: utterances trimmed, stretched and amplified, pauses between, then resampled."""
    spoken = iter(said)
    silent_end = max((i for i, part in enumerate(job.parts) if not _is_natural(part)), default=-1)
    pieces: list[sound.Samples] = []
    times: list[float] = []
    words: list[Word] = []
    length = 0
    for i, part in enumerate(job.parts):
        times.append(length * 1000 / rate_hz)
        if isinstance(part, Utter):
            pcm, spots = next(spoken)
            samples = sound.from_pcm16(np.frombuffer(pcm, "<i2"))
            start, end = sound.edges(samples, rate_hz)
            factor = speeds(part.rate)[1]
            piece = sound.amplify(sound.stretch(samples[start:end], factor, rate_hz), part.gain_db)
            for character, count, at in spots:
                place = length + min(max(at - start, 0) * factor, len(piece))
                words.append(Word(i, character, count, place * 1000 / rate_hz))
        elif part.natural and (not length or i > silent_end):
            continue
        else:
            piece = np.zeros(round(part.duration_ms * rate_hz / 1000), np.float32)
        pieces.append(piece)
        length += len(piece)
    times.append(length * 1000 / rate_hz)
    whole = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    resampled = sound.limit(sound.resample(whole, rate_hz, job.sample_rate_hz))
    return Spoken(sound.to_pcm16(resampled).astype("<i2").tobytes(), times, words)


def _is_natural(part: Utter | Rest) -> bool:
    return isinstance(part, Rest) and (part.natural or part.duration_ms == 0)


def in_child(espeak: Espeak, parts: list[Utter | Rest]) -> list[Raw]:
    """Speak in a forked child. Raises `EspeakError`, also if the child crashes."""
    source, sink = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(espeak, parts, source, sink)
    os.close(sink)
    with os.fdopen(source, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status != 0 or not answer:
        raise EspeakError(f"the speaking process ended with status {status}")
    said: Any = msgspec.msgpack.decode(answer, type=list[Raw] | str)
    if isinstance(said, str):
        raise EspeakError(said)
    return said  # type: ignore[no-any-return] # decoded as list[Raw], which mypy cannot see


def _child(espeak: Espeak, parts: list[Utter | Rest], source: int, sink: int) -> None:
    """Never returns: whatever happens, this process must not go on as a second worker."""
    status = 1
    try:
        os.close(source)
        process.die_with_parent()
        answer: list[Raw] | str
        try:
            answer = utter(espeak, parts)
        except EspeakError as error:
            answer = str(error)
        with os.fdopen(sink, "wb") as pipe:
            pipe.write(msgspec.msgpack.encode(answer))
        status = 0
    finally:
        os._exit(status)


def serve(jobs: BinaryIO, sounds: BinaryIO) -> None:
    """Answer jobs until there are no more. The first frame out, before any job, is empty: ready."""
    espeak = Espeak()
    _write(sounds, b"")
    decoder = msgspec.msgpack.Decoder(Job)
    while len(header := jobs.read(LENGTH.size)) == LENGTH.size:
        job = decoder.decode(jobs.read(LENGTH.unpack(header)[0]))
        answer: Spoken | Failed
        try:
            answer = assemble(job, in_child(espeak, job.parts), espeak.rate_hz)
        except EspeakError as error:
            answer = Failed(str(error))
        _write(sounds, msgspec.msgpack.encode(answer))


def _write(stream: BinaryIO, data: bytes) -> None:
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


if __name__ == "__main__":
    process.die_with_parent()
    serve(sys.stdin.buffer, sys.stdout.buffer)
