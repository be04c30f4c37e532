"""Messages as nobody should send them: valid ones of every route, by the routes' own structs, and what is done to them.

A `Corpus` is seeded, and grows: a text that was answered as none before it is mutated again.
"""

import base64
import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
from msgspec import inspect
from websockets.frames import Frame, Opcode

from gateway.errors import WireError
from gateway.messages import QUERIES, REQUESTS
from gateway.routes import MAX_AUDIO_BYTES, MAX_CONTROL_BYTES, MAX_FRAME_BYTES, MAX_MESSAGE_BYTES
from ingest import admission
from ingest.admission import SendAudio
from ingest.format import FormatCheck

STRUCTS: Final[Mapping[str, type[Any]]] = {name: kinds[0] for name, kinds in REQUESTS.items()} | {
    "sendAudio": SendAudio
}
ROUTES: Final = tuple(sorted(STRUCTS))
CANARY: Final = "zq7canary"
"""In much of what is sent, so that a test can look whether anything repeats it."""
ELSEWHERE: Final = "golden-eagle-427"
"""A session that may well exist, and is not ours."""
_ODD_AUDIO: Final = base64.b64encode(bytes(321)).decode()
"""A chunk is never good here: it has half a sample too many."""
_KEPT: Final = 300
"""Texts that a corpus keeps."""
_TWICE: Final = 0.3
"""How many are mutated twice."""
_WIRE: Final = 0.12
"""How many are broken as frames rather than as text."""
_CUTS: Final = 0.15
"""Of those, how many are faults for which the connection must end: each costs another connection."""

Pairs = list[tuple[str, str]]
"""A JSON object as names and values, each as JSON has it: so that a name may come twice, and a value be no JSON."""


class Case(NamedTuple):
    """One message. kind: what is wrong with it. wire: the frames, as they go over the wire.

    closes: the close code with which the gateway must end the connection instead of an answer; text: what was mutated.
    """

    kind: str
    wire: bytes
    text: str = ""
    closes: int | None = None


def sample(kind: inspect.Type, name: str = "") -> Any:
    """A value of a field's type."""
    match kind:
        case inspect.Metadata(type=inner):
            return sample(inner, name)
        case inspect.UnionType(types=types):
            return sample(next(one for one in types if not isinstance(one, inspect.NoneType)), name)
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.BoolType():
            return False
        case inspect.IntType():
            return 7
        case inspect.FloatType():
            return 0.5
        case inspect.StructType(fields=fields):
            return {field.encode_name: sample(field.type, field.encode_name) for field in fields}
        case inspect.StrType():
            return {"audioData": _ODD_AUDIO, "sourceLanguage": "en-US"}.get(name, "es")
    raise AssertionError(f"a field of a kind that no request had before: {kind}")


def valid(route: str, session_id: str) -> dict[str, Any]:
    """A message of a route as it should be; only a chunk's audio is none."""
    found: dict[str, Any] = sample(inspect.type_info(STRUCTS[route]))
    return found | {"action": route, "sessionId": session_id}


def valid_query(action: str, session_id: str, token: str) -> dict[str, str]:
    """A `$connect` query as it should be."""
    found: dict[str, str] = sample(inspect.type_info(QUERIES[action][0]))
    more = {name: value for name, value in {"sessionId": session_id, "token": token}.items() if name in found}
    return {"action": action} | found | more


def _pairs(message: dict[str, Any]) -> Pairs:
    return [(name, json.dumps(value)) for name, value in message.items()]


def _text(pairs: Pairs) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"


JUNK: Final = (
    *("null", "true", "false", "[]", "{}", '""', "0", "-1", "0.5", "[1,[2,[3]]]", '{"a":{"b":null}}'),
    *("1e308", "-1e308", "1e999", "1e-400", "9" * 400, "-" + "9" * 30, str(2**63), str(2**64), str(2**53 + 1)),
    *("NaN", "Infinity", "-Infinity", "nan", "undefined", "0x10", "01", "1.", ".5", "+1", "'x'", "x"),
    *(r'"\ud800"', r'"\udfff\ud800"', r'"\u0000"', r'"\x41"', '"\x00"', '"\n"', r'"\ud83d\ude00"', '"é漢😀\u202e"'),
    *('"xx"', '"tlh"'),  # languages, as far as their form goes
    *(json.dumps(CANARY), json.dumps(CANARY * 400), json.dumps({CANARY: CANARY}), json.dumps([CANARY] * 50)),
)
"""Values, of which some are no JSON."""


def _some(pairs: Pairs, chance: random.Random) -> int:
    """A field, seldom the one that chooses the route."""
    return chance.randrange(len(pairs)) if chance.random() < 0.1 else chance.randrange(1, len(pairs))


def _missing(pairs: Pairs, chance: random.Random) -> None:
    del pairs[_some(pairs, chance)]


def _junk(pairs: Pairs, chance: random.Random) -> None:
    at = _some(pairs, chance)
    pairs[at] = (pairs[at][0], chance.choice(JUNK))


def _extra(pairs: Pairs, chance: random.Random) -> None:
    name = chance.choice(
        ("", "x", "__proto__", "type", "kind", "connectionId", "$where", CANARY, "é", "\ud800", "\x00")
    )
    pairs.insert(chance.randrange(len(pairs) + 1), (name, chance.choice(JUNK)))


def _twice(pairs: Pairs, chance: random.Random) -> None:
    name, value = chance.choice(pairs)
    pairs.insert(chance.randrange(len(pairs) + 1), (name, chance.choice((value, chance.choice(JUNK)))))


def _deep(pairs: Pairs, chance: random.Random) -> None:
    depth = chance.choice((10, 200, 900, 1_100, 1_900, 12_000))
    opening, closing = chance.choice((("[", "]"), ('{"a":', "}")))
    value = opening * depth + chance.choice(("", "1")) + (closing * depth if chance.random() < 0.7 else "")
    pairs.insert(chance.randrange(len(pairs) + 1), (chance.choice((*(name for name, _ in pairs), "x")), value))


def _other_session(pairs: Pairs, chance: random.Random) -> None:
    value = json.dumps(chance.choice((ELSEWHERE, "", "a" * 300, "../..", "' OR 1=1", "\x00", "é")))
    pairs[:] = [*((name, was) for name, was in pairs if name != "sessionId"), ("sessionId", value)]


def _other_action(pairs: Pairs, chance: random.Random) -> None:
    names = (
        "$connect",
        "$disconnect",
        "$default",
        "",
        " ",
        "HEARTBEAT",
        "sendaudio",
        "createSession",
        CANARY,
        "x" * 3000,
    )
    pairs[0] = (pairs[0][0], json.dumps(chance.choice(names)))


def _other_name(pairs: Pairs, chance: random.Random) -> None:
    at = _some(pairs, chance)
    name, value = pairs[at]
    pairs[at] = (chance.choice((name.upper(), name + " ", "_" + name, name[:-1], name.replace("a", "а"))), value)


def _padded(pairs: Pairs, chance: random.Random) -> None:
    length = chance.choice((MAX_CONTROL_BYTES - 200, MAX_CONTROL_BYTES, MAX_CONTROL_BYTES + 1, MAX_FRAME_BYTES - 1000))
    pairs.append(("x", json.dumps("x" * length)))


def _bad_audio(pairs: Pairs, chance: random.Random) -> None:
    data = chance.choice(
        (
            *("", "=", "====", "!!!!", "AAA", "A" * 5, "AAAA\n", "ÄÄÄÄ", "AA==AA==", "-_-_"),
            base64.b64encode(b"RIFF" + bytes(400)).decode(),
            base64.b64encode(bytes(MAX_AUDIO_BYTES + 1)).decode(),
            base64.b64encode(chance.randbytes(chance.randrange(1, 800, 2))).decode(),
        )
    )
    pairs[:] = [(name, json.dumps(data) if name == "audioData" else value) for name, value in pairs]


_STRUCTURE: Final[tuple[Callable[[Pairs, random.Random], None], ...]] = (
    *(_missing, _junk, _junk, _junk, _extra, _twice, _deep),
    *(_other_session, _other_action, _other_name, _padded, _bad_audio),
)


def _broken(text: str, chance: random.Random) -> str:
    """The text with a wound of a few characters."""
    at = chance.randrange(len(text) + 1)
    length = chance.choice((1, 1, 2, 3, 7, len(text)))
    piece = chance.choice(
        ("", "{", "}", "[", "]", '"', "\\", ",", ":", "\x00", "\ufeff", "é", "/*x*/", "\\ud800", text)
    )
    return text[:at] + piece + text[at + chance.choice((0, length)) :]


WHOLE: Final = (
    *(
        "",
        " ",
        "\n",
        "null",
        "true",
        "0",
        '""',
        "[]",
        "{}",
        "{{}}",
        "\ufeff{}",
        "\x00",
        "x",
        "😀",
        '"heartbeat"',
        "[[[[",
    ),
    *(
        '[{"action":"heartbeat"}]',
        "action=heartbeat",
        "<action>heartbeat</action>",
        "heartbeat",
        "[" * 20_000,
        '{"":""',
    ),
)
"""Messages that are no object with an action."""


class Corpus:
    """Cases for one client, which is a speaker or a listener of the session. The same seed gives the same cases,
    as long as the same texts are kept."""

    def __init__(self, seed: str, role: str, session_id: str) -> None:
        self._chance = random.Random(seed)
        self._role = role
        self._session_id = session_id
        self._texts = [_text(_pairs(valid(route, session_id))) for route in ROUTES]
        self._seen: set[tuple[str, str]] = set()
        self._is_quiet = False

    def keep(self, case: Case, code: str, message: str) -> None:
        """Note how a case was answered; one answered as none before is mutated again.

        A speaker that has become paused or muted goes on, or no chunk of it would be looked at any more.
        """
        self._is_quiet = code in ("BROADCAST_PAUSED", "BROADCAST_MUTED")
        if case.text and (code, message) not in self._seen and len(self._texts) < _KEPT and len(case.text) < 8_000:
            self._seen.add((code, message))
            self._texts.append(case.text)

    def next(self) -> Case:
        """Another case: never a chunk that may pass, nor the end of the session."""
        if self._is_quiet:
            self._is_quiet = False
            text = _text(_pairs(valid("speakerStateChange", self._session_id)))
            return Case("goes on", framed(text, self._chance), text)
        while True:
            case = self._any()
            if not self._ends_or_speaks(case.text):
                return case

    def _any(self) -> Case:
        chance = self._chance
        kind, text = self._mutated()
        if chance.random() >= _WIRE:
            return Case(kind, framed(text, chance), text)
        if chance.random() >= _CUTS:
            how, wire = chance.choice(_ODD_FRAMES)(text, chance)
            return Case(how, wire, text if how.startswith("fragments") else "")
        how, wire, closes = chance.choice(_CUTTING)(chance)
        return Case(how, wire, closes=closes)

    def _mutated(self) -> tuple[str, str]:
        chance = self._chance
        drawn = chance.random()
        if drawn < 0.05:
            return "no object", chance.choice(WHOLE)
        if drawn < 0.3:
            return "broken text", _broken(chance.choice(self._texts), chance)
        if drawn < 0.4:  # as it should be, but the other role's, or somebody else's session's
            route = chance.choice(ROUTES)
            whose = chance.choice((self._session_id, ELSEWHERE))
            return "not theirs", _text(_pairs(valid(route, whose)))
        pairs = _pairs(valid(chance.choice(ROUTES), self._session_id))
        names = []
        for _ in range(1 + (chance.random() < _TWICE)):
            mutate = chance.choice(_STRUCTURE)
            if len(pairs) > 1:
                mutate(pairs, chance)
                names.append(mutate.__name__.strip("_").replace("_", " "))
        return names[0], _text(pairs)

    def _ends_or_speaks(self, text: str) -> bool:
        """Whether the gateway would be right to take it for the end, or for sound."""
        if self._role != "speaker":
            return False
        try:
            message = msgspec.json.decode(text.encode(errors="replace"), type=_Action)
        except (msgspec.DecodeError, RecursionError):
            return False
        if message.action == "endSession":
            return message.session_id in (None, self._session_id)
        if message.action != "sendAudio":
            return False
        try:
            return FormatCheck().check(admission.decode_audio(admission.parse(text))) is None
        except WireError:
            return False


class _Action(msgspec.Struct, rename="camel"):
    action: str
    session_id: Any = None


def framed(text: str, chance: random.Random) -> bytes:
    """A text message, in as many frames as it takes."""
    data = _bytes(text)
    size = MAX_FRAME_BYTES if chance.random() < 0.9 else min(MAX_FRAME_BYTES, max(1, len(data) // 3))
    return _frames(Opcode.TEXT, [data[at : at + size] for at in range(0, len(data), size)] or [b""])


def _bytes(text: str) -> bytes:
    """Lone surrogates can be in no text frame: those that a mutation brought in go as a question mark."""
    return text.encode(errors="replace")[: MAX_MESSAGE_BYTES - 1]


def _frames(opcode: Opcode, parts: list[bytes], between: bytes = b"") -> bytes:
    last = len(parts) - 1
    return between.join(
        Frame(Opcode.CONT if at else opcode, part, fin=at == last).serialize(mask=True) for at, part in enumerate(parts)
    )


def _split(text: str, chance: random.Random) -> list[bytes]:
    """In few parts, cut anywhere, within a character too."""
    data = _bytes(text)[:MAX_FRAME_BYTES]
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 9)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _fragments(text: str, chance: random.Random) -> tuple[str, bytes]:
    return "fragments", _frames(Opcode.TEXT, _split(text, chance))


def _fragments_and_pings(text: str, chance: random.Random) -> tuple[str, bytes]:
    ping = Frame(chance.choice((Opcode.PING, Opcode.PONG)), chance.randbytes(chance.randrange(125))).serialize(
        mask=True
    )
    return "fragments and pings", _frames(Opcode.TEXT, _split(text, chance), ping)


def _fragments_of_nothing(text: str, chance: random.Random) -> tuple[str, bytes]:
    parts = [part for each in _split(text, chance) for part in (each, *[b""] * chance.randrange(20))]
    return "fragments of nothing", _frames(Opcode.TEXT, parts)


def _binary(text: str, _: random.Random) -> tuple[str, bytes]:
    return "binary", _frames(Opcode.BINARY, [_bytes(text)[:MAX_FRAME_BYTES]])


def _bytes_at_random(_: str, chance: random.Random) -> tuple[str, bytes]:
    return "binary at random", _frames(Opcode.BINARY, [chance.randbytes(chance.randrange(2_000))])


_ODD_FRAMES: Final = (_fragments, _fragments_and_pings, _fragments_of_nothing, _binary, _bytes_at_random)
"""As the protocol allows: each is to be answered."""


def _no_utf_8(chance: random.Random) -> tuple[str, bytes, int]:
    wrong = chance.choice((b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"))
    return "no UTF-8", _frames(Opcode.TEXT, [b'{"action":"heartbeat","x":"' + wrong + b'"}']), 1007


def _large_frame(_: random.Random) -> tuple[str, bytes, int]:
    return "frame too large", _frames(Opcode.TEXT, [b" " * (MAX_FRAME_BYTES + 1)]), 1009


def _large_message(_: random.Random) -> tuple[str, bytes, int]:
    parts = [b" " * MAX_FRAME_BYTES] * (MAX_MESSAGE_BYTES // MAX_FRAME_BYTES) + [b" "]
    return "message too large", _frames(Opcode.TEXT, parts), 1009


def _no_frame(chance: random.Random) -> tuple[str, bytes, int]:
    name, wire = chance.choice(
        (
            ("reserved bit", b"\xc1\x82\0\0\0\0{}"),
            ("no mask", Frame(Opcode.TEXT, b"{}").serialize(mask=False)),
            ("unknown opcode", b"\x83\x80\0\0\0\0"),
            ("long ping", b"\x89\xfe\x00\x7e\0\0\0\0" + bytes(126)),
            ("ping in parts", b"\x09\x80\0\0\0\0"),
            ("continues nothing", Frame(Opcode.CONT, b"{}").serialize(mask=True)),
            ("message within a message", Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=True) * 2),
            ("close of a byte", b"\x88\x81\0\0\0\0\x03"),
            ("close with a reserved code", Frame(Opcode.CLOSE, b"\x03\xed").serialize(mask=True)),
        )
    )
    return name, wire, 1002


_CUTTING: Final = (_no_utf_8, _large_frame, _large_message, _no_frame)
"""For these the protocol, or the service's limits, want the connection closed."""


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
