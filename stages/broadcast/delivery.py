"""The adapter to the gateway's management API: every listener in a lane of its own (rows B1, B2).

A delivery takes at most the backlog's time, in which every lane has sent it or dropped it, and one post more. A lane
lives as long as it has something to send.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from stages.broadcast.lanes import Entry, Lane
from stages.broadcast.listeners import Found, Listeners
from stages.broadcast.messages import clause_duration_ms, duration_ms, messages
from stages.broadcast.recent import Recent
from stages.broadcast.requests import DELIVERY, Deliver, Delivered, Queued
from stages.broadcast.settings import BroadcastSettings
from streams.aws import as_error
from streams.errors import HeraldError, NotFound
from streams.records import Caption, SessionEvent, SpeechPart
from streams.slots import Slots
from streams.stage import Replies, Request
from streams.telemetry import Log

RETRIES: Final = 2
RETRY_AFTER_S: Final = 0.1
"""Row B1: others are retried twice at 100 ms. Then ever more slowly, for as long as the record may wait (row B2): a
gateway that fails for some seconds costs no listener a word."""
RETRY_CAP_S: Final = 1.0
GRACE_S: Final = 0.5
"""How long, in all, the others wait for a listener that falls behind."""
MAX_ENTRIES: Final = 100
"""Records that may wait for one listener: 10 s of captions at their most, 5 a second, twice."""
SUSPECT_SHARE: Final = 5
"""One slot in so many is for listeners whose last post failed or was slow: a hundred such must not take all slots."""
MAX_SUSPECTS: Final = 4_096
SLOW_POST_S: Final = 0.5
"""A post takes 5 ms; one that takes a quarter of its time limit is on its way to failing."""


class _Tally:
    """What becomes of one record, listener by listener."""

    def __init__(self, listeners: int) -> None:
        self._pending = listeners
        self._posted_ms: list[int] = []
        self._reached = self._gone = self._failed = self._dropped = 0
        self.is_over = asyncio.Event()
        if not listeners:
            self.is_over.set()

    def reached(self) -> None:
        """A listener has the whole of it."""
        self._reached += 1
        self._posted_ms.append(_now_ms())
        self._settle()

    def gone(self) -> None:
        """A listener's connection is closed."""
        self._gone += 1
        self._settle()

    def failed(self) -> None:
        """A listener lacks a part of it."""
        self._failed += 1
        self._settle()

    def dropped(self) -> None:
        """A listener was too far behind."""
        self._dropped += 1
        self._settle()

    def result(self) -> Delivered:
        """As the stage has it."""
        first = min(self._posted_ms, default=0)
        return Delivered(self._reached, self._gone, self._failed, self._dropped, first)

    def _settle(self) -> None:
        self._pending -= 1
        if self._pending == 0:
            self.is_over.set()


class _Listener:
    """One listener's lane, and the task that empties it."""

    def __init__(self, session_id: str, backlog_ms: int) -> None:
        self.session_id = session_id
        self.lane: Lane[_Tally] = Lane(backlog_ms, MAX_ENTRIES)
        self.sender: asyncio.Task[None] | None = None
        self.grace_s = GRACE_S


class Delivery:
    """A `Service`. client: of the management API."""

    name = DELIVERY

    def __init__(self, client: Any, listeners: Listeners, settings: BroadcastSettings, log: Log | None = None) -> None:
        self._client = client
        self._listeners = listeners
        self._settings = settings
        self._log = log
        self._lanes: dict[str, _Listener] = {}
        self._sent = asyncio.Event()
        self._recent = Recent()
        self._suspects: OrderedDict[str, None] = OrderedDict()
        self._slots = Slots(settings.posts_in_flight)
        self._suspect_slots = Slots(max(1, settings.posts_in_flight // SUSPECT_SHARE))

    async def perform(self, session_id: str, request: Request, replies: Replies) -> Delivered:
        """Send it to everyone, and tell when it is queued and when it is over. Cancelling leaves nothing queued."""
        assert isinstance(request, Deliver)
        record = request.record
        posts = messages(record, request.timestamp_s)
        language = "" if isinstance(record, SessionEvent) else record.language
        connections, returned = await self._listeners.find(session_id, language) if posts else Found([], set())
        audio_ms = duration_ms(record) if isinstance(record, SpeechPart) else 0
        await self._wait_for_room(connections, audio_ms)
        tally = _Tally(len(connections))
        expires_ms = _monotonic_ms() + self._settings.backlog_ms
        if isinstance(record, SpeechPart):
            expires_ms += max(0, clause_duration_ms(record) - self._settings.backlog_ms)
        for connection_id in connections:
            if language and connection_id in returned:
                self._catch_up(session_id, connection_id, language)
            self._push(session_id, connection_id, Entry(tally, posts, audio_ms, expires_ms))
        if isinstance(record, Caption):
            self._recent.note(record, posts[0], _monotonic_ms())
        replies(Queued())
        try:
            await tally.is_over.wait()
        except asyncio.CancelledError:
            for connection_id in connections:
                if connection_id in self._lanes:
                    self._lanes[connection_id].lane.discard(tally)
            raise
        return tally.result()

    async def close(self) -> None:
        """Stop sending."""
        senders = [listener.sender for listener in self._lanes.values() if listener.sender is not None]
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        await self._listeners.close()

    def lanes(self) -> int:
        """How many listeners have something to be sent."""
        return len(self._lanes)

    async def _wait_for_room(self, connections: list[str], audio_ms: int) -> None:
        """After a pause of this stage, what comes in a rush is not taken for a backlog of the listeners.

        The session goes at the pace of its best listener. One that is behind that pace is waited for, GRACE_S in all
        until its lane is empty; then it drops.
        """

        def lanes() -> list[_Listener]:
            return [self._lanes[connection_id] for connection_id in connections if connection_id in self._lanes]

        def is_room_for_the_best() -> bool:
            return len(lanes()) < len(connections) or any(one.lane.has_room(audio_ms) for one in lanes())

        def slower() -> list[_Listener]:
            return [one for one in lanes() if not one.lane.has_room(audio_ms) and one.grace_s > 0]

        if connections:
            await self._until(is_room_for_the_best, self._settings.backlog_ms / 1000)
            while waited_for := slower():
                started_ms = _monotonic_ms()
                await self._until(lambda: slower() != waited_for, min(one.grace_s for one in waited_for))
                for listener in waited_for:
                    listener.grace_s -= max(1, _monotonic_ms() - started_ms) / 1000

    async def _until(self, is_so: Callable[[], bool], limit_s: float) -> None:
        """Wait for it, no longer than so."""
        try:
            async with asyncio.timeout(limit_s):
                while not is_so():
                    self._sent.clear()
                    await self._sent.wait()
        except TimeoutError:
            return

    def _catch_up(self, session_id: str, connection_id: str, language: str) -> None:
        """Before anything else a listener who has come back gets the captions that it may have missed."""
        now_ms = _monotonic_ms()
        missed = self._recent.missed(connection_id, session_id, language, now_ms)
        if missed:
            self._push(session_id, connection_id, Entry(_Tally(1), missed, 0, now_ms + self._settings.backlog_ms))

    def _push(self, session_id: str, connection_id: str, entry: Entry[_Tally]) -> None:
        listener = self._lanes.get(connection_id)
        if listener is None:
            listener = self._lanes[connection_id] = _Listener(session_id, self._settings.backlog_ms)
            listener.sender = asyncio.get_running_loop().create_task(self._send_all(connection_id, listener))
        for tally in listener.lane.push(entry):
            tally.dropped()

    async def _send_all(self, connection_id: str, listener: _Listener) -> None:
        """Empty the lane, then take it down."""
        try:
            while True:
                entry, late = listener.lane.take(_monotonic_ms())
                for tally in late:
                    tally.dropped()
                if entry is None:
                    return
                await self._send(connection_id, listener, entry)
                self._sent.set()
        finally:
            del self._lanes[connection_id]
            for tally in listener.lane.clear():
                tally.dropped()

    async def _send(self, connection_id: str, listener: _Listener, entry: Entry[_Tally]) -> None:
        """All messages of a record. A part that cannot be sent is skipped; what expires in the midst ends there."""
        lost = 0
        for message in entry.messages:
            if _monotonic_ms() >= entry.expires_ms:
                lost += 1
                break
            try:
                await self._post_patiently(connection_id, listener, message, entry.expires_ms)
            except NotFound:
                entry.ticket.gone()
                await self._on_gone(connection_id, listener)
                return
            except HeraldError as error:
                lost += 1
                self._warn("a part could not be sent", error)
        if lost:
            entry.ticket.failed()
        else:
            entry.ticket.reached()

    async def _on_gone(self, connection_id: str, listener: _Listener) -> None:
        for tally in listener.lane.clear():
            tally.gone()
        self._suspects.pop(connection_id, None)
        try:
            await self._listeners.remove(connection_id)
        except HeraldError as error:
            self._warn("a connection that is gone keeps its row", error)  # the next post finds it gone again

    async def _post_patiently(self, connection_id: str, listener: _Listener, message: bytes, expires_ms: int) -> None:
        failures = 0
        while True:
            try:
                async with AsyncExitStack() as stack:
                    if connection_id in self._suspects:
                        await stack.enter_async_context(self._suspect_slots.of(listener.session_id))
                    await stack.enter_async_context(self._slots.of(listener.session_id))
                    began_s = time.monotonic()
                    await self._post(connection_id, message)
            except HeraldError as error:
                self._note(connection_id, is_suspect=True)
                failures += 1
                wait_s = min(RETRY_CAP_S, RETRY_AFTER_S * 2 ** max(0, failures - RETRIES))
                if not error.retryable or _monotonic_ms() + wait_s * 1000 >= expires_ms:
                    raise
                await asyncio.sleep(wait_s)
            else:
                self._note(connection_id, is_suspect=time.monotonic() - began_s >= SLOW_POST_S)
                return

    def _note(self, connection_id: str, *, is_suspect: bool) -> None:
        self._suspects.pop(connection_id, None)
        if is_suspect:
            self._suspects[connection_id] = None
            if len(self._suspects) > MAX_SUSPECTS:
                self._suspects.popitem(last=False)

    async def _post(self, connection_id: str, message: bytes) -> None:
        try:
            async with asyncio.timeout(self._settings.post_time_limit_ms / 1000):
                await self._client.post_to_connection(ConnectionId=connection_id, Data=message)
        except Exception as error:
            raise as_error(error, "posting to a listener") from error

    def _warn(self, message: str, error: HeraldError) -> None:
        if self._log is not None:
            self._log.warning("delivery", message, code=error.code)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
