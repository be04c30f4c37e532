"""What a run of chaos will do: a pure function of its seed.

Faults are drawn from a bag that has each kind once, and a kill of each stage, so that a run of three minutes has about
every kind. They overlap now and then, but never on one target; and they end early enough that what they held up can be
worked off.
"""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import msgspec

from streams.resources import STAGES

LEAD_S: Final = 12.0
LEAD_SHARE: Final = 0.15
"""Before the first fault: what is normal must be known. So long, or this share of a short talk."""
TAIL_S: Final = 55.0
TAIL_SHARE: Final = 0.4
"""After the last fault the talks go on for so long, or for this share of a short one."""
LANGUAGES: Final = ("es", "en", "ca")
"""The translator's cheapest, and the speakers' own."""
WORD_MS: Final = 297
WORDS: Final = 3
"""In a row. Spelled out by the synthesiser, each lasts ten times as long as its tone: more would fill the shards with
sound, and what piled up could not be worked off."""
GAP_MS: Final = (250, 400, 600)
PAUSES_MS: Final = (1_300, 5_000, 2_500, 6_000)
SHARDS: Final = 2
MAX_SHARDS: Final = 4
OVERLAP: Final = 0.3
"""The share of faults that come while the one before still lasts."""
GAP_S: Final = (0.5, 3.0)
ROLLING_S: Final = 12.0
"""About what it takes."""
RESHARDED: Final = ("audio", "transcripts", "speech", "emotions")
STAGE_NAMES: Final = tuple(stage.name for stage in STAGES)
KILLED_TWINS: Final = ("kinesis", "transcribe-twin", "translate-twin", "polly-twin")
PROXIES: Final = ("kinesis-proxy", "dynamodb-proxy")


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fault. at_s, lasts_s: seconds from the start of the talks, and until it is over or its victim starts again.

    target: a part of the stack, a stream, or a listener (`session/number`). put: what the target's control plane gets.
    pick: a draw from [0, 1) for what is known only then, such as which shard.
    """

    at_s: float
    kind: str
    target: str
    lasts_s: float = 0.0
    put: dict[str, Any] = {}
    pick: float = 0.0

    @property
    def ends_s(self) -> float:
        """When it is over."""
        return self.at_s + self.lasts_s


class Talk(msgspec.Struct, frozen=True):
    """One session. starts_s: after the first; languages: one listener each; first_word: its words count from here."""

    starts_s: float
    languages: list[str]
    first_word: int


class Plan(msgspec.Struct, frozen=True):
    """A whole run. name: the scenario's, or `seed`. talk_s: how long each session speaks."""

    name: str
    seed: int
    talk_s: float
    talks: list[Talk]
    faults: list[Fault]


def plan(seed: int, minutes: float, sessions: int, failover_s: float) -> Plan:
    """The plan. minutes: how long each session speaks. failover_s: how long a lease lasts, for zombies."""
    draw = random.Random(seed)
    talk_s = minutes * 60
    talks = [_talk(draw, number) for number in range(sessions)]
    from_s, until_s = min(LEAD_S, LEAD_SHARE * talk_s), talk_s - min(TAIL_S, TAIL_SHARE * talk_s)
    drawing = _Drawing(draw, talks, failover_s)
    return Plan("seed", seed, talk_s, talks, list(drawing.faults(from_s, until_s)))


def _talk(draw: random.Random, number: int) -> Talk:
    languages = draw.sample(LANGUAGES, draw.randint(1, 2))
    return Talk(round(number * draw.uniform(0.2, 0.9), 2), languages, number * 10_000 + 1)


class _Drawing:
    """Draws faults. shards: how many open ones each stream will have, so that only what can be done is planned."""

    def __init__(self, draw: random.Random, talks: list[Talk], failover_s: float) -> None:
        self._draw = draw
        self._listeners = [f"{n}/{i}" for n, talk in enumerate(talks) for i in range(len(talk.languages))]
        self._failover_s = failover_s
        self._shards = dict.fromkeys(RESHARDED, SHARDS)
        self._makers: dict[str, Callable[[], Fault | None]] = {
            **{f"kill {name}": partial(self._fault, "kill", name, (0.1, 6)) for name in STAGE_NAMES},
            "kill-twin": self._kill_twin,
            "freeze": self._freeze,
            "freeze-dynamodb": partial(self._fault, "freeze", "dynamodb", (1, 8)),
            "zombie": self._zombie,
            "rolling": partial(self._fault, "rolling", "all", (ROLLING_S, ROLLING_S)),
            "reconnect": self._reconnect,
            "split": self._split,
            "merge": self._merge,
            "update": self._update,
            **{kind: partial(self._twin, kind) for kind in TWIN_FAULTS},
            **{f"net-{kind}": partial(self._net, kind) for kind in NET_FAULTS},
        }

    def faults(self, from_s: float, until_s: float) -> Iterator[Fault]:
        """Faults in the order of their beginning, all over by `until_s`."""
        at_s = from_s
        busy: list[Fault] = []
        bag: list[str] = []
        while True:
            if not bag:
                bag = list(self._makers)
                self._draw.shuffle(bag)
            made = self._makers[bag.pop()]()
            if made is None:
                continue
            made = msgspec.structs.replace(made, at_s=round(at_s, 2))
            clash = max((other.ends_s for other in busy if _clash(made, other)), default=0.0)
            if clash > made.at_s:
                made = msgspec.structs.replace(made, at_s=round(clash + 0.5, 2))
            if made.at_s > until_s:
                return
            if made.ends_s > until_s:
                continue
            yield made
            busy = [other for other in (*busy, made) if other.ends_s > made.at_s]
            if self._draw.random() < OVERLAP:
                at_s = made.at_s + self._draw.uniform(0.2, 0.8) * made.lasts_s + 0.3
            else:
                at_s = max(other.ends_s for other in (*busy, made)) + self._draw.uniform(*GAP_S)

    def _fault(self, kind: str, target: str, lasts_s: tuple[float, float], put: dict[str, Any] | None = None) -> Fault:
        lasting_s = round(self._draw.uniform(*lasts_s), 2)
        return Fault(0, kind, target, lasting_s, put or {}, round(self._draw.random(), 3))

    def _kill_twin(self) -> Fault:
        return self._fault("kill-twin", self._draw.choice(KILLED_TWINS), (0.1, 4))

    def _freeze(self) -> Fault:
        return self._fault("freeze", self._draw.choice((*STAGE_NAMES, *KILLED_TWINS)), (1, 0.6 * self._failover_s))

    def _zombie(self) -> Fault:
        lasts_s = 2 * self._failover_s
        return self._fault("zombie", self._draw.choice(STAGE_NAMES), (lasts_s, lasts_s))

    def _reconnect(self) -> Fault:
        return self._fault("reconnect", self._draw.choice(self._listeners), (1, 3))

    def _split(self) -> Fault | None:
        return self._reshard("split", {name: n + 1 for name, n in self._shards.items() if n < MAX_SHARDS})

    def _merge(self) -> Fault | None:
        return self._reshard("merge", {name: n - 1 for name, n in self._shards.items() if n > 1})

    def _update(self) -> Fault | None:
        doubled = {name: 2 * n for name, n in self._shards.items() if 2 * n <= MAX_SHARDS}
        return self._reshard("update", {name: (n + 1) // 2 for name, n in self._shards.items()} | doubled)

    def _reshard(self, kind: str, after: dict[str, int]) -> Fault | None:
        after = {name: count for name, count in after.items() if count != self._shards[name]}
        if not after:
            return None
        stream = self._draw.choice(sorted(after))
        self._shards[stream] = after[stream]
        return self._fault(kind, stream, (0, 0), {"shards": after[stream]})

    def _twin(self, kind: str) -> Fault:
        target, lasts_s, put = self._draw.choice(TWIN_FAULTS[kind])
        made = {name: self._draw.choice(value) if isinstance(value, list) else value for name, value in put.items()}
        return self._fault(kind, target, lasts_s, {"kind": kind.replace("-", "_")} | made)

    def _net(self, kind: str) -> Fault:
        lasts_s, put = NET_FAULTS[kind]
        made = {name: self._draw.choice(value) for name, value in put.items()}
        return self._fault(f"net-{kind}", self._draw.choice(PROXIES), lasts_s, {"kind": kind} | made)


_SHARE: Final = [0.2, 0.5, 0.9]
_AT_STREAM: Final = [0, 5, 30]
_SHORT: Final = (2.0, 6.0)
_LATE_MS: Final = [200, 800, 2_500]

TWIN_FAULTS: Final[dict[str, list[tuple[str, tuple[float, float], dict[str, Any]]]]] = {
    "throttle": [
        ("kinesis", _SHORT, {"operation": ["PutRecords", "GetRecords", "*"], "probability": _SHARE}),
        ("translate-twin", _SHORT, {"probability": _SHARE}),
        ("polly-twin", _SHORT, {"probability": _SHARE}),
        ("transcribe-twin", (6, 12), {"probability": _SHARE, "after_frames": _AT_STREAM}),
        ("gateway", _SHORT, {"operation": "PostToConnection", "probability": _SHARE}),
    ],
    "partial": [
        ("kinesis", _SHORT, {"operation": "PutRecords", "probability": _SHARE}),
        ("transcribe-twin", (6, 12), {"probability": _SHARE, "after_frames": [5, 30, 60]}),
    ],
    "error": [
        ("kinesis", _SHORT, {"operation": ["PutRecords", "GetRecords", "*"], "probability": _SHARE}),
        ("translate-twin", _SHORT, {"probability": _SHARE}),
        ("polly-twin", _SHORT, {"probability": _SHARE}),
        ("transcribe-twin", (6, 12), {"probability": _SHARE, "after_frames": _AT_STREAM}),
        ("gateway", _SHORT, {"operation": "PostToConnection", "probability": _SHARE}),
    ],
    "slow": [
        ("kinesis", _SHORT, {"operation": ["PutRecords", "GetRecords", "*"], "delay_ms": _LATE_MS}),
        ("translate-twin", _SHORT, {"delay_ms": _LATE_MS}),
        ("polly-twin", _SHORT, {"delay_ms": _LATE_MS}),
        ("transcribe-twin", (6, 12), {"delay_ms": _LATE_MS}),
        ("gateway", _SHORT, {"operation": "PostToConnection", "delay_ms": _LATE_MS}),
    ],
    "cut": [
        ("kinesis", _SHORT, {"operation": ["PutRecords", "GetRecords", "*"], "probability": _SHARE}),
        ("translate-twin", _SHORT, {"probability": _SHARE, "after_bytes": [0, 20]}),
        ("polly-twin", _SHORT, {"probability": _SHARE, "after_bytes": [0, 20_000]}),
        ("transcribe-twin", (6, 12), {"probability": _SHARE, "after_frames": _AT_STREAM}),
        ("gateway", _SHORT, {"operation": "PostToConnection", "probability": _SHARE}),
    ],
    "half-open": [
        ("kinesis", _SHORT, {"operation": ["PutRecords", "GetRecords"], "count": [1, 3]}),
        ("translate-twin", _SHORT, {"count": [1, 3]}),
        ("polly-twin", _SHORT, {"count": [1, 3]}),
        ("transcribe-twin", (6, 12), {"count": [1, 2], "after_frames": _AT_STREAM}),
        ("gateway", _SHORT, {"operation": "PostToConnection", "count": [1, 3]}),
    ],
}
"""By kind: at which twin, for how long (seconds), and the fault as `local.faults` has it; of a list, one is drawn.

The recogniser's faults hit streams that begin meanwhile, which a planned rollover every 20 s brings about.
"""

NET_FAULTS: Final[dict[str, tuple[tuple[float, float], dict[str, list[Any]]]]] = {
    "delay": ((2.0, 6.0), {"delay_ms": [300, 1_500, 5_000], "probability": _SHARE}),
    "reset": ((1.0, 5.0), {"probability": [0.3, 1.0], "at": ["request", "answer"]}),
    "blackhole": ((1.0, 8.0), {"probability": [0.2, 1.0], "at": ["request", "answer"]}),
    "slow": ((2.0, 6.0), {"bytes_per_s": [20_000, 100_000]}),
    "closed": ((1.0, 6.0), {}),
}
"""By kind: for how long (seconds), and the trouble as `local.proxy` has it; of a list, one is drawn."""


def _clash(one: Fault, other: Fault) -> bool:
    """Whether both cannot be done at once: they are on one target, or both touch many."""
    wide = {"rolling", "zombie"}
    return one.target == other.target or (one.kind in wide and other.kind in wide) or _touches(one, other)


def _touches(one: Fault, other: Fault) -> bool:
    """A rolling restart touches every stage."""
    return (one.kind == "rolling" and other.target in STAGE_NAMES) or (
        other.kind == "rolling" and one.target in STAGE_NAMES
    )
