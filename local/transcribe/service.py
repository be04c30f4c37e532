"""The service: who may have a stream, and what is said to those who may not.

In this order, as the service: signature, request, the limit of concurrent streams, a place in the engine's pool. A
refusal is plain HTTP; whoever passes gets a `Session`.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from local import sigv4
from local.control import Calls
from local.faults import Fault, Faults
from local.transcribe import request as requests
from local.transcribe.audio import AudioReader
from local.transcribe.engine import Engine, EngineFailed, EngineFull, Recogniser
from local.transcribe.errors import ServiceError, internal_failure, limit_exceeded
from local.transcribe.http2 import Stream, StreamClosed
from local.transcribe.request import StreamRequest
from local.transcribe.session import OPERATION, Limits, Session, cut, fault_error

logger = logging.getLogger(__name__)


class Service:
    """Serves streams over one engine. ``secrets`` maps access key ids to secret keys."""

    def __init__(
        self, engine: Engine, secrets: Mapping[str, str], limits: Limits, faults: Faults, calls: Calls
    ) -> None:
        self._engine = engine
        self._secrets = secrets
        self._limits = limits
        self._faults = faults
        self._calls = calls
        self._open = 0
        self._calls.count(OPERATION, by=0)  # so that it is there to be read before the first call

    async def handle(self, stream: Stream) -> None:
        """One request, to its end."""
        self._calls.count(OPERATION)
        fault = self._faults.pick(OPERATION)
        try:
            if fault is not None and fault.after_frames == 0:
                await _fail_at_start(stream, fault)
            verified = self._authenticate(stream)
            request = requests.parse(stream.headers, self._engine.language_codes, str(uuid.uuid4()))
            if self._open >= self._limits.concurrent_streams:
                raise limit_exceeded(
                    f"You have reached your limit of concurrent streams ({self._limits.concurrent_streams})."
                )
        except ServiceError as error:
            await self._refuse(stream, error)
            return
        self._enter(1)
        try:
            await self._serve(stream, request, verified, fault)
        finally:
            self._enter(-1)

    async def _serve(
        self, stream: Stream, request: StreamRequest, verified: sigv4.Verified, fault: Fault | None
    ) -> None:
        try:
            recogniser = await self._recogniser(request)
        except ServiceError as error:
            await self._refuse(stream, error)
            return
        try:
            audio = AudioReader(verified, self._secrets[verified.access_key_id])
            await Session(stream, request, recogniser, audio, self._limits, fault, self._calls).run()
        except ServiceError as error:
            self._count_error(error)
        except StreamClosed:
            self._calls.count(OPERATION, "abandoned")
            raise
        finally:
            recogniser.close()

    def _authenticate(self, stream: Stream) -> sigv4.Verified:
        path, _, query = stream.headers.get(":path", "").partition("?")
        method = stream.headers.get(":method", "")
        if (method, path) != ("POST", requests.PATH):
            raise ServiceError("UnknownOperationException", "There is no such operation here.")
        try:
            # The body is a stream that is signed chunk by chunk; here it counts as empty.
            return sigv4.verify(
                method, path, query, stream.headers, b"", self._secrets, datetime.now(UTC), service="transcribe"
            )
        except sigv4.SignatureError as error:
            raise ServiceError(error.code, error.message, error.status) from error

    async def _recogniser(self, request: StreamRequest) -> Recogniser:
        try:
            return await self._engine.open(request)
        except EngineFull as error:
            raise limit_exceeded(str(error)) from error
        except EngineFailed as error:
            raise internal_failure(str(error)) from error

    async def _refuse(self, stream: Stream, error: ServiceError) -> None:
        self._count_error(error)
        stream.respond(
            error.status,
            [
                ("content-type", "application/json"),
                ("x-amzn-errortype", error.code),
                ("x-amzn-request-id", str(uuid.uuid4())),
            ],
        )
        await stream.send(json.dumps({"Message": error.message}).encode())
        stream.end()

    def _enter(self, by: int) -> None:
        self._open += by
        self._calls.count(OPERATION, "open", by)

    def _count_error(self, error: ServiceError) -> None:
        self._calls.count(OPERATION, "errors")
        self._calls.count(OPERATION, error.code)
        logger.info("a stream was refused or broken off", extra={"code": error.code})


async def _fail_at_start(stream: Stream, fault: Fault) -> None:
    """Do what a fault wants of a stream that has not begun. Returns when it begins all the same."""
    match fault.kind:
        case "throttle" | "error":
            raise fault_error(fault)
        case "cut":
            cut(stream, fault)
        case "half_open":
            await stream.closed_by_client()
        case "slow" | "partial":
            return
