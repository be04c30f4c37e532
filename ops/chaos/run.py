"""A run of chaos, from the stack of its own to the report."""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ops import tokens
from ops.chaos import account, report, talks, watch
from ops.chaos.deeds import Deeds, described
from ops.chaos.plan import SHARDS, Plan, plan
from ops.chaos.scenarios import scenario
from ops.chaos.streams import Letter, Streams
from ops.chaos.talks import Session
from ops.demo import own_stack
from ops.parts import Options
from ops.paths import Paths, shown
from ops.stack_file import Stack
from ops.supervisor import free_port, tell
from streams.resources import STAGES

FAILOVER_S: Final = 10.0
"""A lease's life, as in production (`streams.program`)."""
HEARD_WITHIN_S: Final = 240.0
"""From the end of the last talk until every listener is told: an open breaker's minute, twice, and what piled up."""
PATIENT: Final = {
    "LEASE_FAILOVER_S": str(FAILOVER_S),
    "RECOGNISER_ROLLOVER_S": "20",
    "LAG_SPEECH_S": "3600",
    "LAG_RESUME_S": "3600",
    "BACKLOG_MS": "60000",
}
"""Settings of the stack, unless the environment has others: streams of the recogniser roll over every 20 s, and nothing
is left unspoken because it is late, so that every word must be heard."""


class Wish(NamedTuple):
    """What was asked for. named: a scenario, or None for the seed's own plan."""

    seed: int = 1
    minutes: float = 3.0
    sessions: int = 6
    runner: str = "embedded"
    named: str | None = None
    as_json: bool = False
    plan_only: bool = False
    keeps: bool = False


async def run(wish: Wish, paths: Paths) -> int:
    """Do it all; the exit code: 0 when nothing is off."""
    chosen = planned(wish)
    if wish.plan_only:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(chosen), indent=2).decode() + "\n")
        return 0
    own = Paths(paths.state / "chaos")
    options = Options(port=free_port(), engine="tones", shards=SHARDS, runner=wish.runner, proxies=True)
    began = time.monotonic()
    scripts = await asyncio.to_thread(_scripts, chosen)
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)
    async with own_stack(options, own) as stack:
        made = await _hold(chosen, scripts, options, stack, own)
    made.wall_s = round(time.monotonic() - began, 1)
    if wish.as_json:
        sys.stdout.write(msgspec.json.encode(made).decode() + "\n")
    else:
        sys.stdout.write(report.text(made))
    sys.stdout.flush()
    for sentence in made.findings:
        tell(f"herald: {sentence}")
    return 0 if made.ok else 1


def planned(wish: Wish) -> Plan:
    """The plan that was asked for."""
    if wish.named is not None:
        return scenario(wish.named, wish.seed, wish.minutes, wish.sessions, FAILOVER_S)
    return plan(wish.seed, wish.minutes, wish.sessions, FAILOVER_S)


def _scripts(chosen: Plan) -> list[talks.Script]:
    with tempfile.TemporaryDirectory() as folder:
        return [talks.script(talk, chosen.talk_s, Path(folder)) for talk in chosen.talks]


async def _hold(
    chosen: Plan, scripts: Sequence[talks.Script], options: Options, stack: Stack, paths: Paths
) -> report.Report:
    """The talks, the faults meanwhile, and the account."""
    token = await asyncio.to_thread(tokens.token, stack, "chaos")
    memory = watch.Memory(paths)
    watching = asyncio.create_task(memory.watch())
    try:
        async with AsyncExitStack() as open_things:
            sessions = await talks.gather(open_things, stack.url, token, chosen.talks, scripts)
            tell(f"{len(sessions)} sessions speak for {chosen.talk_s:.0f} s; {len(chosen.faults)} faults")
            deeds = Deeds(stack, paths, options, sessions, tell)
            async with asyncio.TaskGroup() as group:
                group.create_task(deeds.do(chosen.faults, time.monotonic()))
                for session in sessions:
                    group.create_task(session.hold())
            tell("the talks are over; waiting for the last words")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARD_WITHIN_S):
                    await asyncio.gather(*(session.heard() for session in sessions))
            letters = await Streams(stack).letters()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    news = watch.breakers([paths.log(stage.name) for stage in STAGES])
    return made(chosen, options.runner, sessions, deeds, letters, memory, news, paths)


def made(
    chosen: Plan,
    runner: str,
    sessions: Sequence[Session],
    deeds: Deeds,
    letters: Sequence[Letter],
    memory: watch.Memory,
    news: list[watch.BreakerNews],
    paths: Paths,
) -> report.Report:
    """The report."""
    done = sorted(deeds.done, key=lambda deed: deed.began_ms)
    verdicts: list[tuple[str, account.Verdict]] = []
    to_hear: dict[str, int] = {}
    heard: dict[str, int] = {}
    arrivals: list[list[account.Arrival]] = []
    for session in sessions:
        spoken = [(word.number, word.start_ms) for word in session.spoken]
        said = [word.number for word in session.script.words]
        for seat in session.seats:
            clauses = seat.ear.heard
            verdict = account.judge(
                session.speaker.session_id, seat.language, spoken, said, clauses, seat.ear.skipped.values()
            )
            verdicts.append((seat.language, verdict))
            to_hear[seat.language] = to_hear.get(seat.language, 0) + len(spoken)
            heard[seat.language] = heard.get(seat.language, 0) + verdict.heard
            arrivals.append(account.arrivals(session.speaker.started_ms, clauses))
    lost = [one for _, verdict in verdicts for one in verdict.lost]
    odd = [one for _, verdict in verdicts for one in verdict.odd]
    seats = [seat for session in sessions for seat in session.seats]
    everything = sorted((one for several in arrivals for one in several), key=lambda one: one.came_ms)
    normal_ms = account.normal_delay_ms(everything, done[0].began_ms if done else 0)
    recoveries = account.recoveries_ms(done, arrivals, normal_ms)
    last_fifth = everything[-max(1, len(everything) // 5) :]
    not_told = [f"{s.speaker.session_id} in {seat.language}" for s in sessions for seat in s.seats if not seat.told]
    failures = [f"the speaker of {s.speaker.session_id}: {s.failure}" for s in sessions if s.failure]
    found = list(report.findings(lost, odd, letters, not_told, failures))
    return report.Report(
        ok=not found,
        name=chosen.name,
        seed=chosen.seed,
        runner=runner,
        sessions=len(sessions),
        talk_s=chosen.talk_s,
        wall_s=0.0,
        words_spoken=sum(len(session.spoken) for session in sessions),
        to_hear=to_hear,
        heard=heard,
        lost=len(lost),
        duplicated=sum(one.what == "duplicated" for one in odd),
        reordered=sum(one.what == "reordered" for one in odd),
        unspoken=sum(one.what == "unspoken" for one in odd),
        skipped=sum(verdict.skipped for _, verdict in verdicts),
        repeats=sum(seat.ear.repeats for seat in seats),
        dead_letters=len(letters),
        not_told=len(not_told),
        faults=report.counted(done),
        longest_pause_ms=max((account.longest_pause_ms(seat.sounds_ms) for seat in seats), default=0),
        delay_ms={
            "normal": normal_ms,
            "max": max((one.delay_ms for one in everything), default=0),
            "last": account.normal_delay_ms(last_fifth, 0),
        },
        recovery_ms=report.recovery(done, recoveries),
        back_to_normal_ms=max(recoveries[-1:], default=0),
        door=_door(sessions),
        breakers={
            "opened": sum(one.what.startswith("open") for one in news),
            "closed": sum(one.what.startswith("closed") for one in news),
        },
        memory_mib={"stages": memory.peak_mib} | memory.parts_mib,
        findings=found,
        notes=[f"{described(deed.fault)}: {deed.note}" for deed in done if deed.note],
        deeds=done,
        breaker_news=news,
        logs=shown(paths.log("x").parent),
    )


def _door(sessions: Sequence[Session]) -> report.Door:
    speakers = [session.speaker for session in sessions]
    refused: dict[str, int] = {}
    for speaker in speakers:
        for code, count in speaker.refused.items():
            refused[code] = refused.get(code, 0) + count
    return report.Door(
        refused=refused,
        again=sum(speaker.resent for speaker in speakers),
        unacknowledged=sum(len(speaker.missing) for speaker in speakers),
    )
