"""Posts to WebSocket connections through API Gateway's management API, at a fifth of what the SDK's client costs.

A message to 500 listeners is 500 requests; the SDK's way through models, hooks and serialisers takes some milliseconds
of CPU for each. Here a request is signed by hand (AWS' "Create a signed API request", Signature Version 4) and sent.
Whatever is rare is the SDK's client's.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlsplit

import aiohttp
from yarl import URL

from streams.errors import HeraldError, NotFound, Refused, Throttled, Unavailable

SERVICE: Final = "execute-api"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_GONE: Final = 410
_TOO_MANY: Final = 429
_OUR_FAULT: Final = 400
_THEIR_FAULT: Final = 500


class Management:
    """The management API. client: the SDK's, for the rest. credentials: its session's; None: what is not signed fails.

    http: with room for as many connections as posts are to be under way. utc_now: the clock that signatures go by.
    """

    def __init__(
        self, client: Any, credentials: Any, http: aiohttp.ClientSession, utc_now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._http = http
        self._utc_now = utc_now
        self._region: str = client.meta.region_name
        self._endpoint: str = client.meta.endpoint_url.rstrip("/")
        parts = urlsplit(self._endpoint)
        self._host = parts.netloc
        self._stage = parts.path

    async def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - the SDK's names
        """Send a message. Raises HeraldError, and what the connection raises; NotFound for a client that has gone."""
        if self._credentials is None:
            raise Refused("posting to a connection: there are no credentials", code="NoCredentials")
        key = await self._credentials.get_frozen_credentials()
        path = f"{self._stage}/@connections/{quote(ConnectionId, safe='')}"
        headers = {"x-amz-date": self._utc_now().strftime("%Y%m%dT%H%M%SZ")}
        if key.token:
            headers["x-amz-security-token"] = key.token
        headers["authorization"] = _authorization(
            key.access_key, key.secret_key, self._region, path, {"host": self._host, **headers}, Data
        )
        url = URL(self._endpoint + path.removeprefix(self._stage), encoded=True)
        async with self._http.post(url, data=Data, headers=headers) as answer:
            await answer.read()
            if answer.status >= _OUR_FAULT:
                raise _error(answer.status, answer.headers.get("x-amzn-ErrorType", ""))

    async def get_connection(self, **arguments: Any) -> Any:
        """As the SDK has it."""
        return await self._client.get_connection(**arguments)

    async def delete_connection(self, **arguments: Any) -> Any:
        """As the SDK has it."""
        return await self._client.delete_connection(**arguments)


def _error(status: int, kind: str) -> HeraldError:
    code = kind.partition(":")[0] or f"Status{status}"
    message = f"posting to a connection: {code}"
    if status == _GONE:
        return NotFound(message, code=code)
    if status == _TOO_MANY:
        return Throttled(message, code=code)
    if status >= _THEIR_FAULT:
        return Unavailable(message, code=code)
    return Refused(message, code=code)


def _authorization(access_key: str, secret: str, region: str, path: str, headers: dict[str, str], body: bytes) -> str:
    """The header that signs a POST. path: as it is sent; headers: those that are signed, in order of their names."""
    names = ";".join(headers)
    canonical = "\n".join(
        (
            "POST",
            quote(path, safe="/-_.~"),
            "",
            *(f"{name}:{value}" for name, value in headers.items()),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    at = headers["x-amz-date"]
    scope = f"{at[:8]}/{region}/{SERVICE}/aws4_request"
    to_sign = f"{_ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(_signing_key(secret, at[:8], region), to_sign.encode(), hashlib.sha256).hexdigest()
    return f"{_ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"


@lru_cache(maxsize=4)
def _signing_key(secret: str, date: str, region: str) -> bytes:
    """The key of one day; it costs four hashes."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
