"""The protocol's description for machines: an AsyncAPI 3 document, made from the structs that the code itself uses.

    python -m ops.asyncapi > docs/asyncapi.json

It describes the server, so `receive` is what a client sends, and `send` what a client gets. There is a channel for
each role: both are the same address, told apart by the query of the handshake. A test compares what is made here with
`docs/asyncapi.json`, and both with AsyncAPI's own schema.
"""

import inspect
import json
import re
import sys
from importlib.metadata import version
from typing import Any, Final

import msgspec

from gateway import messages, routes
from gateway.errors import STATUS, ErrorCode, ErrorMessage
from gateway.limits import STATUS_ROUTE, Limiter
from gateway.messages import NOTICES, QUERIES, REQUESTS, ConnectionWarning, ServerDraining, SessionStatus
from gateway.settings import Settings
from gateway.windows import Rate
from ingest.admission import SendAudio
from ingest.handler import AudioReceived
from stages.broadcast import messages as broadcast
from stages.emotion import speaker as emotion

Document = dict[str, Any]

ROLES: Final = ("speaker", "listener")
ACTIONS: Final = {
    "speaker": ("createSession", "resumeSession", "refreshConnection"),
    "listener": ("joinSession", "refreshConnection"),
}
"""What a role may ask of `$connect`."""
TO_BOTH: Final = (ConnectionWarning, ServerDraining)
"""Notices that speakers get too; all others are for listeners."""

_ANY: Final = (
    ErrorCode.INVALID_MESSAGE,
    ErrorCode.UNAUTHORIZED,
    ErrorCode.CONNECTION_NOT_FOUND,
    ErrorCode.PAYLOAD_TOO_LARGE,
    ErrorCode.RATE_LIMIT_EXCEEDED,
    ErrorCode.INTERNAL_ERROR,
    ErrorCode.SERVICE_UNAVAILABLE,
    ErrorCode.TIMEOUT,
)
_OF_A_SESSION: Final = (*_ANY, ErrorCode.SESSION_NOT_FOUND)
_STATE_CHANGES: Final = ("pauseBroadcast", "resumeBroadcast", "muteBroadcast", "unmuteBroadcast")
ERRORS: Final[dict[str, tuple[ErrorCode, ...]]] = {
    "sendAudio": (
        *_OF_A_SESSION,
        ErrorCode.BROADCAST_PAUSED,
        ErrorCode.BROADCAST_MUTED,
        ErrorCode.INVALID_AUDIO_FORMAT,
    ),
    **dict.fromkeys((*_STATE_CHANGES, "endSession", STATUS_ROUTE), _OF_A_SESSION),
    "setVolume": (*_OF_A_SESSION, ErrorCode.INVALID_VOLUME),
    "speakerStateChange": (*_OF_A_SESSION, ErrorCode.INVALID_VOLUME),
    "changeLanguage": (*_ANY, ErrorCode.UNSUPPORTED_LANGUAGE),
    "pausePlayback": _ANY,
    "heartbeat": _ANY,
}
"""What each route may be refused with (row W19)."""
_HANDSHAKE: Final = (
    ErrorCode.INVALID_MESSAGE,
    ErrorCode.UNSUPPORTED_LANGUAGE,
    ErrorCode.RATE_LIMIT_EXCEEDED,
    ErrorCode.INTERNAL_ERROR,
    ErrorCode.SERVICE_UNAVAILABLE,
    ErrorCode.TIMEOUT,
)
HANDSHAKE_ERRORS: Final = {
    "speaker": (*_HANDSHAKE, ErrorCode.UNAUTHENTICATED, ErrorCode.UNAUTHORIZED, ErrorCode.SESSION_NOT_FOUND),
    "listener": (*_HANDSHAKE, ErrorCode.SESSION_NOT_FOUND, ErrorCode.SESSION_FULL),
}
"""Whose status a handshake may be refused with; the body need not reach the client."""


def document() -> Document:
    """The whole of it."""
    structs = [each for pair in _requests().values() for each in pair] + [query for query, _ in QUERIES.values()]
    structs += [each for role in ROLES for each in _pushed(role)] + [ErrorMessage]
    refs, schemas = _schemas(list(dict.fromkeys(structs)))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Herald",
            "version": version("herald"),
            "description": _text(
                "One speaker's voice, live, to many listeners in their own languages. Messages are JSON text with an"
                " `action` (from clients) or a `type` (to clients). `timestamp`s are Unix seconds, but that of"
                " `sendAudio`, in milliseconds. What is refused is answered with `error`; its code, and the status that"
                " goes with it, are in `x-errors`. `x-rates` are what a server allows unless it is set otherwise."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {role: _channel(role, refs) for role in ROLES},
        "operations": _operations(),
        "components": {
            "messages": _messages(refs),
            "schemas": schemas,
            "securitySchemes": {
                "token": {
                    "type": "httpApiKey",
                    "in": "query",
                    "name": "token",
                    "description": "A speaker's OpenID Connect token, signed with a key of the issuer's key set.",
                }
            },
        },
    }


def _requests() -> dict[str, tuple[type[Any], type[Any]]]:
    return {"sendAudio": (SendAudio, AudioReceived), **REQUESTS}


def _roles(action: str) -> tuple[str, ...]:
    who = routes.BY_KEY[action].who
    return ROLES if who == "both" else (who,)


def _pushed(role: str) -> list[type[Any]]:
    """What this role is sent without having asked, greetings first."""
    greetings = [QUERIES[action][1] for action in ACTIONS[role]]
    if role == "speaker":
        return [*greetings, SessionStatus, *emotion.MESSAGES, *TO_BOTH]
    return [*greetings, *NOTICES, *broadcast.MESSAGES]


def _tag(struct: type[Any]) -> str:
    return str(struct.__struct_config__.tag)


def _servers() -> Document:
    local = {"host": "127.0.0.1:8080", "pathname": "/live", "protocol": "ws", "description": "`herald up`"}
    aws = {
        "host": "{api}.execute-api.{region}.amazonaws.com",
        "pathname": "/{stage}",
        "protocol": "wss",
        "description": "API Gateway",
        "variables": {
            "api": {"description": "the WebSocket API's id"},
            "region": {"default": "us-east-1"},
            "stage": {"default": "live"},
        },
    }
    return {"local": local, "aws": aws}


def _channel(role: str, refs: dict[type[Any], str]) -> Document:
    queries = []
    for action in ACTIONS[role]:
        query = {"$ref": refs[QUERIES[action][0]]}
        only = {"type": "object", "properties": {"action": {"const": action}}, "required": ["action"]}
        queries.append({"title": action, "allOf": [only, query]})
    names = {"error": "error"} | {action: action for action in _requests() if role in _roles(action)}
    names |= {_tag(struct): _name(struct) for struct in _sent(role)}
    rates = [
        rate for rate in _rates().items() if rate[0].name in ("connect", "join" if role == "listener" else "session")
    ]
    return {
        "address": "/",
        "title": role.capitalize(),
        "description": "The handshake's query says what is wanted; the first message that follows is its greeting.",
        "messages": {name: {"$ref": f"#/components/messages/{component}"} for name, component in names.items()},
        "bindings": {
            "ws": {
                "method": "GET",
                "query": {
                    "type": "object",
                    "properties": {"action": {"type": "string", "enum": list(ACTIONS[role])}},
                    "required": ["action"],
                    "oneOf": queries,
                },
                "bindingVersion": "0.1.0",
            }
        },
        "x-errors": _errors(HANDSHAKE_ERRORS[role]),
        "x-rates": [_rate(rate, per) for rate, per in rates],
        "x-limits": msgspec.to_builtins(_settings().limits()),
    }


def _sent(role: str) -> list[type[Any]]:
    """Everything this role may get but errors; where two structs are one message, the answer to a request counts."""
    answers = [answer for action, (_, answer) in _requests().items() if role in _roles(action)]
    found = {_tag(struct): struct for struct in [*_pushed(role), *answers]}
    return list(found.values())


def _operations() -> Document:
    operations: Document = {}
    for action, (request, answer) in _requests().items():
        for role in _roles(action):
            operations[f"{role}.{action}"] = {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{role}"},
                "title": action,
                "description": _text(inspect.getdoc(request) or ""),
                "messages": [{"$ref": f"#/channels/{role}/messages/{action}"}],
                "reply": {
                    "channel": {"$ref": f"#/channels/{role}"},
                    "messages": [{"$ref": f"#/channels/{role}/messages/{name}"} for name in (_tag(answer), "error")],
                },
                "x-errors": _errors(ERRORS[action]),
                "x-rates": _rates_of(action),
            }
            if role == "speaker":
                operations[f"{role}.{action}"]["security"] = [{"$ref": "#/components/securitySchemes/token"}]
    for role in ROLES:
        tags = dict.fromkeys(_tag(struct) for struct in _pushed(role))
        operations[f"{role}.told"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{role}"},
            "title": f"What a {role} is sent unasked",
            "messages": [{"$ref": f"#/channels/{role}/messages/{tag}"} for tag in tags],
        }
    return operations


def _messages(refs: dict[type[Any], str]) -> Document:
    found: Document = {}
    for action, (request, _) in _requests().items():
        only = {"type": "object", "properties": {"action": {"const": action}}}
        found[action] = {"name": action, "payload": {"allOf": [{"$ref": refs[request]}, only]}}
    for role in ROLES:
        for struct in _sent(role):
            found[_name(struct)] = {"name": _tag(struct), "payload": {"$ref": refs[struct]}}
    found["error"] = {"name": "error", "payload": {"$ref": refs[ErrorMessage]}, "x-status": _errors(tuple(STATUS))}
    return found


def _name(struct: type[Any]) -> str:
    """A message's name among the components. Two structs are `sessionEnded`: the answer and what listeners get."""
    is_other = struct in broadcast.MESSAGES and any(_tag(struct) == _tag(answer) for _, answer in REQUESTS.values())
    return f"{_tag(struct)}ToListeners" if is_other else _tag(struct)


def _schemas(structs: list[type[Any]]) -> tuple[dict[type[Any], str], Document]:
    """Where each struct's schema is, and all schemas. Descriptions name fields as they are on the wire."""
    refs, found = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    on_wire = {each.name: each.encode_name for struct in structs for each in msgspec.structs.fields(struct)}
    on_wire |= {each.name: each.encode_name for each in msgspec.structs.fields(messages.BroadcastState)}
    on_wire |= {each.name: each.encode_name for each in msgspec.structs.fields(messages.Limits)}

    def worded(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: _text(value, on_wire) if key == "description" else worded(value) for key, value in node.items()
            }
        return [worded(each) for each in node] if isinstance(node, list) else node

    return {struct: ref["$ref"] for struct, ref in zip(structs, refs, strict=True)}, worded(found)


def _text(text: Any, on_wire: dict[str, str] | None = None) -> Any:
    """A docstring as prose: its lines joined, its fields by their names on the wire."""
    if not isinstance(text, str):
        return text
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    names = on_wire or {}
    return re.sub(r"\b[a-z]+(?:_[a-z0-9]+)+\b", lambda found: names.get(found[0], found[0]), "\n\n".join(paragraphs))


def _errors(codes: tuple[ErrorCode, ...]) -> dict[str, int]:
    return {code.value: STATUS[code] for code in STATUS if code in codes}


def _settings() -> Settings:
    return Settings(token_issuer="-", token_audience="-", token_jwks_url="https://-")


def _rates() -> dict[Rate, str]:
    """Every rate but audio's, and what it is counted for."""
    return Limiter(None, _settings()).rates()


def _rates_of(action: str) -> list[Document]:
    if action == "sendAudio":
        audio = Rate("audio", _settings().max_audio_chunks_per_second, 1000)
        return [_rate(audio, "connection")]
    names = ("control", "status") if action == STATUS_ROUTE else ("control",)
    return [_rate(rate, per) for rate, per in _rates().items() if rate.name in names]


def _rate(rate: Rate, per: str) -> Document:
    return {"name": rate.name, "most": rate.most, "windowMs": rate.window_ms, "per": per}


def main() -> int:
    """Write it to stdout."""
    sys.stdout.write(json.dumps(document(), indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
