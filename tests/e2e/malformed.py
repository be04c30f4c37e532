"""Messages as nobody should send them: valid ones of every route, by the routes' own structs, and what is done to them.

A `Corpus` is seeded, and grows: a text that was answered as none before it is mutated again.
"""

import base64
import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

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
