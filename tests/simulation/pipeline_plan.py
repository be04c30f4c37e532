"""What happens in one schedule of the pipeline: talks, listeners, and what goes wrong in which stage."""

import random
from typing import NamedTuple

from streams.records import Word
from tests.simulation.engines import REFUSED_WORD
from tests.simulation.network import Trouble
from tests.simulation.plan import AWAITS, Event, some_trouble
from tests.stages.transcribe.simulated import Habits, Talk

STAGES = ("transcribe", "translate", "broadcast")
CHUNK_MS = 200
LEAD_S = 0.5
"""Until the first word of the first session."""
_DEEDS: tuple[tuple[str, int], ...] = (
    ("kill", 6), ("pause", 4), ("stop", 3), ("join", 1), ("rename", 1), ("split", 4), ("merge", 3), ("kinesis", 3),
    ("tables", 3), ("refuse", 2), ("kill at", 5), ("pause at", 2), ("recogniser breaks", 4), ("recogniser is deaf", 2),
    ("recogniser is late", 2), ("recogniser hangs", 2), ("recogniser refuses", 2), ("engines", 4), ("dynamics", 2),
    ("phones", 4), ("join listening", 2), ("leave", 2), ("downtime", 1),
)  # fmt: skip


class Send(NamedTuple):
    """A chunk that the gateway puts: again, when it is a repeat."""

    at_s: float
    session_id: str
    sequence: int
    start_ms: int


class Speaker(NamedTuple):
    """A session. listeners: their languages, there from the beginning to the end."""

    session_id: str
    starts_s: float
    talk: Talk
    habits: Habits
    listeners: list[str]
    sends: list[Send]
    ended_s: float


class PipelinePlan(NamedTuple):
    """A schedule. refused_language: the one into which the refused word cannot be translated."""

    seed: int
    workers: dict[str, int]
    shards: dict[str, int]
    idle_ms: int
    snapshot_every_ms: int
    part_bytes: int
    rollover_s: int
    refused_language: str
    speakers: list[Speaker]
    events: list[Event]


def make_plan(seed: int) -> PipelinePlan:
    """The schedule of a seed."""
    rng = random.Random(seed)
    speakers = [_speaker(rng, f"session-{number}") for number in range(rng.choice((1, 1, 2)))]
    ends_s = max(speaker.ended_s for speaker in speakers)
    events = [_event(rng, ends_s) for _ in range(rng.randint(1, 5))] + _theme(rng, ends_s)
    return PipelinePlan(
        seed=seed,
        workers={stage: rng.choice((1, 1, 2)) for stage in STAGES},
        shards={stream: rng.choice((1, 1, 2)) for stream in ("audio", "transcripts", "speech", "receipts")},
        idle_ms=rng.choice((1_500, 120_000)),
        snapshot_every_ms=rng.choice((200, 1_000)),
        part_bytes=rng.choice((32, 64, 480_000)),
        rollover_s=rng.choice((3, 3, 12_600)),
        refused_language=rng.choice(("", "", "", "es", "fr")),
        speakers=speakers,
        events=sorted(events, key=lambda event: event.at_s),
    )


def _speaker(rng: random.Random, session_id: str) -> Speaker:
    talk = _talk(rng)
    starts_s = LEAD_S + rng.random()
    sends = []
    for sequence, start_ms in enumerate(range(0, talk.duration_ms, CHUNK_MS)):
        at_s = starts_s + (start_ms + CHUNK_MS) / 1000 + rng.choice((0.005, 0.005, 0.005, 0.12, 0.3))
        sends.append(Send(at_s, session_id, sequence, start_ms))
        if rng.random() < 0.03:
            sends.append(Send(at_s + rng.choice((0.03, 0.2, 1.5)), session_id, sequence, start_ms))
    habits = Habits(
        jitter_ms=rng.choice((0, 30)),
        unsettled=0.4,
        breaks=rng.choice((0.0, 0.0, 0.01, 0.05)),
        refuses_opening=rng.choice((0.0, 0.2)),
        longest_ms=rng.choice((2_000, 12_000)),
        answer_ms=rng.choice(((20,), (20, 100, 300), (300, 900))),
    )
    listeners = [rng.choice(("en", "es", "fr")) for _ in range(rng.randint(1, 3))]
    ended_s = starts_s + talk.duration_ms / 1000 + 0.4 + rng.choice((0.0, 1.5))
    return Speaker(session_id, starts_s, talk, habits, listeners, sorted(sends), ended_s)


def _talk(rng: random.Random) -> Talk:
    at_ms, words = 300, []
    repeats = rng.random() < 0.3
    for number in range(rng.randint(8, 24)):
        length_ms = rng.randint(240 if repeats else 120, 400)  # equal words nearer than that are one, by the rule
        text = rng.choice(("yes", "no", "and")) if repeats else f"w{number}"
        if not repeats and rng.random() < 0.03:
            text = REFUSED_WORD
        pause_ms = rng.choice((0, 0, 20, 60)) if rng.random() < 0.85 else rng.randint(300, 1_500)
        if pause_ms >= 300 and rng.random() < 0.5:
            text += "."
        words.append(Word(text, at_ms, at_ms + length_ms))
        at_ms += length_ms + pause_ms
    return Talk(words, at_ms // CHUNK_MS * CHUNK_MS + rng.choice((200, 1_000)))


def _event(rng: random.Random, ends_s: float) -> Event:
    (deed,) = rng.choices([deed for deed, _ in _DEEDS], [weight for _, weight in _DEEDS])
    draw = rng.random
    often = rng.choice((0.1, 0.3, 0.6))
    trouble = some_trouble(rng, often)
    lasts_s = rng.choice((0.3, 1.0, 4.0, 8.0)) * (0.5 + draw())
    where = rng.choice(AWAITS) if deed.endswith(" at") else rng.choice(STAGES)
    if deed.endswith(" at") and draw() < 0.7:
        where = rng.choice(("PutRecords transcripts", "PutRecords speech", "PutRecords receipts", "PutItem Snapshots"))
    return Event(ends_s * draw(), deed, lasts_s, draw(), trouble, where)


def _theme(rng: random.Random, ends_s: float) -> list[Event]:
    """What goes together, and seldom comes together by chance."""
    draw = rng.random
    stage = rng.choice(STAGES)
    at_s = (ends_s + 1.0) * draw()
    match rng.randrange(10):
        case 0:  # a shard is cut in mid-sentence, twice, and its owner dies
            return [
                Event(at_s, "split", size=draw(), where=stage),
                Event(at_s + 2.0 * draw(), rng.choice(("split", "merge")), size=draw(), where=stage),
                Event(at_s + 3.0 * draw(), "kill", 1.0, draw(), where=stage),
            ]
        case 1:  # an owner sleeps past its lease, somewhere in the midst of things, and wakes
            return [
                Event(at_s, "join", where=stage),
                Event(at_s + 0.5 + draw(), "pause", 4.0 + 5.0 * draw(), 0.3 + 0.7 * draw(), where=stage),
                Event(at_s + draw(), "pause at", 4.0 + 5.0 * draw(), 0.5 * draw(), where=rng.choice(AWAITS[:4])),
                Event(at_s + 1.0 + draw(), rng.choice(("split", "merge", "stop")), size=draw(), where=stage),
            ]
        case 2:  # a rolling deploy: every worker of every stage in turn
            return [
                Event(at_s + n * 0.5, "stop", 0.5, draw(), where=name) for n, name in enumerate(STAGES + STAGES[::-1])
            ]
        case 3:  # writes that are done and answered with an error
            trouble = Trouble(broken=0.5, timed_out=0.1, only=f"PutRecords {rng.choice(('transcripts', 'speech'))}")
            return [
                Event(at_s, "kinesis", 5.0, trouble=trouble),
                Event(at_s + 4.0 * draw(), "kill", 0.5, draw(), where=stage),
                Event(at_s + 5.0 * draw(), "kill", 0.5, draw(), where=stage),
            ]
        case 4:  # the recogniser fails in each way while owners change
            deeds = ("recogniser breaks", "recogniser is deaf", "recogniser is late", "recogniser hangs")
            return [
                Event(at_s, rng.choice(deeds), 3.0, draw()),
                Event(at_s + 3.0 * draw(), "kill", 1.0, draw(), where="transcribe"),
                Event(at_s + 3.0 * draw(), rng.choice(deeds), 3.0, draw()),
            ]
        case 5:  # snapshots do not get through
            trouble = Trouble(throttled=0.6, timed_out=0.3, only="PutItem Snapshots")
            return [
                Event(at_s, "tables", 6.0, trouble=trouble),
                Event(at_s + 5.0 * draw(), "kill", 1.0, draw(), where=stage),
                Event(at_s + 6.0 * draw(), "kill", 1.0, draw(), where=stage),
            ]
        case _:
            return []
