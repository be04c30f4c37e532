"""What the stages of the pipeline ask: a recogniser, a translator, voices, dynamics. All say which words they had.

A voice's sound is its text: each word is a block of bytes, and slower speech has empty blocks between. So whoever puts
the parts of a clause together again knows what was said.
"""

import asyncio
import contextvars
import heapq
import html
import random
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from stages.transcribe.requests import DEPENDENCY, Abandon, OpenRecogniser, SendAudio
from stages.translate.requests import DYNAMICS, FoundDynamics
from streams.errors import Failure, Refused, StreamBroken, Throttled, Unavailable
from streams.languages import Offer
from streams.records import NEUTRAL, Dynamics
from streams.stage import Call, Replies, Request
from tests.simulation.ground import Ground
from tests.simulation.loop import START_S, SimulatedLoop
from tests.simulation.network import Network, service_error
from tests.stages.transcribe.simulated import SimulatedRecogniser, spoken_ms

BLOCK_BYTES: Final = 16
REFUSED_WORD: Final = "unspeakable"
LOUD: Final = Dynamics(volume=0.9, rate=1.5, energy=0.5, level_db=-12.0, onsets_per_minute=400.0)
SLOW: Final = Dynamics(volume=0.2, rate=0.6, energy=0.1, level_db=-40.0, onsets_per_minute=120.0)
OFFERS: Final = {code: Offer(code, code, code, f"voice-{code}", code, "neural") for code in ("en", "es", "fr", "de")}


# --- the recogniser ------------------------------------------------------------------------------------------------


class _Sky:
    """What `SimulatedRecogniser` needs of a world: its clock and its alarms, in the order of their times."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._nowhere = contextvars.Context()
        self._alarms: list[tuple[int, int, Callable[[], object]]] = []
        self._set = 0

    @property
    def now_ms(self) -> int:
        return int((START_S + self._loop.time()) * 1000)

    def at(self, at_ms: int, event: Callable[[], object]) -> None:
        self._set += 1
        heapq.heappush(self._alarms, (at_ms, self._set, event))
        self._loop.call_at((at_ms + 1) / 1000 - START_S, self._ring, context=self._nowhere)

    def _ring(self) -> None:
        while self._alarms and self._alarms[0][0] <= self.now_ms:
            heapq.heappop(self._alarms)[2]()


class _Open(NamedTuple):
    answer: "asyncio.Future[Any]"
    replies: Replies
    context: contextvars.Context


class _Owner:
    """One worker's side of a session's streams, as `SimulatedRecogniser` sees an owner."""

    def __init__(self, world: _Sky, epoch: int, note: Callable[[str], None]) -> None:
        self.world = world
        self.note = note
        self.epoch = epoch
        self.open: dict[str, _Open] = {}

    def reply(self, call_id: str, value: Any = None, failure: Failure | None = None, *, last: bool = True) -> None:
        one = self.open.get(call_id)
        if one is None or one.answer.done():
            return
        if not last:
            asyncio.get_running_loop().call_soon(self._say, call_id, one, value, context=one.context)
        elif failure is not None:
            one.answer.set_exception(StreamBroken(failure.message))
        else:
            one.answer.set_result(value)

    def _say(self, call_id: str, one: _Open, value: Any) -> None:
        if self.open.get(call_id) is one:
            self.note(f"hears {value}")
            one.replies(value)


class Ears:
    """The recogniser as all workers reach it. by session; hanging, limited: probabilities for an opening."""

    def __init__(self, ground: Ground, by_session: dict[str, SimulatedRecogniser], rng: random.Random) -> None:
        self.note = ground.note
        self.is_watched = ground.is_watched
        self.by_session = by_session
        self.sky = _Sky(ground.loop)
        self.random = rng
        self.hanging = 0.0
        self.limited = 0.0
        self.owners = 0


class Recogniser:
    """A `Service`: one worker's way to the recogniser."""

    name = DEPENDENCY

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._owners: dict[str, _Owner] = {}
        self._calls = 0

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Any:
        ears = self._ears
        opens = isinstance(request, OpenRecogniser)
        if opens and ears.random.random() < ears.limited:
            raise Throttled("no more streams")
        if not isinstance(request, Abandon) and ears.random.random() < ears.hanging:
            await asyncio.sleep(60)
        owner = self._owners.get(session_id)
        if owner is None:
            ears.owners += 1
            owner = self._owners[session_id] = _Owner(ears.sky, ears.owners, ears.note)
        if opens and (owner.epoch, request.stream) in ears.by_session[session_id].abandoned:
            raise Refused("the stream was abandoned")  # as the adapter does
        self._calls += 1
        call = Call(str(self._calls), request)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        owner.open[call.call_id] = _Open(answer, replies, contextvars.copy_context())
        recogniser = ears.by_session[session_id]
        if ears.is_watched:
            ears.note(f"asks {_brief(request)}")
        try:
            recogniser.perform(owner, call)
            return await answer
        finally:
            del owner.open[call.call_id]
            if isinstance(request, OpenRecogniser):
                recogniser.streams.pop((owner.epoch, request.stream), None)

    async def close(self) -> None:
        return


def _brief(request: Request) -> str:
    spans = ""
    if isinstance(request, SendAudio):
        real = [at for at in spoken_ms(request.pcm).tolist() if at >= 0]
        spans = f"{real[0]}-{real[-1]}" if real else "silence"
    return f"{type(request).__name__} {getattr(request, 'stream', '')} {spans}"


# --- translation, speech, dynamics -------------------------------------------------------------------------------


def in_language(word: str, language: str) -> str:
    """A word of the talk (which is in English) as it is heard."""
    return word if language == "en" else f"{language}-{word}"


class Engines:
    """The clients of Translate and Polly."""

    def __init__(self, network: Network, refused_language: str) -> None:
        self._network = network
        self._refused_language = refused_language

    async def translate_text(self, **arguments: Any) -> Any:
        text, target = arguments["Text"], arguments["TargetLanguageCode"]

        def effect() -> Any:
            if REFUSED_WORD in text and target == self._refused_language:
                raise service_error("TranslateText", "UnsupportedLanguagePairException")
            return {"TranslatedText": " ".join(in_language(word, target) for word in text.split())}

        return await self._network.call("TranslateText", effect, "TooManyRequestsException")

    async def synthesize_speech(self, **arguments: Any) -> Any:
        text = arguments["Text"]

        def effect() -> Any:
            rate = re.search(r'rate="(\d+)%"', text)
            spoken = html.unescape(re.sub("<[^>]+>", "", text))
            return {"AudioStream": _Sound(sound_of(spoken, 1 if rate is None or int(rate[1]) >= 100 else 2))}

        return await self._network.call("SynthesizeSpeech", effect, "ThrottlingException")


def sound_of(text: str, blocks_per_word: int) -> bytes:
    """Speech, as a simulated voice speaks it."""
    return b"".join(word.encode().ljust(BLOCK_BYTES * blocks_per_word, b"\0") for word in text.split())


def words_of(sound: bytes) -> list[str]:
    """What is said in it."""
    blocks = (sound[at : at + BLOCK_BYTES].rstrip(b"\0") for at in range(0, len(sound), BLOCK_BYTES))
    return [block.decode(errors="replace") for block in blocks if block]


class _Sound:
    def __init__(self, pcm: bytes) -> None:
        self._pcm = pcm

    async def __aenter__(self) -> "_Sound":
        return self

    async def __aexit__(self, *error: object) -> None:
        return

    async def read(self) -> bytes:
        return self._pcm


class SimulatedDynamics:
    """A `Service`: each time it is asked it says something else, late, or nothing."""

    name = DYNAMICS

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        self.failing = 0.0

    async def perform(self, session_id: str, request: Request, replies: Replies) -> FoundDynamics:
        draw = self._random.random
        await asyncio.sleep(0.25 * draw() ** 2)
        if draw() < self.failing:
            if draw() < 0.5:
                await asyncio.sleep(60)
            raise Unavailable("the emotions cannot be followed")
        return FoundDynamics(self._random.choice((NEUTRAL, LOUD, SLOW)))

    async def close(self) -> None:
        return
