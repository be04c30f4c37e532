"""The twin on the wire: HTTP/1.1 and h2c on one port, signatures, faults, the control plane.

One process and one event loop. Requests are served in the order in which they come; those that write share
one commit per turn of the loop, which is the whole of the group commit.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from granian.rsgi import HTTPProtocol, Scope  # type: ignore[attr-defined]  # granian re-exports it without saying so

from local import faults, sigv4
from local.kinesis import eventstream, requests, wire
from local.kinesis.connections import drop_connection
from local.kinesis.errors import KinesisError
from local.kinesis.operations import OPERATIONS, SUBSCRIBE
from local.kinesis.store import StoreError
from local.kinesis.subscription import TAKEOVER_MS, Subscription, subscribe
from local.kinesis.twin import Twin

_log = logging.getLogger(__name__)
_TARGET = "Kinesis_20131202."
_TRIM_PERIOD_S = 10.0
_CONTROL = "/_herald/"
_RUN = str(uuid.uuid4())[:-12]  # the beginning of all request ids of this process
_requests = itertools.count()


class App:
    """The RSGI application."""

    def __init__(self, twin: Twin, secrets: Mapping[str, str], seed: int = 0) -> None:
        self._twin = twin
        self._secrets = secrets
        self._faults = faults.Faults(seed)
        self._calls: dict[str, Counter[str]] = {}
        self._subscriptions: dict[tuple[object, ...], tuple[Subscription, asyncio.Event]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End what waits: subscriptions, half-open calls."""
        self._stopping.set()
        for _, wake in self._subscriptions.values():
            wake.set()

    async def keep_time(self) -> None:
        """Let transitions happen and expired records go, whether or not anybody asks; until cancelled."""
        self._arm()
        while True:
            await asyncio.sleep(_TRIM_PERIOD_S)
            while self._twin.trim(_now_ms()):
                await asyncio.sleep(0)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_ms = self._twin.settle(_now_ms())
        if due_ms is not None:
            delay_s = max(0, due_ms - _now_ms()) / 1000
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._arm)

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Serve one request."""
        if scope.proto != "http":
            return
        if scope.path.startswith(_CONTROL):
            await self._control(scope, protocol)
            return
        body = await protocol()
        encoding = wire.encoding_of(scope.headers.get("content-type")) or wire.JSON
        operation = (scope.headers.get("x-amz-target") or "").removeprefix(_TARGET)
        known = operation in OPERATIONS or operation == SUBSCRIBE
        calls = self._calls.setdefault(operation if known else "unknown", Counter())
        calls["calls"] += 1
        try:
            self._authenticate(scope, body)
            if not known:
                raise KinesisError("UnknownOperationException", "")
            fault = self._faults.pick(operation)
            if fault is not None and await self._suffers(fault, scope, protocol):
                calls["faults"] += 1
                return
            if operation == SUBSCRIBE:
                await self._subscribe(body, encoding, scope, protocol, fault)
                return
            partial = fault is not None and fault.kind == "partial"
            answer = await self._answer(operation, body, encoding, calls, partial=partial)
            status = 200
        except KinesisError as error:
            calls["errors"] += 1
            calls[error.code] += 1
            answer, status = wire.encode_error(error, encoding), error.status
        except Exception as error:  # noqa: BLE001 - the last line of defence of a server; it is logged and answered
            # The kind of the failure and its place, not its text, which may quote a record.
            place = traceback.extract_tb(error.__traceback__)[-1]
            failure = {"call": operation, "error": type(error).__name__, "at": f"{place.filename}:{place.lineno}"}
            _log.error("a call failed", extra=failure)
            calls["errors"] += 1
            answer, status = wire.encode_error(_internal_failure(), encoding), 500
        protocol.response_bytes(status, _headers(encoding), answer)

    def _authenticate(self, scope: Scope, body: bytes) -> None:
        headers = dict(scope.headers.items())
        headers.setdefault("host", scope.authority or "")
        try:
            sigv4.verify(
                scope.method,
                scope.path,
                scope.query_string,
                headers,
                body,
                self._secrets,
                datetime.now(UTC),
                service="kinesis",
            )
        except sigv4.SignatureError as error:
            raise KinesisError(error.code, error.message, 400) from error

    async def _answer(self, operation: str, body: bytes, encoding: str, calls: Counter[str], *, partial: bool) -> bytes:
        kind, handler, handler_partial = OPERATIONS[operation]
        if partial and handler_partial is not None:
            handler = handler_partial
        now_ms = _now_ms()
        request = wire.decode(body, kind, encoding)
        twin = self._twin
        group = twin.group
        waiting = len(group.records)
        answer = handler(twin, request, now_ms)
        if twin.group is group and len(group.records) > waiting:
            calls["records"] += len(group.records) - waiting
            await self._durable()
        elif "Records" in answer:
            calls["records"] += len(answer["Records"])
        if operation not in ("PutRecords", "PutRecord", "GetRecords"):
            self._arm()
        return wire.encode(answer, encoding)

    async def _durable(self) -> None:
        """Wait until the group that is being gathered is on disk; the first to wait has it written next."""
        loop = asyncio.get_running_loop()
        waiters = self._twin.group.waiters
        if not waiters:
            loop.call_soon(self._commit)
        done: asyncio.Future[None] = loop.create_future()

        def settle(failure: StoreError | None) -> None:
            if done.done():  # the caller has gone
                return
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(failure)

        waiters.append(settle)
        await done

    def _commit(self) -> None:
        try:
            self._twin.commit()
        except StoreError as error:  # every caller has been told
            _log.error("records not written", extra={"error": str(error)})

    async def _suffers(self, fault: faults.Fault, scope: Scope, protocol: HTTPProtocol) -> bool:
        """Do what a fault says before the call; whether that was all there will be."""
        match fault.kind:
            case "throttle":
                raise KinesisError("ProvisionedThroughputExceededException", "Rate exceeded (by a fault).")
            case "error":
                code = fault.code or "InternalFailure"
                raise KinesisError(code, "By a fault.", 500 if code == "InternalFailure" else 400)
            case "slow":
                await asyncio.sleep(fault.delay_ms / 1000)
                return False
            case "cut" if not fault.after_bytes:
                drop_connection(scope.client)
                return True
            case "half_open":
                await self._until_gone(protocol)
                return True
            case _:
                return False

    async def _until_gone(self, protocol: HTTPProtocol) -> None:
        """Wait until the caller hangs up, or the twin stops."""
        ends = [asyncio.ensure_future(protocol.client_disconnect()), asyncio.create_task(self._stopping.wait())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    async def _subscribe(
        self, body: bytes, encoding: str, scope: Scope, protocol: HTTPProtocol, fault: faults.Fault | None
    ) -> None:
        now_ms = _now_ms()
        subscription = subscribe(self._twin, wire.decode(body, requests.SubscribeToShard, encoding), now_ms)
        wake = asyncio.Event()
        self._take_over(subscription, wake, now_ms)
        stop_watching = self._twin.watch(subscription.shard, wake.set)
        transport = protocol.response_stream(200, _headers(wire.EVENT_STREAM))
        gone = asyncio.ensure_future(protocol.client_disconnect())
        gone.add_done_callback(lambda _: wake.set())
        cut_after = fault.after_bytes if fault is not None and fault.kind == "cut" else None
        ends_early = fault is not None and fault.kind == "partial"
        sent = 0
        try:
            await transport.send_bytes(eventstream.event("initial-response", wire.encode({}, encoding), encoding))
            while not (subscription.ended or gone.done() or self._stopping.is_set()):
                message = _next_message(subscription, encoding)
                if message is not None:
                    if cut_after is not None and sent + len(message) > cut_after:
                        await transport.send_bytes(message[: cut_after - sent])
                        drop_connection(scope.client)
                        return
                    await transport.send_bytes(message)
                    sent += len(message)
                    if ends_early:
                        return
                    continue
                delay_ms = subscription.wake_at_ms(_now_ms()) - _now_ms()
                await _wait(wake, max(1, delay_ms) / 1000)
        finally:
            gone.cancel()
            stop_watching()
            if self._subscriptions.get(subscription.key, (None, None))[0] is subscription:
                del self._subscriptions[subscription.key]

    def _take_over(self, subscription: Subscription, wake: asyncio.Event, now_ms: int) -> None:
        """One subscription per consumer and shard: a later call ends the earlier, but not within five seconds."""
        earlier = self._subscriptions.get(subscription.key)
        if earlier is not None:
            if now_ms - earlier[0].began_ms < TAKEOVER_MS:
                raise KinesisError(
                    "ResourceInUseException",
                    "Another active subscription exists for this consumer, and it was made less than "
                    f"{TAKEOVER_MS // 1000} seconds ago.",
                )
            earlier[0].ended = True
            earlier[1].set()
        self._subscriptions[subscription.key] = (subscription, wake)

    async def _control(self, scope: Scope, protocol: HTTPProtocol) -> None:
        body = await protocol()
        match scope.method, scope.path.removeprefix(_CONTROL):
            case "GET", "health":
                _control_answer(protocol, 200, b'{"ok":true}')
            case "GET", "calls":
                shown = {name: {"calls": 0, "errors": 0} | counts for name, counts in self._calls.items()}
                _control_answer(protocol, 200, json.dumps(shown).encode())
            case "GET", "faults":
                _control_answer(protocol, 200, faults.encode(self._faults.active()))
            case "PUT", "faults":
                try:
                    self._faults.replace(faults.decode(body))
                except (msgspec.ValidationError, msgspec.DecodeError) as error:
                    _control_answer(protocol, 400, json.dumps({"error": str(error)}).encode())
                else:
                    _control_answer(protocol, 200, b"{}")
            case "DELETE", "faults":
                self._faults.replace([])
                _control_answer(protocol, 200, b"{}")
            case _:
                _control_answer(protocol, 404, b'{"error":"no such place"}')


def _next_message(subscription: Subscription, encoding: str) -> bytes | None:
    try:
        event = subscription.next_event(_now_ms())
    except KinesisError as error:
        subscription.ended = True
        return eventstream.exception(error.code, wire.encode({"message": error.message}, encoding), encoding)
    return None if event is None else eventstream.event(SUBSCRIBE + "Event", wire.encode(event, encoding), encoding)


async def _wait(wake: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(wake.wait(), timeout_s)
    except TimeoutError:
        return
    wake.clear()


def _control_answer(protocol: HTTPProtocol, status: int, body: bytes) -> None:
    protocol.response_bytes(status, [("content-type", "application/json")], body)


def _headers(content_type: str) -> list[tuple[str, str]]:
    request_id = f"{_RUN}{next(_requests):012x}"
    return [("content-type", content_type), ("x-amzn-requestid", request_id), ("x-amz-id-2", request_id)]


def _internal_failure() -> KinesisError:
    return KinesisError("InternalFailure", "The request processing has failed because of an unknown error.", 500)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
