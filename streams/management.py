"""Posts to WebSocket connections through API Gateway's management API, at a tenth of what the SDK's client costs.

A message to 500 listeners is 500 requests; the SDK's way through models, hooks and serialisers takes some milliseconds
of CPU for each. Here a request is signed and sent as it is. Whatever is rare is the SDK's client's.
"""

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from streams.errors import HeraldError, NotFound, Refused, Throttled, Unavailable
from streams.signing import signed_headers

SERVICE: Final = "execute-api"
_GONE: Final = 410
_TOO_MANY: Final = 429
_OUR_FAULT: Final = 400
_THEIR_FAULT: Final = 500


class Management:
    """The management API. client: the SDK's, for the rest. credentials: its session's; None: what is not signed fails.

    http: with room for as many connections as posts are to be under way.
    """

    def __init__(self, client: Any, credentials: Any, http: aiohttp.ClientSession) -> None:
        self._client = client
        self._credentials = credentials
        self._http = http
        self._region: str = client.meta.region_name
        endpoint = URL(client.meta.endpoint_url)
        self._origin = str(endpoint.origin())
        self._host = endpoint.host_port_subcomponent or ""
        self._path = f"{endpoint.raw_path.rstrip('/')}/@connections/"

    async def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - the SDK's names
        """Send a message. Raises HeraldError, and what the connection raises; NotFound for a client that has gone."""
        if self._credentials is None:
            raise Refused("posting to a connection: there are no credentials", code="NoCredentials")
        path = self._path + quote(ConnectionId, safe="")
        headers = signed_headers(
            await self._credentials.get_frozen_credentials(),
            service=SERVICE, region=self._region, method="POST", host=self._host, path=path, body=Data,
            now=datetime.now(UTC),
        )  # fmt: skip
        url = URL(self._origin + path, encoded=True)
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
