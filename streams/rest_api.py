"""POST requests that are signed and sent as they are, for services whose operations have a path of their own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from yarl import URL

from streams.errors import HeraldError, NotFound, Refused, Throttled, Unavailable
from streams.http1 import Http1
from streams.signing import Signer

_NOT_FOUND: Final = frozenset({404, 410})
_TOO_MANY: Final = 429
_NO_FAULT_BELOW: Final = 300
_THEIR_FAULT: Final = 500


class RestApi:
    """One service, beside the SDK's client for it. credentials: its session's; None: every request fails.

    bounds: see `Http1`.
    """

    def __init__(self, client: Any, credentials: Any, **bounds: Any) -> None:
        endpoint = URL(client.meta.endpoint_url)
        self._credentials = credentials
        self._base = endpoint.raw_path.rstrip("/")
        self._signer = Signer(endpoint, client.meta.service_model.signing_name, client.meta.region_name)
        self._http = Http1(endpoint, **bounds)

    async def post(self, path: str, body: bytes, doing: str, headers: Mapping[str, str] | None = None) -> None:
        """What is answered is not read, but for errors. path: percent-encoded. doing: for messages of errors.

        Raises HeraldError, and what the connection raises; NotFound for 404 and 410.
        """
        if self._credentials is None:
            raise Refused(f"{doing}: there are no credentials", code="NoCredentials")
        credentials = await self._credentials.get_frozen_credentials()
        request = self._signer.request(credentials, "POST", self._base + path, body, datetime.now(UTC), headers)
        answer = await self._http.request(request)
        if answer.status >= _NO_FAULT_BELOW:
            raise _error(answer.status, answer.headers.get("x-amzn-errortype", ""), doing)

    async def close(self) -> None:
        """Close the connections that requests went by."""
        await self._http.close()


def _error(status: int, kind: str, doing: str) -> HeraldError:
    code = kind.partition(":")[0] or f"Status{status}"
    message = f"{doing}: {code}"
    if status in _NOT_FOUND:
        return NotFound(message, code=code)
    if status == _TOO_MANY:
        return Throttled(message, code=code)
    if status >= _THEIR_FAULT:
        return Unavailable(message, code=code)
    return Refused(message, code=code)
