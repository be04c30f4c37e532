"""The function `control`: connections, sessions and every route but `sendAudio`."""

import asyncio
import os
import secrets
import time
from contextlib import AsyncExitStack
from typing import Any, Final

from gateway import control, events
from gateway.connecting import Equipment
from gateway.errors import ErrorCode, WireError
from gateway.invoking import invoking
from gateway.lambdas import Event, Function, Handle, now_ms
from gateway.limits import STATUS_ROUTE, Limiter
from gateway.offers import Offers
from gateway.presence import Presence
from gateway.settings import Settings
from gateway.status import reporting
from gateway.tables import Tables
from gateway.tokens import KeySet, Verifier, fetch_from
from streams.aws import Clients
from streams.kinesis import OrderedWriter
from streams.languages import Offer, ask_offers
from streams.records import SessionEvent, encode
from streams.settings import load
from streams.telemetry import Log, Metrics

WRITE_ATTEMPTS: Final = 3
"""Row S5."""


async def open_equipment(stack: AsyncExitStack, clients: Clients, settings: Settings, log: Log) -> Equipment:
    """What control routes and `sweep` work with; what must be closed goes on the stack."""
    writer = OrderedWriter(await clients.get("kinesis"), settings.physical("audio"), attempts=WRITE_ATTEMPTS)
    stack.push_async_callback(writer.close)
    functions = await clients.get("lambda")

    async def publish(event: SessionEvent) -> None:
        await writer.put(event.session_id, encode(event))

    async def ask() -> dict[str, Offer]:
        offers: dict[str, Offer] = await ask_offers(await clients.get("translate"), await clients.get("polly"))
        return offers

    keys = KeySet(fetch_from(settings.token_jwks_url), time.monotonic)
    return Equipment(
        settings=settings,
        tables=Tables(await clients.get("dynamodb"), settings.herald_prefix),
        presence=Presence(await clients.get("dynamodb"), settings.herald_prefix),
        limits=Limiter(await clients.get("dynamodb"), settings),
        verifier=Verifier(keys, settings.token_issuer, settings.token_audience, settings.token_role_claim),
        offers=Offers(ask, time.monotonic),
        publish=publish,
        welcome=invoking(functions, settings.herald_prefix, "welcome"),
        notify=invoking(functions, settings.herald_prefix, "notify"),
        report=reporting(functions, settings.herald_prefix, log),
        below=secrets.randbelow,
        now_ms=now_ms,
        sleep=asyncio.sleep,
        log=log,
    )


async def open_function(stack: AsyncExitStack, log: Log, metrics: Metrics) -> Handle:
    """The function's handle, with clients on the stack."""
    clients = await stack.enter_async_context(Clients())
    equipment = await open_equipment(stack, clients, load(Settings, os.environ), log)

    async def handle(event: Event, _: Any) -> dict[str, Any]:
        started_s = time.perf_counter()
        incoming = events.read(event)
        try:
            return await control.route(equipment, incoming)
        except WireError as error:
            if error.code is ErrorCode.RATE_LIMIT_EXCEEDED:
                metrics.add("RateLimitViolations", type=error.details["rate"])
            raise
        finally:
            metrics.add("ControlMessagesReceived", action=incoming.route)
            latency_ms = (time.perf_counter() - started_s) * 1000
            metrics.add("ControlMessageLatency", latency_ms, "Milliseconds")
            if incoming.route == STATUS_ROUTE:
                metrics.add("StatusQueriesReceived")
                metrics.add("StatusQueryLatency", latency_ms, "Milliseconds")

    return handle


FUNCTION: Final = Function("control", open_function)


async def handle(event: Event, context: Any) -> Any:
    """The entry for a server with an event loop of its own."""
    return await FUNCTION.handle(event, context)


def handler(event: Event, context: Any) -> Any:
    """The entry for Lambda."""
    return FUNCTION.run(event, context)
