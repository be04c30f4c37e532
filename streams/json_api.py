"""The calls that a stage or function makes all the time, at an eighth of what the SDK's client takes for one.

Of a chunk's or control message's CPU two thirds were the SDK's way through endpoint rules, hooks, serialisers and
signers: 1.5 ms for a call. Requests of these services are the arguments as JSON, so here they are sent so. Whatever is
rare, or has times in its answer, is the SDK's client's, and errors are its errors.
"""

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import pybase64
from botocore import xform_name
from botocore.exceptions import ClientError
from yarl import URL

from streams.errors import Refused, Unavailable
from streams.http1 import Answer, Http1
from streams.signing import Signer

OPERATIONS: Final = {
    "dynamodb": ("BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"),
    "kinesis": ("PutRecords",),
}
_NO_FAULT_BELOW: Final = 300
_BLOB: Final = b'"B"'


class JsonApi:
    """A client in front of the SDK's, with the SDK's methods. operations: those that are called from here.

    credentials: its session's; None: what is called from here fails. bounds: see `Http1`.
    """

    def __init__(self, client: Any, credentials: Any, operations: Iterable[str], **bounds: Any) -> None:
        model = client.meta.service_model
        endpoint = URL(client.meta.endpoint_url)
        self._client = client
        self._credentials = credentials
        self._target = f"{model.metadata['targetPrefix']}."
        self._content_type = f"application/x-amz-json-{model.metadata['jsonVersion']}"
        self._signer = Signer(endpoint, model.signing_name, client.meta.region_name)
        self._http = Http1(endpoint, **bounds)
        self._ours = {xform_name(operation): self._calling(operation) for operation in operations}

    def __getattr__(self, name: str) -> Any:
        ours = self.__dict__.get("_ours", {}).get(name)
        return getattr(self._client, name) if ours is None else ours

    async def close(self) -> None:
        """Close the connections that calls went by."""
        await self._http.close()

    def _calling(self, operation: str) -> Callable[..., Awaitable[dict[str, Any]]]:
        headers = {"content-type": self._content_type, "x-amz-target": self._target + operation}

        async def call(**arguments: Any) -> dict[str, Any]:
            if self._credentials is None:
                raise Refused(f"calling {operation}: there are no credentials", code="NoCredentials")
            credentials = await self._credentials.get_frozen_credentials()
            body = msgspec.json.encode(arguments)
            request = self._signer.request(credentials, "POST", "/", body, datetime.now(UTC), headers)
            answer = await self._http.request(request)
            if answer.status >= _NO_FAULT_BELOW:
                raise _error(answer, operation)
            try:
                return _decoded(answer.body)
            except ValueError as error:
                raise Unavailable(f"calling {operation}: the answer is none of the service's") from error

        return call


def _decoded(body: bytes) -> dict[str, Any]:
    """What a service answered. The bytes of an item come as base64. Raises ValueError for what is no JSON object."""
    found = msgspec.json.decode(body, type=dict[str, Any]) if body else {}
    if _BLOB in body:
        _decode_blobs(found)
    return found


def _decode_blobs(value: Any) -> None:
    """In place, attribute values of the type B. An attribute may be called B too: its value is a map."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "B" and isinstance(inner, str):
                value[name] = pybase64.b64decode(inner, validate=True)
            else:
                _decode_blobs(inner)
    elif isinstance(value, list):
        for inner in value:
            _decode_blobs(inner)


def _error(answer: Answer, operation: str) -> ClientError:
    """As the SDK would raise it: with what the service sends along, such as the item of a condition that failed."""
    try:
        found = _decoded(answer.body)
    except ValueError:
        found = {}
    code = (
        str(found.pop("__type", "")).rpartition("#")[2] or answer.headers.get("x-amzn-errortype", "").partition(":")[0]
    )
    message = str(found.pop("message", found.pop("Message", "")))
    return ClientError(
        {
            **found,
            "Error": {"Code": code or str(answer.status), "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": answer.status},
        },
        operation,
    )
