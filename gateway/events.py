"""What API Gateway tells a function of a WebSocket message: the parts of its event that we use."""

import base64
import binascii
import hashlib
from typing import Any, NamedTuple

from gateway.errors import ErrorCode, WireError


class Incoming(NamedTuple):
    """One invocation. arrived_ms: when API Gateway had the message (Unix milliseconds, its clock).

    source_ip: the client's address; neither logged nor stored in clear.
    """

    route: str
    connection_id: str
    arrived_ms: int
    query: dict[str, str]
    body: str
    request_id: str
    source_ip: str = ""


def read(event: dict[str, Any]) -> Incoming:
    """The invocation in an event. Raises WireError(INVALID_MESSAGE) for a binary body that is no text."""
    context = event["requestContext"]
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise WireError(ErrorCode.INVALID_MESSAGE, "The message is not text.") from error
    return Incoming(
        route=context["routeKey"],
        connection_id=context["connectionId"],
        arrived_ms=int(context["requestTimeEpoch"]),
        query=event.get("queryStringParameters") or {},
        body=body,
        request_id=context.get("requestId", ""),
        source_ip=context.get("identity", {}).get("sourceIp", ""),
    )


def connection_hash(connection_id: str) -> str:
    """What records and logs may have of a connection id: its SHA-256, in hex (row X2)."""
    return hashlib.sha256(connection_id.encode()).hexdigest()
