"""Posts to WebSocket connections through API Gateway's management API, at a seventh of what the SDK's client costs.

A message to 500 listeners is 500 requests; the SDK's way through models, hooks and serialisers takes some milliseconds
of CPU for each. Here a request is signed and sent as it is. Whatever is rare is the SDK's client's.
"""

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from streams.errors import HeraldError, NotFound, Refused, Throttled, Unavailable
from streams.http1 import Http1
from streams.signing import Signer

SERVICE: Final = "execute-api"
_GONE: Final = 410
_TOO_MANY: Final = 429
_OUR_FAULT: Final = 400
_THEIR_FAULT: Final = 500


class Management:
    """The management API. client: the SDK's, for the rest. credentials: its session's; None: what is not signed fails.

    bounds: see `Http1`.
    """

    def __init__(self, client: Any, credentials: Any, **bounds: Any) -> None:
        self._client = client
        self._credentials = credentials
        endpoint = URL(client.meta.endpoint_url)
        self._path = f"{endpoint.raw_path.rstrip('/')}/@connections/"
        self._signer = Signer(endpoint, SERVICE, client.meta.region_name)
        self._http = Http1(endpoint, **bounds)

    async def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - the SDK's names
        """Send a message. Raises HeraldError, and what the connection raises; NotFound for a client that has gone."""
        if self._credentials is None:
            raise Refused("posting to a connection: there are no credentials", code="NoCredentials")
        path = self._path + quote(ConnectionId, safe="")
        credentials = await self._credentials.get_frozen_credentials()
        answer = await self._http.request(self._signer.request(credentials, "POST", path, Data, datetime.now(UTC)))
        if answer.status >= _OUR_FAULT:
            raise _error(answer.status, answer.headers.get("x-amzn-errortype", ""))

    async def close(self) -> None:
        """Close the connections that posts went by."""
        await self._http.close()

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
