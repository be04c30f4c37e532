"""Connections as nobody should begin them: queries and tokens for `$connect`, heads of requests, and what is none."""

import base64
import random
from typing import Final
from urllib.parse import quote, urlencode

from websockets.frames import Frame, Opcode

from gateway.messages import QUERIES
from tests.e2e.malformed import CANARY, ELSEWHERE, valid_query


def bad_query(chance: random.Random, session_id: str, token: str) -> str:
    """A `$connect` query string."""
    query: list[tuple[str, str]] = list(valid_query(chance.choice(tuple(QUERIES)), session_id, token).items())
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(query))
        drawn = chance.randrange(5)
        if drawn == 0 and len(query) > 1:
            del query[at]
        elif drawn == 1:
            query.insert(0, (chance.choice(("action", "token", "sessionId", "x", "", "é")), chance.choice(_VALUES)))
        elif drawn == 2:
            query[at] = (query[at][0].upper(), query[at][1])
        elif drawn == 3 and query[at][0] == "token":
            query[at] = ("token", forged(chance, token))
        else:
            query[at] = (query[at][0], chance.choice(_VALUES))
    if any(name == "action" and value == "createSession" for name, value in query) and ("token", token) in query:
        query = [(name, value) for name, value in query if name != "token"]  # it could be a session like any other
    text = urlencode(query, quote_via=quote)
    return text if chance.random() < 0.8 else _broken_query(text, chance)


_VALUES: Final = (
    *(
        "",
        " ",
        "x",
        "0",
        "null",
        "true",
        "TRUE",
        "\x00",
        "\n",
        "é漢😀",
        "a" * 64,
        "a" * 65,
        "a" * 3_000,
        "../../x",
        "{}",
    ),
    *("[]", "%", "%zz", "createSession", "joinSession", "resumeSession", "es", "en-US", "es-", "-", "xx", "zz-ZZ-zz"),
    *("İ", "ß" * 10, ELSEWHERE, CANARY, "$connect", "1e999", "a.b.c", "..", "ey.ey.ey"),
)


def _broken_query(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(("%", "%ff", "%ed%a0%80", "%00", "&", "&&", "=", ";", "?", "+")) + text[at:]


def forged(chance: random.Random, token: str) -> str:
    """A token that proves nothing: a good one with another part."""
    parts = token.split(".")
    header = chance.choice(
        (
            '{"alg":"none"}',
            '{"alg":"HS256","kid":"x"}',
            '{"alg":"RS256","kid":"unknown"}',
            '{"alg":["RS256"],"kid":{}}',
            '{"alg":"RS256","kid":"\\ud800"}',
            '{"alg":"RS256","kid":"x","crit":["x"]}',
            '{"alg":"RS256","kid":"x","b64":false}',
            '{"alg":"RS256","kid":"x","n":' + "9" * 4_000 + "}",
            "[" * 2_500,
            "[]",
            "null",
            "\x00",
        )
    )
    encoded = base64.urlsafe_b64encode(header.encode()).decode().rstrip("=")
    at = chance.randrange(3)
    parts[at] = chance.choice((encoded, "", parts[at][::-1], parts[at] + "A", "%", "é", "A" * chance.randrange(1, 9)))
    return ".".join(parts)


def bad_head(chance: random.Random, session_id: str) -> tuple[str, bytes]:
    """What is wrong, and what a connection begins with: no request for a WebSocket, or more than one."""
    good = {"action": "joinSession", "sessionId": session_id, "targetLanguage": "es"}
    lines = [
        f"GET /live?{urlencode(good)} HTTP/1.1".encode(),
        *(b"Host: 127.0.0.1", b"Upgrade: websocket", b"Connection: Upgrade"),
        *(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13"),
    ]
    drawn = chance.randrange(5)
    if drawn == 0:  # rubbish before anybody said that it may come
        return "early", b"\r\n".join(lines) + b"\r\n\r\n" + chance.choice(_EARLY)
    if drawn == 1:
        return "other", chance.choice(_OTHER_REQUESTS)
    if drawn == 2:
        lines[chance.randrange(len(lines))] = chance.choice(_LINES)
    elif drawn == 3:
        lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(_LINES))
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    if drawn == 4:
        at = chance.randrange(len(head))
        head = head[:at] + chance.randbytes(chance.randrange(1, 4)) + head[at + chance.randrange(4) :]
    return "head", head


_EARLY: Final = (
    b"\xff" * 64,
    b"\x83\x80\0\0\0\0",
    b"\x81\x02{}",
    Frame(Opcode.TEXT, b'{"action":"heartbeat"}').serialize(mask=True) * 40,
    Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True),
    Frame(Opcode.PING, b"x").serialize(mask=True) * 40,
    Frame(Opcode.TEXT, b"\xff").serialize(mask=True),
    b"GET / HTTP/1.1\r\n\r\n",
)
_LINES: Final = (
    *(b"", b":", b"x", b"x:", b" x: y", b"\x00: \x00", b"\xff: \xff", b"Sec-WebSocket-Version: 12", b"Upgrade: h2c"),
    *(b"Sec-WebSocket-Key: x", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Transfer-Encoding: chunked"),
    *(b"Content-Length: 5", b"Content-Length: x", b"Content-Length: -1", b"Connection: close", b"Host: elsewhere:1"),
    *(b"Sec-WebSocket-Extensions: permessage-deflate; x=" + b"y" * 100, b"Sec-WebSocket-Extensions: ;;,", b"X: \n y"),
    *(b"X: " + b"x" * 9_000, b"\r\n".join([b"X: x"] * 200), b"X: " + b"x" * 17_000, b"Sec-WebSocket-Protocol: ,,"),
    *(
        b"GET /live HTTP/1.1",
        b"GET /live HTTP/2.0",
        b"GET /live?\xc3\xa9 HTTP/1.1",
        b"GET  /live HTTP/1.1",
        b"GET /live",
    ),
    *(
        b"POST /live HTTP/1.1",
        b"GET //live HTTP/1.1",
        b"GET /live" + b"x" * 9_000 + b" HTTP/1.1",
        b"get /live HTTP/1.1",
    ),
    *(b"GET /live?" + b"a=b&" * 1_900 + b" HTTP/1.1", b"GET /live;x#y HTTP/1.1", b"GET http://h/live HTTP/1.1"),
)


def _http(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    lines = (f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, *headers)).encode() + b"\r\n\r\n" + body


_SIGNED: Final = "Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/execute-api/aws4_request, "
_OTHER_REQUESTS: Final = (
    *(_http("GET", path) for path in ("/web/%00", "/web/%2e%2e/%2e%2e/x.js", "/web/" + "a" * 5_000 + ".js", "/web/é")),
    *(_http("GET", path) for path in ("/listen/%00", "/%ff", "//", "/@connections/%00", "/web/%ff.js", "/web//.js")),
    *(_http("POST", "/@connections/x", body=body) for body in (b"", b"\xff", b"x" * 2_000)),
    _http("POST", "/@connections/x", _SIGNED),
    _http("POST", "/@connections/x", _SIGNED + "SignedHeaders=, Signature="),
    _http("POST", "/@connections/x", _SIGNED + "SignedHeaders=host;é, Signature=é", "X-Amz-Date: é"),
    _http("POST", "/@connections/x", "Authorization: AWS4-HMAC-SHA256 ====,,,==="),
    _http("POST", "/@connections/x?X-Amz-Signature=x&%ff=%zz", "Authorization:"),
    _http("POST", "/2015-03-31/functions/x/invocations", body=b"{"),
    _http("PUT", "/_herald/faults", body=b"\xff"),
    _http("PUT", "/_herald/faults", body=b"[" * 5_000),
    _http("PUT", "/_herald/faults", body=b'[{"operation":"\\ud800"}]'),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\0" * 300 + b"\r\n\r\n",
    b"\r\n\r\n\r\n\r\n",
)
