"""The function `pulse`: what is due without anybody doing anything. Invoked each minute; EventBridge knows no less.

In rounds, ROUND_S apart, so that the last ends well before the next invocation:

- Ends sessions whose speaker has not come back: within ROUND_S, and the time a round takes, of the end of the grace
  period (row W13). An end that broke off half way is completed.
- Every second round tells each speaker who listens (row W14), so each 30 s.
- The first round warns clients whose connection has WARNED_BEFORE_S left, once (row W17).

What fails is logged, harms nobody else, and is tried again by the next round.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import msgspec

from gateway import messages
from gateway.admission import Connection
from gateway.connecting import GONE, Equipment, end
from gateway.handler import open_equipment
from gateway.lambdas import Function, Handle
from gateway.messages import ConnectionWarning
from gateway.presence import Aged
from gateway.returning import end_abandoned
from gateway.settings import Settings
from gateway.status import Reporter, open_reporter, report_periodically
from gateway.tables import Session
from streams.aws import Clients
from streams.errors import HeraldError, NotFound
from streams.settings import load
from streams.telemetry import Log, Metrics

ROUNDS: Final = 4
ROUND_S: Final = 15.0
REPORTS_EVERY: Final = 2
"""Rounds from one periodic report to the next: 30 s."""
WARNED_BEFORE_S: Final = 900.0
"""Row W17."""
BROKEN_OFF_MS: Final = 10_000
"""An end that is not published after so long will not be by whoever began it: that is the function's time limit."""
AT_ONCE: Final = 32

_T = TypeVar("_T")


class Task(msgspec.Struct, frozen=True, rename="camel"):
    """How many rounds, and how far apart."""

    rounds: Annotated[int, msgspec.Meta(ge=1, le=60)] = ROUNDS
    round_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = ROUND_S


class Done(NamedTuple):
    """What a round did."""

    ended: int = 0
    reported: int = 0
    warned: int = 0


async def pulse(equipment: Equipment, reporter: Reporter, task: Task, note: Callable[[Done], None]) -> None:
    """All rounds. note: told what each did."""
    began_ms = equipment.now_ms()
    for number in range(task.rounds):
        due_ms = began_ms + number * task.round_s * 1000
        await equipment.sleep(max(0.0, due_ms - equipment.now_ms()) / 1000)
        note(await look(equipment, reporter, reports=number % REPORTS_EVERY == 0, warns=number == 0))


async def look(equipment: Equipment, reporter: Reporter, *, reports: bool, warns: bool) -> Done:
    """One round."""

    async def attend(session: Session) -> Done:
        now_ms = equipment.now_ms()
        if session.ended_at is not None:
            if now_ms - session.ended_at < BROKEN_OFF_MS:
                return Done()
            speaker = Connection(session.speaker_connection_id, session.session_id, "speaker")
            return Done(ended=await end(equipment, speaker, GONE) is not None)
        if session.speaker_gone_at is not None:
            is_over = now_ms - session.speaker_gone_at >= equipment.settings.speaker_grace_s * 1000
            return Done(ended=is_over and await end_abandoned(equipment, session))
        return Done(reported=reports and await report_periodically(reporter, session))

    async def warn(old: Aged) -> Done:
        return Done(warned=await _warn(equipment, reporter, old))

    done = await _each(equipment, attend, equipment.presence.unended)
    if warns:
        before_s = equipment.settings.connection_lifetime_s - WARNED_BEFORE_S
        before_ms = equipment.now_ms() - round(before_s * 1000)
        done += await _each(equipment, warn, lambda: equipment.presence.old_connections(before_ms))
    return Done(*map(sum, zip(*done, strict=True))) if done else Done()


async def _warn(equipment: Equipment, reporter: Reporter, old: Aged) -> bool:
    """Whether the client was told now. A connection that has outlived its time has gone: `sweep` will see."""
    now_ms = equipment.now_ms()
    left_s = equipment.settings.connection_lifetime_s - (now_ms - old.connected_at) / 1000
    if left_s <= 0 or not await equipment.presence.mark_warned(old.connection_id, now_ms):
        return False
    try:
        await reporter.post(old.connection_id, messages.encode(ConnectionWarning(round(left_s), now_ms // 1000)))
    except NotFound:
        return False
    return True


async def _each(
    equipment: Equipment, do: Callable[[_T], Awaitable[Done]], find: Callable[[], Awaitable[Sequence[_T]]]
) -> list[Done]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(it: _T) -> Done:
        async with slots:
            return await do(it)

    try:
        found = await find()
    except HeraldError as error:
        equipment.log.error("pulse", str(error), code=error.code)
        return []
    done = []
    for outcome in await asyncio.gather(*map(one, found), return_exceptions=True):
        if isinstance(outcome, HeraldError):
            equipment.log.error("pulse", str(outcome), code=outcome.code)
        elif isinstance(outcome, BaseException):
            raise outcome
        else:
            done.append(outcome)
    return done


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    clients = await stack.enter_async_context(Clients())
    settings = load(Settings, os.environ)
    equipment = await open_equipment(stack, clients, settings, log)
    reporter = await open_reporter(clients, settings.herald_prefix)

    def note(done: Done) -> None:
        metrics.add("SessionsAbandoned", done.ended)
        metrics.add("PeriodicStatusUpdatesSent", done.reported)
        metrics.add("ConnectionWarningsSent", done.warned)
        metrics.flush()

    async def handle(event: dict[str, Any], _: Any) -> None:
        await pulse(equipment, reporter, msgspec.convert(event, Task), note)

    return handle


FUNCTION: Final = Function("pulse", open_function, answers=False)


async def handle(event: dict[str, Any], context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: dict[str, Any], context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
