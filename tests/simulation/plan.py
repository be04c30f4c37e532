"""What happens in one schedule, drawn from its seed: traffic, faults, crashes, pauses, resharding."""

import random
from typing import Literal, NamedTuple

from tests.simulation.network import Trouble

TRAFFIC_S = 6.0

Deed = Literal[
    "kill", "pause", "stop", "join", "rename", "split", "merge", "split output", "merge output", "kinesis", "tables",
    "refuse", "oracle", "hang", "downtime", "expire",
]  # fmt: skip
_DEEDS: tuple[tuple[Deed, int], ...] = (
    ("kill", 6), ("pause", 4), ("stop", 2), ("join", 1), ("rename", 1), ("split", 3), ("merge", 3), ("split output", 1),
    ("merge output", 1), ("kinesis", 4), ("tables", 5), ("refuse", 3), ("oracle", 3), ("hang", 3),
    ("downtime", 1),
)  # fmt: skip


class Event(NamedTuple):
    """Something that goes wrong. size: a draw from [0, 1) that says how much."""

    at_s: float
    deed: Deed
    lasts_s: float
    size: float
    trouble: Trouble


class Send(NamedTuple):
    """A record that a producer puts. kind: `chunk`, a `repeat` of one, or one of three kinds of poison."""

    at_s: float
    session_id: str
    sequence: int
    kind: Literal["chunk", "repeat", "rubbish", "wrong key", "unbearable"]


class Plan(NamedTuple):
    """A schedule."""

    seed: int
    stage: Literal["copy", "ask"]
    workers: int
    input_shards: int
    output_shards: int
    idle_ms: int
    snapshot_every_ms: int
    sends: list[Send]
    events: list[Event]
    session_records: int = 4_000
    """How many inputs of a session may be open before it is parked."""


def make_plan(seed: int) -> Plan:
    """The schedule of a seed."""
    rng = random.Random(seed)
    sends = [send for number in range(rng.randint(2, 4)) for send in _session(rng, f"session-{number}")]
    events = [_event(rng) for _ in range(rng.randint(2, 7))] + _theme(rng)
    return Plan(
        seed=seed,
        stage=rng.choice(("copy", "ask")),
        workers=rng.randint(1, 2),
        input_shards=rng.randint(1, 3),
        output_shards=rng.randint(1, 2),
        idle_ms=rng.choice((1_500, 1_500, 120_000)),
        snapshot_every_ms=rng.choice((200, 1_000)),
        sends=sorted(sends, key=lambda send: send.at_s),
        events=sorted(events, key=lambda event: event.at_s),
        session_records=rng.choice((1, 2, 4, 4_000)),
    )


def _session(rng: random.Random, session_id: str) -> list[Send]:
    sends = []
    at_s = rng.random() * 2
    for sequence in range(rng.randint(3, 14)):
        at_s += rng.choice((0.0, 0.05, 0.2, 0.5)) if rng.random() < 0.95 else 4.0
        sends.append(Send(at_s, session_id, sequence, "chunk"))
        if rng.random() < 0.05:
            sends.append(Send(at_s + rng.random(), session_id, sequence, "repeat"))
        if rng.random() < 0.04:
            kind: tuple[Literal["rubbish", "wrong key", "unbearable"], ...] = ("rubbish", "wrong key", "unbearable")
            sends.append(Send(at_s, session_id, -1, rng.choice(kind)))
    return sends


def _theme(rng: random.Random) -> list[Event]:
    """What goes together, and seldom comes together by chance."""
    at_s = TRAFFIC_S * rng.random()
    match rng.randrange(6):
        case 0:  # a stream that is cut and joined while the calls hang, so that shards leave much to their children
            deeds: list[Deed] = ["split", "split", "merge", "split", "merge", "merge"]
            storm = [
                Event(at_s + 0.1 + n * rng.choice((0.1, 1.0, 3.0)), deed, 0.0, rng.random(), Trouble())
                for n, deed in enumerate(deeds)
            ]
            return [
                Event(at_s, "oracle", rng.choice((3.0, 8.0)), rng.choice((0.2, 0.8)), Trouble()),
                Event(at_s + 6.0 * rng.random(), "tables", 2.0, 0.0, Trouble(away=True)),
                *storm,
            ]
        case 1:  # writes that time out and come late, and an owner that dies
            return [
                Event(at_s, "tables", 6.0, 0.0, Trouble(timed_out=0.5)),
                Event(at_s + 3.0 + 5.0 * rng.random(), "kill", 1.0, rng.random(), Trouble()),
                Event(at_s + 6.0 + 5.0 * rng.random(), "kill", 1.0, rng.random(), Trouble()),
            ]
        case _:
            return []


def _event(rng: random.Random) -> Event:
    (deed,) = rng.choices([deed for deed, _ in _DEEDS], [weight for _, weight in _DEEDS])
    draw = rng.random
    often = rng.choice((0.1, 0.3, 0.7))
    trouble = Trouble(
        throttled=often * draw() * (draw() < 0.5),
        broken=often * draw() * (draw() < 0.5),
        timed_out=often * draw() * (draw() < 0.6),
        slow=often * (draw() < 0.5),
        away=draw() < 0.15,
    )
    return Event(TRAFFIC_S * draw(), deed, rng.choice((0.3, 1.0, 4.0, 8.0)) * (0.5 + draw()), draw(), trouble)
