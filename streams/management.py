"""Posts to WebSocket connections through API Gateway's management API, at a seventh of what the SDK's client costs.

A message to 500 listeners is 500 requests; the SDK's way through models, hooks and serialisers takes some milliseconds
of CPU for each. Here a request is signed and sent as it is. Whatever is rare is the SDK's client's.
"""

from functools import lru_cache
from typing import Any
from urllib.parse import quote

from streams.rest_api import RestApi
from streams.signing import MAX_PATHS


class Management:
    """The management API. client: the SDK's, for the rest. The others: see `RestApi`."""

    def __init__(self, client: Any, credentials: Any, **bounds: Any) -> None:
        self._client = client
        self._api = RestApi(client, credentials, **bounds)

    async def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - the SDK's names
        """Send a message. Raises HeraldError, and what the connection raises; NotFound for a client that has gone."""
        await self._api.post(_path(ConnectionId), Data, "posting to a connection")

    async def close(self) -> None:
        """Close the connections that posts went by."""
        await self._api.close()

    async def get_connection(self, **arguments: Any) -> Any:
        """As the SDK has it."""
        return await self._client.get_connection(**arguments)

    async def delete_connection(self, **arguments: Any) -> Any:
        """As the SDK has it."""
        return await self._client.delete_connection(**arguments)


@lru_cache(maxsize=MAX_PATHS)
def _path(connection_id: str) -> str:
    return f"/@connections/{quote(connection_id, safe='')}"
