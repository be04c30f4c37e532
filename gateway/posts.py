"""Messages to a client through API Gateway's management API, and the end of its connection."""

from typing import Any

from streams.aws import as_error
from streams.errors import NotFound


class Posts:
    """Sends to connections. Raises HeraldError; NotFound (code GoneException) for one that is not there."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def send(self, connection_id: str, message: str) -> None:
        """Send a message."""
        try:
            await self._client.post_to_connection(ConnectionId=connection_id, Data=message.encode())
        except Exception as error:
            raise as_error(error, "posting to a connection") from error

    async def last_active_ms(self, connection_id: str) -> int | None:
        """When something last came from or went to the client, Unix milliseconds; None when it is not there."""
        try:
            answer = await self._client.get_connection(ConnectionId=connection_id)
        except Exception as error:
            failure = as_error(error, "asking for a connection")
            if isinstance(failure, NotFound):
                return None
            raise failure from error
        active_ms: int = round(answer["LastActiveAt"].timestamp() * 1000)
        return active_ms

    async def disconnect(self, connection_id: str) -> None:
        """Close the connection; one that is not there any more is closed."""
        try:
            await self._client.delete_connection(ConnectionId=connection_id)
        except Exception as error:
            failure = as_error(error, "closing a connection")
            if not isinstance(failure, NotFound):
                raise failure from error
