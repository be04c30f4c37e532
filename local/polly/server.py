"""The Polly twin as a program: arguments in, a service behind `local.aws_http` out."""

from __future__ import annotations

import argparse
from typing import Final

import numpy as np

from local import aws_http, process
from local.aws_http import CannotStart, Request, Response, ServiceError, count_use
from local.control import Calls
from local.polly import marks, sound, ssml, wire
from local.polly.score import Job, Mark, Passage, Rest, Score, Spoken, Utter
from local.polly.synthesizer import TIME_LIMIT_S, Synthesizer, WorkerError
from local.polly.voices import Voice, espeak_for
from local.pool import Pool, PoolFull

_ATTEMPTS: Final = 2
_PAGE_SIZE: Final = 100
_WHISPER: Final = "whisper"
"""eSpeak's variant for whispering, in place of the voice's own."""


def job(score: Score, voice: Voice, sample_rate_hz: int) -> Job:
    """What a worker is asked for, part by part; marks hold their places."""
    parts: list[Utter | Rest] = []
    for part in score.parts:
        match part:
            case Passage(text, prosody):
                espeak = espeak_for(voice, prosody.language_code)
                if prosody.whispered:
                    espeak = espeak.partition("+")[0] + "+" + _WHISPER
                gain_db = None if prosody.gain_db is None else prosody.gain_db + sound.NOMINAL_GAIN_DB
                parts.append(Utter(text, espeak, prosody.rate, prosody.pitch_percent, gain_db))
            case Mark():
                parts.append(Rest(0.0, natural=False))
            case _:
                parts.append(Rest(part.duration_ms, part.natural))
    return Job(parts, sample_rate_hz)


class PollyService:
    """Amazon Polly's operations on a pool of workers."""

    signing_name = "polly"

    def __init__(
        self,
        *,
        workers: int = 2,
        max_waiting: int = 32,
        time_limit_s: float = TIME_LIMIT_S,
        page_size: int = _PAGE_SIZE,
    ) -> None:
        self._pool = Pool(Synthesizer.start, size=workers, max_waiting=max_waiting)
        self._time_limit_s = time_limit_s
        self._page_size = page_size

    async def warm(self) -> None:
        """Start a worker, so that a broken engine is known before anyone is served."""
        await self._pool.warm()

    def operation(self, request: Request) -> str:
        """The operation asked for."""
        return wire.operation(request)

    def error(self, error: ServiceError) -> Response:
        """An error as REST services have it."""
        return wire.error(error)

    def control(self, path: str) -> Response | None:
        """Nothing of its own."""
        return None

    async def close(self) -> None:
        """End the workers."""
        await self._pool.close()

    async def perform(self, operation: str, request: Request, calls: Calls) -> Response:
        """Do what is asked."""
        if operation == "DescribeVoices":
            return wire.describe_voices(request, self._page_size)
        speech = wire.decode_speech(request.body)
        voice, sample_rate_hz = wire.check(speech)
        score = self._read(speech, voice)
        if score.billed > wire.MAX_BILLED_CHARS:
            raise wire.too_long()
        spoken = await self._speak(job(score, voice, sample_rate_hz))
        count_use(calls, operation, voice.language_code, score.billed)
        return wire.spoken(speech.output_format, self._encode(speech, score, spoken), score.billed)

    @staticmethod
    def _read(speech: wire.SynthesizeSpeech, voice: Voice) -> Score:
        if speech.text_type == "text":
            return ssml.plain(speech.text)
        try:
            return ssml.read(speech.text, voice, speech.engine)
        except ssml.InvalidSsml as error:
            raise ServiceError("InvalidSsmlException", str(error)) from error

    @staticmethod
    def _encode(speech: wire.SynthesizeSpeech, score: Score, spoken: Spoken) -> bytes:
        match speech.output_format:
            case "json":
                return marks.lines(speech.text, score, spoken, speech.speech_mark_types)
            case "mulaw":
                return sound.mu_law(np.frombuffer(spoken.pcm, "<i2"))
            case "alaw":
                return sound.a_law(np.frombuffer(spoken.pcm, "<i2"))
            case _:
                return spoken.pcm

    async def _speak(self, wanted: Job) -> Spoken:
        failure: WorkerError | None = None
        for _ in range(_ATTEMPTS):
            try:
                async with self._pool.lease() as synthesizer:
                    return await synthesizer.speak(wanted, self._time_limit_s)
            except PoolFull as error:
                raise ServiceError("ThrottlingException", f"Rate exceeded: {error}") from error
            except WorkerError as error:
                failure = error
        raise ServiceError("ServiceFailureException", f"The engine failed twice: {failure}", 500) from failure


async def _make(args: argparse.Namespace) -> PollyService:
    service = PollyService(workers=args.workers, max_waiting=args.max_waiting)
    try:
        await service.warm()
    except WorkerError as error:
        raise CannotStart(f"eSpeak NG does not start: {error}") from None
    return service


def main() -> None:
    """Read the arguments and serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m local.polly", description="Amazon Polly, by eSpeak NG")
    process.add_arguments(parser)
    parser.add_argument("--workers", type=int, default=2, help="worker processes (default 2)")
    parser.add_argument("--max-waiting", type=int, default=32, help="requests that may wait for one (default 32)")
    args = parser.parse_args()
    process.start(args, component="polly")
    aws_http.run(lambda: _make(args), args.port)
