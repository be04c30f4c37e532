"""The events of a WebSocket API, as Lambda proxy integrations get them (payload format 1.0). Pure.

Fields and spellings are those of the service's developer guide ("Set up a WebSocket API with Lambda proxy
integration") and of captured events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

API_ID: Final = "local"
STAGE: Final = "live"


class Peer(NamedTuple):
    """A connection as its events describe it. connected_ms: Unix milliseconds."""

    connection_id: str
    connected_ms: int
    source_ip: str
    user_agent: str
    domain_name: str


class _Action(msgspec.Struct):
    action: str


_action_decoder: Final = msgspec.json.Decoder(_Action)


def selected_route(text: str, known: frozenset[str]) -> str:
    """The route that `$request.body.action` selects; `$default` if it selects none."""
    try:
        action = _action_decoder.decode(text).action
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "$default"
    return action if action in known and not action.startswith("$") else "$default"


def connect(
    peer: Peer, request_id: str, now_ms: int, headers: Mapping[str, str], query: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """The event of `$connect`."""
    event: dict[str, Any] = {
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": _context(peer, "$connect", "CONNECT", request_id, now_ms),
        "isBase64Encoded": False,
    }
    if query:
        several: dict[str, list[str]] = {}
        for name, value in query:
            several.setdefault(name, []).append(value)
        event["queryStringParameters"] = {name: values[-1] for name, values in several.items()}
        event["multiValueQueryStringParameters"] = several
    return event


def message(
    peer: Peer, route: str, request_id: str, message_id: str, now_ms: int, body: str, *, base64: bool = False
) -> dict[str, Any]:
    """The event of a message; a binary one comes as base64."""
    context = _context(peer, route, "MESSAGE", request_id, now_ms)
    context["messageId"] = message_id
    return {"requestContext": context, "body": body, "isBase64Encoded": base64}


def disconnect(peer: Peer, request_id: str, now_ms: int, code: int, reason: str) -> dict[str, Any]:
    """The event of `$disconnect`. code: the WebSocket's close code, 1006 if it was none."""
    context = _context(peer, "$disconnect", "DISCONNECT", request_id, now_ms)
    context["disconnectStatusCode"] = code
    context["disconnectReason"] = reason
    return {
        "headers": {"Host": peer.domain_name, "x-api-key": "", "X-Forwarded-For": "", "x-restapi": ""},
        "multiValueHeaders": {"Host": [peer.domain_name], "x-api-key": [""], "X-Forwarded-For": [""]},
        "requestContext": context,
        "isBase64Encoded": False,
    }


def failure(text: str, connection_id: str, request_id: str) -> str:
    """What the service itself sends a client when a message failed."""
    return json.dumps({"message": text, "connectionId": connection_id, "requestId": request_id})


def _context(peer: Peer, route: str, kind: str, request_id: str, now_ms: int) -> dict[str, Any]:
    at = datetime.fromtimestamp(now_ms / 1000, UTC)
    return {
        "routeKey": route,
        "eventType": kind,
        "extendedRequestId": request_id,
        "requestTime": at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "messageDirection": "IN",
        "stage": STAGE,
        "connectedAt": peer.connected_ms,
        "requestTimeEpoch": now_ms,
        "identity": {"sourceIp": peer.source_ip, "userAgent": peer.user_agent},
        "requestId": request_id,
        "domainName": peer.domain_name,
        "connectionId": peer.connection_id,
        "apiId": API_ID,
    }
