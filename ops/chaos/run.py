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
from ops.audit.rules import audit
from ops.chaos import records, report, talks, watch
from ops.chaos.conclusion import Seen, conclude
from ops.chaos.deeds import Deeds
from ops.chaos.plan import SHARDS, Plan, plan
from ops.chaos.scenarios import scenario
from ops.chaos.streams import Streams
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
    scripts = await asyncio.to_thread(_scripts, chosen)
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)
    async with own_stack(options, own) as stack:
        made = await _hold(chosen, scripts, options, stack, own)
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
    began = time.monotonic()
    token = await asyncio.to_thread(tokens.token, stack, "chaos")
    memory = watch.Memory(paths)
    beside = [asyncio.create_task(memory.watch())]
    try:
        async with AsyncExitStack() as open_things:
            sessions = await talks.gather(open_things, stack.url, token, chosen.talks, scripts)
            tell(f"{len(sessions)} sessions speak for {chosen.talk_s:.0f} s; {len(chosen.faults)} faults")
            deeds = Deeds(stack, paths, options, sessions, tell)
            beside.append(asyncio.create_task(deeds.stand_by()))
            async with asyncio.TaskGroup() as group:
                group.create_task(deeds.do(chosen.faults, time.monotonic()))
                for session in sessions:
                    group.create_task(session.hold())
            tell("the talks are over; waiting for the last words")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARD_WITHIN_S):
                    await asyncio.gather(*(session.heard() for session in sessions))
        tell("reading the streams for the audit")
        evidence = await records.read(stack, [session.speaker.session_id for session in sessions])
        letters = await Streams(stack).letters()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for task in beside:
            task.cancel()
        for outcome in await asyncio.gather(*beside, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
    made = conclude(
        Seen(
            plan=chosen,
            runner=options.runner,
            sessions=sessions,
            deeds=deeds.done,
            ended=deeds.ended,
            letters=letters,
            audits=[audit(one) for one in evidence.values()],
            memory_mib={"stages": memory.peak_mib} | memory.parts_mib,
            breakers=watch.breakers([paths.log(stage.name) for stage in STAGES]),
            logs=shown(paths.log("x").parent),
            wall_s=round(time.monotonic() - began, 1),
        )
    )
    if not made.ok:
        records.keep(evidence, paths.state / "evidence")
    return made
