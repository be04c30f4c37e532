"""What happens in one schedule, drawn from its seed: traffic, faults, crashes, pauses, resharding."""

import random
from typing import Literal, NamedTuple

from tests.simulation.network import FINE, Trouble

TRAFFIC_S = 6.0
AWAITS = (
    "PutRecords", "PutItem Snapshots", "PutItem DeadLetters", "UpdateItem leases", "BatchGetItem", "GetRecords",
    "GetShardIterator", "Scan",
)  # fmt: skip
"""Requests in whose midst somebody is struck."""

_DEEDS: tuple[tuple[str, int], ...] = (
    ("kill", 6), ("pause", 4), ("stop", 2), ("join", 1), ("rename", 1), ("split", 3), ("merge", 3), ("split output", 1),
    ("merge output", 1), ("kinesis", 4), ("tables", 5), ("refuse", 3), ("oracle", 3), ("hang", 3), ("downtime", 1),
    ("kill at", 4), ("pause at", 2), ("expire", 1),
)  # fmt: skip


class Event(NamedTuple):
    """Something that goes wrong. size: a draw from [0, 1) that says how much. where: a stage, stream or request."""

    at_s: float
    deed: str
    lasts_s: float = 0.0
    size: float = 0.0
    trouble: Trouble = FINE
    where: str = ""


class Send(NamedTuple):
    """A record that a producer puts. kind: `chunk`, a `repeat` of one, or one of three kinds of poison."""

    at_s: float
    session_id: str
    sequence: int
    kind: Literal["chunk", "repeat", "rubbish", "wrong key", "unbearable"]


class Plan(NamedTuple):
    """A schedule. releases: whether the stage's next release, with snapshots of its own, comes in between."""

    seed: int
    stage: Literal["copy", "ask"]
    releases: bool
    workers: int
    input_shards: int
    output_shards: int
    idle_ms: int
    snapshot_every_ms: int
    sends: list[Send]
    events: list[Event]
    session_records: int = 4_000
    """How many inputs of a session may be open before it is parked."""
    runner: Literal["embedded", "kcl"] = "embedded"


def make_plan(seed: int) -> Plan:
    """The schedule of a seed."""
    rng = random.Random(seed)
    sends = [send for number in range(rng.randint(2, 4)) for send in _session(rng, f"session-{number}")]
    events = [_event(rng) for _ in range(rng.randint(2, 7))] + _theme(rng)
    releases = any(event.deed == "deploy" for event in events)
    return Plan(
        seed=seed,
        stage="ask" if releases else rng.choice(("copy", "ask")),
        releases=releases,
        workers=rng.randint(1, 2),
        input_shards=rng.randint(1, 3),
        output_shards=rng.randint(1, 2),
        idle_ms=rng.choice((1_500, 1_500, 120_000)),
        snapshot_every_ms=rng.choice((200, 1_000)),
        sends=sorted(sends, key=lambda send: send.at_s),
        events=sorted(events, key=lambda event: event.at_s),
        session_records=rng.choice((1, 2, 4, 4_000)),
        runner=rng.choice(("embedded", "embedded", "embedded", "kcl")),
    )


def _session(rng: random.Random, session_id: str) -> list[Send]:
    sends = []
    at_s = rng.random() * 2
    for sequence in range(rng.randint(3, 14)):
        at_s += rng.choice((0.0, 0.05, 0.2, 0.5)) if rng.random() < 0.92 else 4.0
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
    draw = rng.random
    match rng.randrange(13):
        case 0:  # a stream that is cut and joined while the calls hang, so that shards leave much to their children
            storm = [
                Event(at_s + 0.1 + n * rng.choice((0.1, 1.0, 3.0)), deed, size=draw())
                for n, deed in enumerate(("split", "split", "merge", "split", "merge", "merge"))
            ]
            one, other = (f"session-{rng.randrange(4)}" for _ in range(2))
            return [
                Event(at_s, "oracle", rng.choice((3.0, 8.0)), rng.choice((0.2, 0.8)), where=rng.choice(("", one))),
                Event(at_s + 4.0 * draw(), rng.choice(("oracle", "hang")), 6.0, 0.8, where=other),
                Event(at_s + 6.0 * draw(), "tables", 2.0, trouble=Trouble(away=draw() < 0.5)),
                *storm,
            ]
        case 1:  # writes that time out and come late, and an owner that dies
            return [
                Event(at_s, "tables", 6.0, trouble=Trouble(timed_out=0.5)),
                Event(at_s + 3.0 + 5.0 * draw(), "kill", 1.0, draw()),
                Event(at_s + 6.0 + 5.0 * draw(), "kill", 1.0, draw()),
            ]
        case 2:  # an owner that sleeps while its shard is cut, and wakes when a child's owner has begun
            return [
                Event(at_s, "join"),
                Event(at_s + 0.5, "pause" if draw() < 0.6 else "pause at", 4.0 + 8.0 * draw(), 0.3 + 0.7 * draw(),
                      where=rng.choice(AWAITS[:4])),
                Event(at_s + 0.4 + draw(), "split", size=draw()),
                Event(at_s + 1.5 + 5.0 * draw(), rng.choice(("merge", "split", "kill")), 1.0, draw()),
            ]  # fmt: skip
        case 3 if draw() < 0.5:  # what one shard left is read by two children, of which one hangs; they are merged
            one, other = rng.sample(range(4), 2)
            return [
                Event(0.3 * at_s, "hang", 2.0 + 2.0 * draw(), where=f"session-{one}"),
                Event(0.3 * at_s + 1.0 + draw(), "split", size=draw()),
                Event(0.3 * at_s + 2.0 * draw(), "hang", 1.0 + draw(), where=f"session-{other}"),
                Event(0.3 * at_s + 2.2 + 2.0 * draw(), "merge", size=draw()),
                Event(0.3 * at_s + 2.4 + 2.0 * draw(), rng.choice(("merge", "split")), size=draw()),
            ]
        case 3:  # shards that are merged while one is far behind, twice
            return [
                Event(at_s, "join"),
                Event(at_s, "split", size=draw()),
                Event(at_s + 1.0, "pause", 1.0 + 2.0 * draw(), 0.3 + 0.7 * draw()),
                Event(at_s + 1.2 + draw(), "merge", size=draw()),
                Event(at_s + 1.4 + 2 * draw(), rng.choice(("split", "merge")), size=draw()),
                Event(at_s + 3.0 * draw(), "kill", 1.0, draw()),
            ]
        case 4:  # snapshots that are throttled, or whose answers are lost, while owners change
            trouble = Trouble(throttled=0.8) if draw() < 0.5 else Trouble(broken=0.4, timed_out=0.4)
            return [
                Event(at_s, "tables", 6.0, trouble=trouble._replace(only="PutItem Snapshots")),
                Event(at_s + 5.0 * draw(), rng.choice(("kill", "rename", "stop")), 1.0, draw()),
                Event(at_s + 6.0 * draw(), "kill at", 1.0, draw(), where="PutItem Snapshots"),
            ]
        case 5:  # records that are written and answered with an error, so that they are there twice; then owners change
            return [
                Event(at_s, "kinesis", 5.0, trouble=Trouble(broken=0.6, timed_out=0.1, only="PutRecords")),
                Event(at_s + 4.0 * draw(), "kill at", 0.5, draw(), where="PutRecords"),
                Event(at_s + 6.0 * draw(), rng.choice(("kill", "rename", "pause")), 4.0, draw()),
            ]
        case 6:  # the next release, worker by worker, while some of the old ones are held up
            return [
                Event(at_s, "join"),
                Event(at_s + 0.5 * draw(), rng.choice(("pause", "kill", "pause at")), 6.0, draw(), where=AWAITS[1]),
                Event(at_s + draw(), "deploy", 2.0 * draw()),
                Event(at_s + 2.0 + 4.0 * draw(), "pause", 6.0, 0.3 + 0.7 * draw()),
            ]
        case 7:  # struck at one moment after another
            return [
                Event(at_s + draw(), "kill at", draw(), draw(), where=rng.choice(AWAITS))
                for _ in range(rng.randint(2, 5))
            ]
        case 8:  # poison that cannot be put aside
            return [
                Event(at_s, "tables", 6.0, trouble=Trouble(throttled=0.5, timed_out=0.3, only="PutItem DeadLetters")),
                Event(at_s + draw(), "kill at", 0.5, draw(), where="PutItem DeadLetters"),
                Event(at_s + 5.0 * draw(), "kill", 1.0, draw()),
            ]
        case 9:  # a snapshot that lands later than anybody waited for it, after those that came then
            trouble = Trouble(timed_out=0.8, only="PutItem Snapshots", late=True)
            return [
                Event(0.5 * at_s, "tables", 1.0 + draw(), trouble=trouble),
                *([Event(0.5 * at_s + 1.5 * draw(), "rename", 0.0, draw())] if draw() < 0.6 else []),
                Event(0.5 * at_s + 6.0 + 4.0 * draw(), "kill", 0.5, draw()),
            ]
        case _:
            return []


def some_trouble(rng: random.Random, often: float) -> Trouble:
    """What the network or a service does to requests; often: at the most so probable each."""
    draw = rng.random
    return Trouble(
        throttled=often * draw() * (draw() < 0.5),
        broken=often * draw() * (draw() < 0.5),
        timed_out=often * draw() * (draw() < 0.6),
        slow=often * (draw() < 0.5),
        away=draw() < 0.15,
    )


def _event(rng: random.Random) -> Event:
    (deed,) = rng.choices([deed for deed, _ in _DEEDS], [weight for _, weight in _DEEDS])
    draw = rng.random
    often = rng.choice((0.1, 0.3, 0.7))
    trouble = some_trouble(rng, often)
    lasts_s = rng.choice((0.3, 1.0, 4.0, 8.0)) * (0.5 + draw())
    where = rng.choice(AWAITS) if deed.endswith(" at") else f"session-{rng.randrange(4)}" if deed == "hang" else ""
    at_s = TRAFFIC_S * (1 + (deed == "expire")) * draw()
    return Event(at_s, deed, lasts_s, draw(), trouble, where)
