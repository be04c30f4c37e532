"""How a span was said: follows the emotions stream, and keeps its last minute (rows E3, E4).

Every shard is followed, whoever owns the transcripts: an emotion frame is some 200 bytes twice a second, and following
all needs no knowledge of leases. Emotion never holds speech up: the wait for a span's frames is bounded, and after it
the answer is what is there, or neutral.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final

from stages.translate.requests import DYNAMICS, FindDynamics, FoundDynamics
from streams.dynamics import dynamics
from streams.records import NEUTRAL, EmotionFrame
from streams.stage import Replies, Request
from streams.tail import Tailed, tail
from streams.telemetry import Log, Metrics, place_of

MAX_SESSIONS: Final = 1_000
"""Sessions remembered, twice row N9's ceiling; the one that has been silent longest goes first."""
MAX_FRAMES: Final = 240
"""Of one session: twice a minute's, in case its frames come faster than one in 500 ms."""
MISSING_PART: Final = 4
"""Of a span this part may be missing: a mean over three quarters of a clause says how it was said, and its last words
lie in a frame that may not have ended yet."""
RESTART_S: Final = 1.0


class Frames:
    """The last frames of every session, by media time."""

    def __init__(self, ttl_ms: int, max_sessions: int = MAX_SESSIONS) -> None:
        self._ttl_ms = ttl_ms
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[str, deque[tuple[int, EmotionFrame]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def add(self, frame: EmotionFrame, written_ms: int) -> None:
        """Keep a frame that was written at this Unix time. A frame that does not go on from the last is a repeat."""
        frames = self._sessions.setdefault(frame.session_id, deque(maxlen=MAX_FRAMES))
        self._sessions.move_to_end(frame.session_id)
        if not frames or frame.start_ms >= frames[-1][1].end_ms:
            frames.append((written_ms, frame))
        if len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)

    def known_to_ms(self, session_id: str) -> int:
        """The media time that a session's frames have reached."""
        frames = self._sessions.get(session_id)
        return frames[-1][1].end_ms if frames else 0

    def recent(self, session_id: str, now_ms: int) -> list[EmotionFrame]:
        """A session's frames that are not too old at this Unix time."""
        frames = self._sessions.get(session_id, deque())
        while frames and now_ms - frames[0][0] > self._ttl_ms:
            frames.popleft()
        return [frame for _, frame in frames]


class DynamicsOfSpans:
    """A `Service`. ttl_ms: older frames are not used. wait_ms: the longest wait for most of a span."""

    name = DYNAMICS

    def __init__(
        self,
        kinesis: Any,
        stream: str,
        ttl_ms: int,
        wait_ms: int,
        log: Log | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._ttl_ms = ttl_ms
        self._wait_s = wait_ms / 1000
        self._log = log
        self._metrics = metrics
        self._frames = Frames(ttl_ms)
        self._news = asyncio.Condition()
        self._follower: asyncio.Task[None] | None = None

    def start(self, follow: Callable[..., AsyncIterator[Tailed]] = tail) -> None:
        """Begin to follow the stream, from as far back as frames are used."""
        self._follower = asyncio.get_running_loop().create_task(self._follow_for_ever(follow))

    async def perform(self, session_id: str, request: Request, replies: Replies) -> FoundDynamics:
        """The span's dynamics, from its frames as far as they come in time."""
        assert isinstance(request, FindDynamics)
        enough_ms = request.end_ms - (request.end_ms - request.start_ms) // MISSING_PART
        try:
            async with asyncio.timeout(self._wait_s), self._news:
                await self._news.wait_for(lambda: self._frames.known_to_ms(session_id) >= enough_ms)
        except TimeoutError:
            self._count("EmotionCacheMisses")
        found = dynamics(self._frames.recent(session_id, _now_ms()), request.start_ms, request.end_ms)
        if self._metrics is not None:
            self._metrics.add("EmotionCacheHitRate", 0.0 if found == NEUTRAL else 100.0, "Percent")
            self._metrics.add("EmotionCacheSize", len(self._frames), "None")
        return FoundDynamics(found)

    async def close(self) -> None:
        """Stop following."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)

    async def _follow_for_ever(self, follow: Callable[..., AsyncIterator[Tailed]]) -> None:
        """A stream that cannot be followed means neutral speech, not silence: say so, and try again."""
        while True:
            try:
                since_ms = _now_ms() - self._ttl_ms
                async with aclosing(follow(self._kinesis, self._stream, since_ms=since_ms, log=self._log)) as records:  # type: ignore[type-var]  # tail is an async generator, typed as its iterator
                    async for tailed in records:
                        await self._take(tailed)
            except Exception as error:  # noqa: BLE001 - whatever it is, speech goes on without emotion, and says so
                self._count("EmotionExtractionErrors")
                if self._log is not None:
                    self._log.error("dynamics", "the emotions stream cannot be followed", error=place_of(error))
                await asyncio.sleep(RESTART_S)

    async def _take(self, tailed: Tailed) -> None:
        if isinstance(tailed.record, EmotionFrame):
            async with self._news:
                self._frames.add(tailed.record, tailed.written_ms)
                self._news.notify_all()

    def _count(self, metric: str) -> None:
        if self._metrics is not None:
            self._metrics.add(metric)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
