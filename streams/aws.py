"""The AWS clients of one program, and their errors in our words.

Retries are off in the clients: who calls decides (the driver by row S5; a Lambda not at all). Endpoints, region and
credentials come from the standard variables, so the same program runs against AWS and against the local twins.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import botocore
import pybase64
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError
from botocore.utils import get_environ_proxies, parse_timestamp

from streams.errors import HeraldError, NotFound, Refused, Throttled, TimedOut, Unavailable
from streams.invocations import Invocations
from streams.json_api import OPERATIONS, JsonApi
from streams.management import Management

CONNECT_TIMEOUT_S: Final = 2
READ_TIMEOUT_S: Final = 15
"""Over the longest answer that we wait for (speech for a long clause), under API Gateway's 29 s."""
STORE_TIMEOUT_S: Final = 4
"""Streams and tables answer within milliseconds. A connection that says nothing any more must cost neither a lease,
which lasts 10 s and is renewed every 3.3, nor all speakers whose chunks wait behind it."""
_STORES: Final = frozenset({"kinesis", "dynamodb"})
USER_AGENT: Final = f"Herald Botocore/{botocore.__version__}"
"""Given, not left to the SDK: it puts its own together anew for each call, a fifth of what a call costs."""
MAX_CONNECTIONS: Final = 100
"""Row B1's posts in flight; other services need fewer."""

MANAGEMENT: Final = "apigatewaymanagementapi"
LAMBDA: Final = "lambda"

_THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "LimitExceededException",
        "KMSThrottlingException",
        "TransactionInProgressException",
    }
)
_NOT_FOUND: Final = frozenset({"ResourceNotFoundException", "GoneException", "NotFoundException"})
_UNAVAILABLE_FROM_STATUS: Final = 500
_NO_WHOLE_ANSWER: Final = (HTTPClientError, ConnectionError, OSError, IncompleteReadError, aiohttp.ClientError)
"""The last two come out of an answer's body that breaks off while it is read: the SDK leaves them as they are."""


class Clients:
    """One client per service, made when first asked for, closed together."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._session = get_session()
        parsers = self._session.get_component("response_parser_factory")
        parsers.set_parser_defaults(timestamp_parser=_timestamp, blob_parser=_blob)
        self._clients: dict[str, Any] = {}
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def get(self, service: str) -> Any:
        """The program's client for `service` (boto's name)."""
        async with self._lock:
            if service not in self._clients:
                config = AioConfig(
                    connect_timeout=CONNECT_TIMEOUT_S,
                    read_timeout=STORE_TIMEOUT_S if service in _STORES else READ_TIMEOUT_S,
                    max_pool_connections=MAX_CONNECTIONS,
                    retries={"total_max_attempts": 1},
                    parameter_validation=False,
                    user_agent=USER_AGENT,
                )
                client = await self._stack.enter_async_context(self._session.create_client(service, config=config))
                self._clients[service] = await self._ours(service, client)
            return self._clients[service]

    async def _ours(self, service: str, client: Any) -> Any:
        """A client of ours in front of the SDK's, where there is one. By way of a proxy only the SDK's knows how."""
        if get_environ_proxies(client.meta.endpoint_url):
            return client
        bounds: dict[str, Any] = {
            "most": MAX_CONNECTIONS,
            "connect_s": CONNECT_TIMEOUT_S,
            "answer_s": STORE_TIMEOUT_S if service in _STORES else READ_TIMEOUT_S,
            "authorities": self._session.get_config_variable("ca_bundle"),
        }
        credentials = await self._session.get_credentials()
        made: Management | Invocations | JsonApi
        if service == MANAGEMENT:
            made = Management(client, credentials, **bounds)
        elif service == LAMBDA:
            made = Invocations(client, credentials, **bounds)
        elif service in OPERATIONS:
            made = JsonApi(client, credentials, OPERATIONS[service], **bounds)
        else:
            return client
        self._stack.push_async_callback(made.close)
        return made


def _timestamp(value: Any) -> datetime:
    """As botocore has it, but in UTC: it asks for the local time zone anew for each, a third of what a read costs."""
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else parse_timestamp(value)


def _blob(value: str) -> bytes:
    return pybase64.b64decode(value, validate=True)


def as_error(error: BaseException, doing: str) -> HeraldError:
    """What went wrong while `doing`, in our words; the cause is for `raise ... from`.

    Of a service's error only the code is kept: its message may repeat what was sent.
    """
    if isinstance(error, HeraldError):
        return error
    if isinstance(error, ClientError):
        return _as_service_error(error, doing)
    if isinstance(error, TimeoutError):
        return TimedOut(f"{doing}: no answer in time")
    if isinstance(error, _NO_WHOLE_ANSWER):
        return Unavailable(f"{doing}: {type(error).__name__}")
    raise error


def _as_service_error(error: ClientError, doing: str) -> HeraldError:
    code = str(error.response.get("Error", {}).get("Code", "Unknown"))
    message = f"{doing}: {code}"
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _THROTTLED or status == 429:
        return Throttled(message, code=code)
    if code in _NOT_FOUND or status == 410:
        return NotFound(message, code=code)
    if status >= _UNAVAILABLE_FROM_STATUS or code in {"InternalFailure", "RequestTimeout"}:
        return Unavailable(message, code=code)
    return Refused(message, code=code)
